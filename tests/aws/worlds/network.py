"""Security groups, networks and load balancers of the two accounts.

Answered beside the emulator, whose ids are made up anew each time.
"""

from __future__ import annotations

from tests.aws.worlds import Answer

SERVICES = ("ec2", "elastic-load-balancing", "elastic-load-balancing-v2")

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/1"
LISTENER = BALANCER.replace("loadbalancer", "listener")


def answers(*, good: bool) -> dict[str, Answer]:
    """A group open to HTTPS or SSH, two networks with or without flow logs, listeners with new or old TLS."""
    return {**_groups(good=good), **_networks(good=good), **_balancers(good=good)}


def _groups(*, good: bool) -> dict[str, Answer]:
    port = 443 if good else 22
    web = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    office = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": "pl-1"}]}
    groups = [{"GroupId": "sg-1", "GroupName": "web", "VpcId": "vpc-1", "IpPermissions": [web, office]}]
    entries = [{"Cidr": "10.0.0.0/8" if good else "0.0.0.0/0"}]
    return {
        "ec2.DescribeSecurityGroups": lambda _: {"SecurityGroups": groups},
        "ec2.GetManagedPrefixListEntries": lambda _: {"Entries": entries},
    }


def _networks(*, good: bool) -> dict[str, Answer]:
    logs = [
        {
            "FlowLogId": f"fl-{id}",
            "ResourceId": id,
            "FlowLogStatus": "ACTIVE",
            "DeliverLogsStatus": "SUCCESS",
            "TrafficType": "ALL" if good else "ACCEPT",
        }
        for id in ("vpc-1", "vpc-2")
    ]
    networks = [{"VpcId": "vpc-1", "IsDefault": False}, {"VpcId": "vpc-2", "IsDefault": True}]
    return {
        "ec2.DescribeVpcs": lambda _: {"Vpcs": networks},
        "ec2.DescribeFlowLogs": lambda _: {"FlowLogs": logs},
        "ec2.DescribeNetworkInterfaces": lambda _: {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]},
    }


def _balancers(*, good: bool) -> dict[str, Answer]:
    allowed = ["TLSv1.2", "TLSv1.3"] if good else ["TLSv1", "TLSv1.2"]
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
    action = redirect if good else {"Type": "forward"}
    balancer = {"LoadBalancerArn": BALANCER, "Type": "application", "Scheme": "internet-facing"}
    listeners = [
        {"ListenerArn": f"{LISTENER}/443", "Protocol": "HTTPS", "Port": 443, "SslPolicy": "current"},
        {"ListenerArn": f"{LISTENER}/80", "Protocol": "HTTP", "Port": 80},
    ]
    classic = {
        "LoadBalancerName": "old",
        "Scheme": "internet-facing",
        "ListenerDescriptions": [
            {
                "Listener": {"Protocol": "HTTPS", "LoadBalancerPort": 443, "InstancePort": 80},
                "PolicyNames": ["p"],
            }
        ],
    }
    attributes = [{"AttributeName": f"Protocol-{tls}", "AttributeValue": "true"} for tls in allowed]
    policy = {"PolicyName": "p", "PolicyAttributeDescriptions": attributes}
    return {
        "elastic-load-balancing-v2.DescribeLoadBalancers": lambda _: {"LoadBalancers": [balancer]},
        "elastic-load-balancing-v2.DescribeListeners": lambda _: {"Listeners": listeners},
        "elastic-load-balancing-v2.DescribeRules": lambda _: {"Rules": [{"Priority": "default", "Actions": [action]}]},
        "elastic-load-balancing-v2.DescribeSSLPolicies": lambda _: {
            "SslPolicies": [{"Name": "current", "SslProtocols": allowed}]
        },
        "elastic-load-balancing.DescribeLoadBalancers": lambda _: {"LoadBalancerDescriptions": [classic]},
        "elastic-load-balancing.DescribeLoadBalancerPolicies": lambda _: {"PolicyDescriptions": [policy]},
    }
