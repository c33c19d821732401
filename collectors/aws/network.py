"""Security groups, networks and load balancers of a region: what is open, logged and encrypted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.client import Client, some

_A_FEW = 5
"""The smallest page of DescribeNetworkInterfaces."""
_ENCRYPTING = ("HTTPS", "TLS")
_GONE = frozenset({"ListenerNotFound", "LoadBalancerNotFound"})


@stream(
    "aws.network.security_groups",
    per="region",
    every="1d",
    needs={
        "DescribeSecurityGroups": "ec2:DescribeSecurityGroups",
        "GetManagedPrefixListEntries": "ec2:GetManagedPrefixListEntries",
    },
    unordered=["/ingress"],
)
def security_groups(account: AwsAccount) -> Iterator[Record | Gap]:
    """Security groups of a region and what each lets in.

    `ingress` has one entry per protocol and range of ports (null: all of them), with the addresses it is
    open to; `prefix_lists` maps each prefix list that it names to the addresses in it.
    """
    ec2 = account.client("ec2")
    known: dict[str, list[str] | Gap] = {}
    for group in pages(ec2, "describe_security_groups", "SecurityGroups"):
        ingress = [_ingress(rule) for rule in group["IpPermissions"]]
        named = {name for rule in ingress for name in rule["prefix_lists"]}
        for name in sorted(named - set(known)):
            known[name] = _entries(ec2, name)
        yield Record(
            _arn(account, "security-group", group["GroupId"], group.get("OwnerId")),
            {
                "id": group["GroupId"],
                "name": group.get("GroupName"),
                "vpc": group.get("VpcId"),
                "ingress": ingress,
                "prefix_lists": {name: known[name] for name in sorted(named)},
            },
        )


def _ingress(rule: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "protocol": rule["IpProtocol"],
        "from_port": rule.get("FromPort"),
        "to_port": rule.get("ToPort"),
        "addresses": sorted(
            [each["CidrIp"] for each in rule.get("IpRanges", [])]
            + [each["CidrIpv6"] for each in rule.get("Ipv6Ranges", [])]
        ),
        "prefix_lists": sorted(each["PrefixListId"] for each in rule.get("PrefixListIds", [])),
        "groups": sorted(each["GroupId"] for each in rule.get("UserIdGroupPairs", []) if "GroupId" in each),
    }


def _entries(ec2: Client, name: str) -> list[str] | Gap:
    """Addresses of a prefix list."""
    listed = whole(ec2, "get_managed_prefix_list_entries", "Entries", PrefixListId=name)
    return listed if isinstance(listed, Gap) else sorted(entry["Cidr"] for entry in listed)


@stream(
    "aws.network.vpcs",
    per="region",
    every="1d",
    needs={
        "DescribeFlowLogs": "ec2:DescribeFlowLogs",
        "DescribeNetworkInterfaces": "ec2:DescribeNetworkInterfaces",
        "DescribeVpcs": "ec2:DescribeVpcs",
    },
    unordered=["/flow_logs"],
)
def vpcs(account: AwsAccount) -> Iterator[Record | Gap]:
    """Networks of a region and what logs their traffic.

    `shared_by`: the account that a network belongs to, when that is another one: only there its flow logs show.
    `in_use`: whether the default network has any network interface; null for the networks that the
    company made itself, which are not asked about.
    """
    ec2 = account.client("ec2")
    logs = _flow_logs(ec2)
    for vpc in pages(ec2, "describe_vpcs", "Vpcs"):
        owner = vpc.get("OwnerId") or account.id
        of_it = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        used = (
            some(ec2, "describe_network_interfaces", "NetworkInterfaces", Filters=of_it, MaxResults=_A_FEW)
            if vpc["IsDefault"]
            else None
        )
        yield Record(
            _arn(account, "vpc", vpc["VpcId"], owner),
            {
                "id": vpc["VpcId"],
                "shared_by": owner if owner != account.id else None,
                "default": vpc["IsDefault"],
                "in_use": used,
                "flow_logs": logs if isinstance(logs, Gap) else logs[vpc["VpcId"]],
            },
        )


def _flow_logs(ec2: Client) -> defaultdict[str, list[Json]] | Gap:
    """Network -> its flow logs; those of a single subnet or interface are left out."""
    listed = whole(ec2, "describe_flow_logs", "FlowLogs")
    if isinstance(listed, Gap):
        return listed
    found: defaultdict[str, list[Json]] = defaultdict(list)
    for log in listed:
        found[log["ResourceId"]].append(
            {
                "id": log["FlowLogId"],
                "status": log.get("FlowLogStatus"),
                "delivery": log.get("DeliverLogsStatus"),
                "traffic": log.get("TrafficType"),
                "destination": log.get("LogDestination") or log.get("LogGroupName"),
            }
        )
    return found


@stream(
    "aws.network.listeners",
    per="region",
    every="1d",
    needs={
        "DescribeListeners": "elasticloadbalancing:DescribeListeners",
        "DescribeLoadBalancers": "elasticloadbalancing:DescribeLoadBalancers",
        "DescribeRules": "elasticloadbalancing:DescribeRules",
        "DescribeSSLPolicies": "elasticloadbalancing:DescribeSSLPolicies",
    },
    unordered=["/rules"],
)
def listeners(account: AwsAccount) -> Iterator[Record | Gap]:
    """Listeners of the load balancers of a region and how each encrypts.

    `tls` are the protocol versions that the listener's policy allows, as AWS writes them ("TLSv1.2"); null
    without a policy. `rules` say what becomes of a request to an HTTP listener that the internet reaches.
    Load balancers of the first generation are in `aws.network.classic_listeners`.
    """
    elb = account.client("elbv2")
    policies = _policies(elb)
    for found in spread(partial(_of_balancer, elb, policies), pages(elb, "describe_load_balancers", "LoadBalancers")):
        yield from found


def _policies(elb: Client) -> dict[str, list[str]] | Gap:
    """Policy of the region -> the versions of TLS it allows."""
    listed = whole(elb, "describe_ssl_policies", "SslPolicies")
    return listed if isinstance(listed, Gap) else {each["Name"]: sorted(each["SslProtocols"]) for each in listed}


def _of_balancer(elb: Client, policies: Mapping[str, list[str]] | Gap, balancer: Mapping[str, Any]) -> list[Any]:
    """Records of the listeners of a load balancer; nothing when it went away."""
    arn, found = balancer["LoadBalancerArn"], []
    listed = whole(elb, "describe_listeners", "Listeners", LoadBalancerArn=arn)
    if isinstance(listed, Gap):
        # without a key: which listeners there are is not known
        return [] if listed.code in _GONE else [listed]
    for listener in listed:
        protocol = listener.get("Protocol")
        policy = listener.get("SslPolicy") if protocol in _ENCRYPTING else None
        plain = protocol == "HTTP" and balancer.get("Scheme") == "internet-facing"
        rules = _rules(elb, listener["ListenerArn"]) if plain else None
        if isinstance(rules, Gap) and rules.code in _GONE:
            continue
        tls = policies if isinstance(policies, Gap) else policies.get(policy or "")
        facts = {
            "balancer": arn,
            "type": balancer.get("Type"),
            "scheme": balancer.get("Scheme"),
            "protocol": protocol,
            "port": listener.get("Port"),
            "policy": policy,
            "tls": tls if policy else None,
            "rules": rules,
        }
        found.append(Record(listener["ListenerArn"], facts))
    return found


def _rules(elb: Client, listener: str) -> list[Json] | Gap:
    """What each rule of a listener does with a request in the end: its last action, and where it redirects to."""
    listed = whole(elb, "describe_rules", "Rules", ListenerArn=listener)
    if isinstance(listed, Gap):
        return listed
    return [
        {
            "priority": rule.get("Priority"),
            "action": last.get("Type"),
            "redirect": last.get("RedirectConfig", {}).get("Protocol"),
        }
        for rule in listed
        for last in [max(rule["Actions"], key=lambda action: action.get("Order", 0))]
    ]


@stream(
    "aws.network.classic_listeners",
    per="region",
    every="1d",
    needs={
        "DescribeLoadBalancerPolicies": "elasticloadbalancing:DescribeLoadBalancerPolicies",
        "DescribeLoadBalancers": "elasticloadbalancing:DescribeLoadBalancers",
    },
)
def classic_listeners(account: AwsAccount) -> Iterator[Record | Gap]:
    """Listeners of load balancers of the first generation, and the TLS they allow."""
    elb = account.client("elb")
    listed = pages(elb, "describe_load_balancers", "LoadBalancerDescriptions")
    for found in spread(partial(_of_classic, account, elb), listed):
        yield from found


def _of_classic(account: AwsAccount, elb: Client, balancer: Mapping[str, Any]) -> list[Record]:
    name, found = balancer["LoadBalancerName"], []
    arn = f"arn:{account.partition}:elasticloadbalancing:{account.region}:{account.id}:loadbalancer/{name}"
    described = balancer["ListenerDescriptions"]
    named = any(each.get("PolicyNames") for each in described)
    policies = _classic_policies(elb, name) if named else {}
    if isinstance(policies, Gap) and policies.code == "LoadBalancerNotFound":
        return []
    for each in described:
        listener, port = each["Listener"], each["Listener"]["LoadBalancerPort"]
        policy_names = each.get("PolicyNames", [])
        allowed: list[str] | Gap = (
            policies
            if isinstance(policies, Gap)
            else sorted({tls for policy in policy_names for tls in policies.get(policy, [])})
        )
        facts = {
            "balancer": arn,
            "scheme": balancer.get("Scheme"),
            "protocol": listener["Protocol"],
            "port": port,
            "tls": allowed,
        }
        found.append(Record(f"{arn}/listener/{port}", facts))
    return found


def _classic_policies(elb: Client, balancer: str) -> dict[str, list[str]] | Gap:
    """Policy of a load balancer -> the versions of TLS that it turns on."""
    found: dict[str, list[str]] | Gap = facet(
        elb.describe_load_balancer_policies, pick="PolicyDescriptions", parse=_classic_tls, LoadBalancerName=balancer
    )
    return found


def _classic_tls(listed: list[Mapping[str, Any]]) -> Json:
    return {
        policy["PolicyName"]: [
            each["AttributeName"].removeprefix("Protocol-")
            for each in policy.get("PolicyAttributeDescriptions", [])
            if each.get("AttributeValue") == "true" and each["AttributeName"].startswith("Protocol-")
        ]
        for policy in listed
    }


def _arn(account: AwsAccount, kind: str, id: str, owner: str | None) -> str:
    return f"arn:{account.partition}:ec2:{account.region}:{owner or account.id}:{kind}/{id}"
