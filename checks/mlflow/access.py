"""Whether the tracking server asks who comes."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

_REFUSALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


@check("mlflow-auth-required", over="mlflow.server.access")
def mlflow_auth_required(server: Facts, ctx: Context) -> Verdict:
    """The tracking server refuses a request without credentials, over https.

    Source: one unauthenticated GET of experiments/search. http is accepted on loopback and on a private
    network that the configuration declares.
    """
    kind = server["kind"]
    if kind == "managed":
        return inapplicable("a managed tracking server: its provider signs callers in")
    if kind == "database":
        return inapplicable("a database read directly: there is no server to sign in to")
    if kind != "server":
        return undecided(Reason.UNSUPPORTED, "reached by a plug-in of MLflow; how it signs callers in is not known")
    answer = server["answer"]
    status, code, place = answer["status"], answer["error_code"], answer["redirects_to"]
    facts = {"status": status, "error_code": code, "redirects_to": place, "scheme": server["scheme"]}
    if status >= 500:
        return undecided(Reason.UNDETERMINED, f"status {status}: nobody was let in and nobody refused", **facts)
    if answer["is_mlflow"] and status not in (401, 403) and code not in _REFUSALS:
        return failed(f"MLflow answers a request without credentials (status {status})", **facts)
    if 300 <= status < 400 and place:
        if place not in (ctx.thresholds.get("sign_in_hosts") or []):
            return undecided(
                Reason.NOT_CONFIGURED, f"redirects to {place}, which is not configured as a sign-in address", **facts
            )
    elif status not in (401, 403) and code not in _REFUSALS:
        return undecided(Reason.UNDETERMINED, f"status {status}, from something that is not MLflow", **facts)
    if server["scheme"] != "https" and not _stays_inside(server):
        return failed(f"credentials are asked for (status {status}), but over {server['scheme']}", **facts)
    return passed(f"a request without credentials is refused (status {status})", **facts)


def _stays_inside(server: Facts) -> bool:
    """Whether requests leave no network but this host's or a declared private one."""
    return bool(server["host_is"] == "loopback" or (server["host_is"] == "private" and server["declared_private"]))
