"""Security groups, networks and listeners, as they are stored."""

from __future__ import annotations

import boto3
import pytest

from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, refuse, source

REGIONAL = "us-east-1:" + ACCOUNT


@pytest.fixture(autouse=True)
def emulator():
    with account():
        yield


def the_only(snapshot):
    (told,) = facts(snapshot).values()
    return told


class TestSecurityGroups:
    def test_what_a_group_lets_in(self):
        ec2 = boto3.client("ec2")
        listed = ec2.create_managed_prefix_list(
            PrefixListName="office", MaxEntries=2, AddressFamily="IPv4", Entries=[{"Cidr": "10.1.0.0/16"}]
        )["PrefixList"]["PrefixListId"]
        group = ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
        ssh = {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "PrefixListIds": [{"PrefixListId": listed}],
            "UserIdGroupPairs": [{"GroupId": group}],
        }
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh])
        told = facts(poll("aws.network.security_groups"))[f"arn:aws:ec2:{REGIONAL}:security-group/{group}"]
        assert told["name"] == "web"
        assert told["ingress"] == [
            {
                "protocol": "tcp",
                "from_port": 22,
                "to_port": 22,
                "addresses": ["10.0.0.0/8", "::/0"],
                "prefix_lists": [listed],
                "groups": [group],
            }
        ]
        assert told["prefix_lists"] == {listed: ["10.1.0.0/16"]}

    def test_a_prefix_list_is_read_once(self):
        rule = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}
        groups = [{"GroupId": f"sg-{n}", "IpPermissions": [rule]} for n in range(3)]
        asked = []

        def entries(params):
            asked.append(params)
            return {"Entries": [{"Cidr": "10.0.0.0/8"}]}

        on_call(of := source(), "ec2.DescribeSecurityGroups", lambda _: {"SecurityGroups": groups})
        on_call(of, "ec2.GetManagedPrefixListEntries", entries)
        told = facts(poll("aws.network.security_groups", of))
        assert [each["prefix_lists"] for each in told.values()] == [{"pl-1": ["10.0.0.0/8"]}] * 3
        assert told[f"arn:aws:ec2:{REGIONAL}:security-group/sg-0"]["ingress"][0]["from_port"] is None
        assert len(asked) == 1

    def test_a_prefix_list_that_is_refused_is_a_gap(self):
        rule = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}
        group = {"GroupId": "sg-1", "IpPermissions": [rule]}
        on_call(of := source(), "ec2.DescribeSecurityGroups", lambda _: {"SecurityGroups": [group]})
        refuse(of, "ec2.GetManagedPrefixListEntries", "UnauthorizedOperation")
        snapshot = poll("aws.network.security_groups", of)
        (envelope,) = envelopes(snapshot).values()
        assert snapshot.status == "complete"
        assert envelope["gaps"]["/prefix_lists/pl-1"]["need"] == "ec2:GetManagedPrefixListEntries"


class TestNetworks:
    def test_the_default_network_of_a_new_account(self):
        told = the_only(poll("aws.network.vpcs"))
        assert (told["default"], told["in_use"], told["flow_logs"]) == (True, False, [])

    def test_a_default_network_with_something_in_it(self):
        ec2 = boto3.client("ec2")
        ec2.create_network_interface(SubnetId=ec2.describe_subnets()["Subnets"][0]["SubnetId"])
        assert the_only(poll("aws.network.vpcs"))["in_use"] is True

    def test_a_network_of_ones_own_and_its_flow_log(self):
        ec2 = boto3.client("ec2")
        boto3.client("s3").create_bucket(Bucket="flows")
        made = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        log = ec2.create_flow_logs(
            ResourceIds=[made], ResourceType="VPC", TrafficType="REJECT", LogDestinationType="s3",
            LogDestination="arn:aws:s3:::flows",
        )["FlowLogIds"][0]  # fmt: skip
        calls = counted(of := source())
        told = facts(poll("aws.network.vpcs", of))[f"arn:aws:ec2:{REGIONAL}:vpc/{made}"]
        assert told["in_use"] is None
        assert told["flow_logs"] == [
            {
                "id": log,
                "status": "ACTIVE",
                "delivery": "SUCCESS",
                "traffic": "REJECT",
                "destination": "arn:aws:s3:::flows",
            }
        ]
        assert calls == {
            "DescribeVpcs": 1,
            "DescribeFlowLogs": 1,
            "DescribeNetworkInterfaces": 1,
            "GetCallerIdentity": 1,
        }

    def test_an_empty_page_is_not_the_end(self):
        pages = {None: {"NetworkInterfaces": [], "NextToken": "more"}}
        last = {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]}
        on_call(
            of := source(), "ec2.DescribeNetworkInterfaces",
            lambda params: pages.get(params["body"].get("NextToken"), last),
        )  # fmt: skip
        assert the_only(poll("aws.network.vpcs", of))["in_use"] is True

    def test_a_network_that_another_account_shares(self):
        shared = {"VpcId": "vpc-1", "IsDefault": False, "OwnerId": "210987654321"}
        on_call(of := source(), "ec2.DescribeVpcs", lambda _: {"Vpcs": [shared]})
        ((key, told),) = facts(poll("aws.network.vpcs", of)).items()
        assert key == "arn:aws:ec2:us-east-1:210987654321:vpc/vpc-1"
        assert told["shared_by"] == "210987654321"

    def test_flow_logs_that_are_refused(self):
        refuse(of := source(), "ec2.DescribeFlowLogs", "UnauthorizedOperation")
        (envelope,) = envelopes(poll("aws.network.vpcs", of)).values()
        assert envelope["gaps"]["/flow_logs"]["reason"] == "denied"


class TestListeners:
    @pytest.fixture
    def elb(self):
        ec2, elb = boto3.client("ec2"), boto3.client("elbv2")
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
        made = elb.create_load_balancer(Name="front", Subnets=subnets, Scheme="internet-facing")["LoadBalancers"][0]
        self.balancer = made["LoadBalancerArn"]
        return elb

    def listen(self, elb, protocol, port, action, **more):
        made = elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol=protocol, Port=port, DefaultActions=[action], **more
        )
        return made["Listeners"][0]["ListenerArn"]

    def test_encrypted_and_redirected(self, elb):
        redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
        refusal = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        certificate = boto3.client("acm").request_certificate(DomainName="example.com")["CertificateArn"]
        tls = self.listen(
            elb, "HTTPS", 443, refusal, Certificates=[{"CertificateArn": certificate}],
            SslPolicy="ELBSecurityPolicy-TLS-1-2-2017-01",
        )  # fmt: skip
        plain = self.listen(elb, "HTTP", 80, redirect)
        calls = counted(of := source())
        told = facts(poll("aws.network.listeners", of))
        assert told[tls] == {
            "balancer": self.balancer,
            "type": "application",
            "scheme": "internet-facing",
            "protocol": "HTTPS",
            "port": 443,
            "policy": "ELBSecurityPolicy-TLS-1-2-2017-01",
            "tls": ["TLSv1.2"],
            "rules": None,
        }
        assert told[plain]["rules"] == [{"priority": "default", "action": "redirect", "redirect": "HTTPS"}]
        assert (calls["DescribeSSLPolicies"], calls["DescribeListeners"], calls["DescribeRules"]) == (1, 1, 1)

    def test_a_balancer_that_went_away(self, elb):
        refuse(of := source(), "elastic-load-balancing-v2.DescribeListeners", "LoadBalancerNotFound", 400)
        snapshot = poll("aws.network.listeners", of)
        assert (snapshot.status, len(snapshot.items)) == ("complete", 0)

    def test_a_balancer_that_cannot_be_described_leaves_the_list_open(self, elb):
        plain = self.listen(elb, "HTTP", 80, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}})
        subnets = [subnet["SubnetId"] for subnet in boto3.client("ec2").describe_subnets()["Subnets"][:2]]
        elb.create_load_balancer(Name="other", Subnets=subnets)
        of, refused = source(), {"Error": {"Code": "AccessDenied", "Message": "no", "Status": 403}}
        on_call(
            of, "elastic-load-balancing-v2.DescribeListeners",
            lambda params: refused if "other" in params["body"]["LoadBalancerArn"] else None,
        )  # fmt: skip
        snapshot = poll("aws.network.listeners", of)
        assert (snapshot.status, snapshot.why, list(envelopes(snapshot))) == ("partial", "denied", [plain])
        assert snapshot.receipt["gap"]["need"] == "elasticloadbalancing:DescribeListeners"

    def test_policies_that_are_refused_hide_only_what_has_one(self, elb):
        plain = self.listen(elb, "HTTP", 80, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}})
        refuse(of := source(), "elastic-load-balancing-v2.DescribeSSLPolicies", "AccessDenied")
        assert facts(poll("aws.network.listeners", of))[plain]["tls"] is None

    def test_the_first_generation(self):
        elb = boto3.client("elb")
        elb.create_load_balancer(
            LoadBalancerName="old", AvailabilityZones=["us-east-1a"],
            Listeners=[{"Protocol": "http", "LoadBalancerPort": 80, "InstancePort": 80}],
        )  # fmt: skip
        told = the_only(poll("aws.network.classic_listeners"))
        assert (told["protocol"], told["port"], told["scheme"], told["tls"]) == ("HTTP", 80, "internet-facing", [])

    def test_the_tls_of_the_first_generation(self):
        each = {
            "Listener": {"Protocol": "HTTPS", "LoadBalancerPort": 443, "InstancePort": 80},
            "PolicyNames": ["stickiness", "security"],
        }
        balancer = {"LoadBalancerName": "old", "Scheme": "internet-facing", "ListenerDescriptions": [each]}
        attributes = {"Protocol-TLSv1.2": "true", "Protocol-TLSv1": "false", "Server-Defined-Cipher-Order": "true"}
        policy = {
            "PolicyName": "security",
            "PolicyAttributeDescriptions": [
                {"AttributeName": name, "AttributeValue": value} for name, value in attributes.items()
            ],
        }
        of = source()
        on_call(of, "elastic-load-balancing.DescribeLoadBalancers", lambda _: {"LoadBalancerDescriptions": [balancer]})
        on_call(of, "elastic-load-balancing.DescribeLoadBalancerPolicies", lambda _: {"PolicyDescriptions": [policy]})
        assert the_only(poll("aws.network.classic_listeners", of))["tls"] == ["TLSv1.2"]
