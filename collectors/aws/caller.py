"""As whom the agent itself asks."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import Gap, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount


@stream("aws.iam.caller", per="account", every="1d", needs={"GetCallerIdentity": "sts:GetCallerIdentity"})
def caller(account: AwsAccount) -> Iterator[Record | Gap]:
    """The role or user that collects in this account, without its session.

    Source: sts GetCallerIdentity, `arn:…:assumed-role/NAME/SESSION` or `arn:…:user/PATH/NAME`.
    """
    answer = account.client("sts").get_caller_identity()
    kind, _, rest = answer["Arn"].split(":", 5)[5].partition("/")
    named = {"assumed-role": "role", "user": "user", "root": "root", "federated-user": "federated-user"}
    if kind not in named:
        yield Gap(Reason.MALFORMED, "GetCallerIdentity", "UnknownArn", key=account.arn)
        return
    name = rest.partition("/")[0] if kind == "assumed-role" else rest.rpartition("/")[2]
    yield Record(account.arn, {"kind": named[kind], "name": name or "root"})
