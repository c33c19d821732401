"""The policy of a reader of AWS: exactly what the streams declare, in three formats."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.errors import UsageError
from agent.registry import StreamSpec, permissions
from collectors.aws import SOURCE_NEEDS

FORMATS = ("json", "terraform", "cloudformation")
MANAGEMENT = ("aws.organizations", "aws.sso")
"""Services that only the management account, or one it delegates to, can read."""

EVERY_ACCOUNT = frozenset({"organizations:DescribeOrganization", "sso:ListInstances"})
"""What a member account may ask of them: by that it knows that they are read elsewhere, and where."""

ROLE = "evidence-reader"


@permissions("aws")
def policy(streams: Sequence[StreamSpec], format: str, management: bool) -> str:
    """The policy of a member account, or of the management account, in one of `FORMATS`.

    UsageError for any other format. `terraform` and `cloudformation` bring the role along.
    """
    if format not in FORMATS:
        raise UsageError(f"no format {format}", f"known: {', '.join(FORMATS)}")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*"}
            for sid, actions in _by_service(declared(streams, management=management)).items()
        ],
    }
    if format == "json":
        return json.dumps(document, indent=2)
    return _terraform(document) if format == "terraform" else json.dumps(_cloudformation(document), indent=2)


def declared(streams: Sequence[StreamSpec], *, management: bool) -> list[str]:
    """The actions that these streams and the source itself need, sorted, each once.

    `sts:AssumeRole` is left out: it belongs to who takes the role, not to the role. With `management` those
    of the organisation and of Identity Center are all in, else the few that any account may ask.
    """
    needs = [
        action
        for spec in streams
        for action in spec.needs.values()
        if management or spec.service not in MANAGEMENT or action in EVERY_ACCOUNT
    ]
    actions = {action for action in (*needs, *SOURCE_NEEDS.values()) if action}
    return sorted(actions - {SOURCE_NEEDS["AssumeRole"]})


def _by_service(actions: Sequence[str]) -> dict[str, list[str]]:
    """A statement for each service: what an owner reads, and can strike out, as one."""
    found: dict[str, list[str]] = {}
    for action in actions:
        service = action.partition(":")[0]
        found.setdefault("Read" + "".join(part.capitalize() for part in service.split("-")), []).append(action)
    return found


def _terraform(document: object) -> str:
    body = json.dumps(document, indent=2).replace("\n", "\n  ")
    return f'''variable "reader" {{
  description = "ARN of the identity that the agent runs as"
  type        = string
}}

variable "external_id" {{
  description = "The external_id of [collect.aws]; empty without one"
  type        = string
  default     = ""
}}

data "aws_iam_policy_document" "trust" {{
  statement {{
    actions = ["sts:AssumeRole"]
    principals {{
      type        = "AWS"
      identifiers = [var.reader]
    }}
    dynamic "condition" {{
      for_each = var.external_id == "" ? [] : [var.external_id]
      content {{
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }}
    }}
  }}
}}

resource "aws_iam_role" "reader" {{
  name               = "{ROLE}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}}

resource "aws_iam_role_policy" "reader" {{
  name = "{ROLE}"
  role = aws_iam_role.reader.id
  policy = jsonencode({body})
}}'''


def _cloudformation(document: object) -> dict[str, object]:
    trust = {"Effect": "Allow", "Principal": {"AWS": {"Ref": "Reader"}}, "Action": "sts:AssumeRole"}
    condition = {"StringEquals": {"sts:ExternalId": {"Ref": "ExternalId"}}}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A role that reads what evidence is collected from, and nothing else.",
        "Parameters": {
            "Reader": {"Type": "String", "Description": "ARN of the identity that the agent runs as"},
            "ExternalId": {"Type": "String", "Default": "", "Description": "The external_id of [collect.aws], if any"},
        },
        "Conditions": {"WithExternalId": {"Fn::Not": [{"Fn::Equals": [{"Ref": "ExternalId"}, ""]}]}},
        "Resources": {
            "EvidenceReader": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": ROLE,
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {"Fn::If": ["WithExternalId", {**trust, "Condition": condition}, trust]},
                        ],
                    },
                    "Policies": [{"PolicyName": ROLE, "PolicyDocument": document}],
                },
            }
        },
        "Outputs": {"Role": {"Value": {"Fn::GetAtt": ["EvidenceReader", "Arn"]}}},
    }
