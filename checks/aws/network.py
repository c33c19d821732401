"""What the internet reaches: ports, and listeners without TLS; and whether network traffic is logged."""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

PORTS = {
    22: "SSH", 2375: "Docker", 2376: "Docker", 3306: "MySQL", 3389: "Remote Desktop", 1433: "SQL Server",
    5000: "MLflow", 5432: "PostgreSQL", 6006: "TensorBoard", 6379: "Redis", 8265: "Ray", 8786: "Dask",
    8787: "Dask", 8888: "Jupyter", 9092: "Kafka", 9200: "Elasticsearch", 10001: "Ray", 10250: "kubelet",
    27017: "MongoDB",
}  # fmt: skip
"""Administrative, database, notebook and ML-tool ports that the internet must not reach."""

ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
ENOUGH = frozenset({"TLSv1.2", "TLSv1.3"})
"""Versions of TLS that a listener may allow."""

_WITH_PORTS = frozenset({"tcp", "udp", "6", "17"})
_ALL = "-1"


@check("no-open-ports", over="aws.network.security_groups")
def no_open_ports(group: Facts, ctx: Context) -> Verdict:
    """No rule lets the internet reach an administrative, database or ML-tool port.

    Counts whether or not the group is attached to anything: it may be at any time. Prefix lists are
    looked into.
    """
    open_ = [said for rule in group.list("ingress") if (said := _opens(rule, group))]
    if open_:
        return failed(f"open to the internet: {'; '.join(open_)}", open=open_)
    return passed("no listed port is open to the internet", open=[])


def _opens(rule: Facts, group: Facts) -> str | None:
    """What a rule opens to whom; None when nothing that matters."""
    what = _reached(rule)
    if what is None:
        return None
    wide = sorted(ANYWHERE.intersection(rule.list("addresses")))
    for name in rule.list("prefix_lists"):
        wide += [f"{cidr} by {name}" for cidr in sorted(ANYWHERE.intersection(group["prefix_lists"].list(name)))]
    return f"{what} from {', '.join(wide)}" if wide else None


def _reached(rule: Facts) -> str | None:
    protocol = rule.text("protocol").lower()
    if protocol == _ALL:
        return "all protocols"
    if protocol not in _WITH_PORTS:
        return None  # has no ports: ICMP and the like
    first, last = rule["from_port"], rule["to_port"]
    if first is None or last is None or first == -1:
        first, last = 0, 65535
    hit = [f"{port} ({name})" for port, name in sorted(PORTS.items()) if first <= port <= last]
    if not hit:
        return None
    span = f"port {first}" if first == last else f"ports {first}-{last}"
    return f"{protocol} {span} with {', '.join(hit)}"


@check("flow-logs-on", over="aws.network.vpcs")
def flow_logs_on(vpc: Facts, ctx: Context) -> Verdict:
    """A flow log of the network takes at least what is refused, and is delivered.

    A default network, which AWS makes in every region by itself, does not count as long as nothing is in it; one
    that another account shares is logged, and judged, in that account.
    """
    if vpc["shared_by"]:
        return inapplicable(f"belongs to account {vpc['shared_by']}, which shares it", shared_by=vpc["shared_by"])
    logs = vpc.list("flow_logs")
    listed = [
        {"id": log["id"], "status": log["status"], "delivery": log["delivery"], "traffic": log["traffic"]}
        for log in logs
    ]
    taking = [log for log in listed if log["status"] == "ACTIVE" and log["traffic"] in ("ALL", "REJECT")]
    delivered = [log["id"] for log in taking if log["delivery"] == "SUCCESS"]
    if delivered:
        return passed(f"{', '.join(delivered)} takes its traffic and is delivered", flow_logs=listed)
    if vpc["default"] and not logs and vpc["in_use"] is False:
        return inapplicable("default network, unused: no network interface in it, list complete", default=True)
    if any(log["delivery"] is None for log in taking):
        return undecided(
            Reason.UNDETERMINED, "AWS does not say yet whether its flow log is delivered", flow_logs=listed
        )
    why = "; ".join(_shortcoming(log) for log in listed) or "no flow log"
    return failed(why, flow_logs=listed)


def _shortcoming(log: dict[str, str | None]) -> str:
    if log["status"] != "ACTIVE":
        return f"{log['id']} is {log['status']}"
    if log["traffic"] not in ("ALL", "REJECT"):
        return f"{log['id']} takes only what is let in ({log['traffic']})"
    return f"delivery of {log['id']} is {log['delivery']}"


@check("listener-tls", over="aws.network.listeners")
def listener_tls(listener: Facts, ctx: Context) -> Verdict:
    """The listener lets the internet in by TLS 1.2 or later only, or redirects there."""
    if listener["scheme"] != "internet-facing":
        return inapplicable(f"not reached from the internet: {listener['scheme']}", scheme=listener["scheme"])
    protocol = listener["protocol"]
    if protocol in ("HTTPS", "TLS"):
        return _by_policy(listener["tls"], listener["policy"])
    if protocol == "HTTP":
        return _by_redirect(listener)
    if protocol == "QUIC":
        return undecided(Reason.UNSUPPORTED, "QUIC always brings TLS 1.3, but the rule names HTTPS and TLS only")
    return failed(f"{protocol} passes on what it gets: TLS, if any, ends where it is not seen", protocol=protocol)


@check("listener-tls", over="aws.network.classic_listeners")
def classic_listener_tls(listener: Facts, ctx: Context) -> Verdict:
    """The listener of the first generation lets the internet in by TLS 1.2 only."""
    if listener["scheme"] != "internet-facing":
        return inapplicable(f"not reached from the internet: {listener['scheme']}", scheme=listener["scheme"])
    protocol = listener["protocol"]
    if protocol in ("HTTPS", "SSL"):
        return _by_policy(listener["tls"] or None, "its policy")
    return failed(f"{protocol}: not encrypted by the load balancer, and it cannot redirect", protocol=protocol)


def _by_policy(allowed: list[str] | None, policy: str | None) -> Verdict:
    if allowed is None:
        return undecided(Reason.DEPENDENCY, f"AWS does not say which TLS {policy or 'the listener'} allows")
    old = sorted(set(allowed) - ENOUGH)
    if old:
        return failed(f"{policy} also allows {', '.join(old)}", tls=allowed, policy=policy)
    return passed(f"{policy} allows {', '.join(allowed)} only", tls=allowed, policy=policy)


def _by_redirect(listener: Facts) -> Verdict:
    serving = list(_serving(listener))
    if serving:
        return failed(f"HTTP that is not redirected to HTTPS: {'; '.join(serving)}", serving=serving)
    return passed("HTTP only redirects to HTTPS", serving=[])


def _serving(listener: Facts) -> Iterator[str]:
    """Rules of an HTTP listener that do anything but send the caller to HTTPS."""
    for rule in listener.list("rules"):
        if rule["action"] != "redirect":
            yield f"rule {rule['priority']} is {rule['action']}"
        elif rule["redirect"] != "HTTPS":
            yield f"rule {rule['priority']} redirects by {rule['redirect'] or 'the protocol it came by'}"
