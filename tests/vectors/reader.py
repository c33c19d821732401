"""The agent's own identity in AWS."""

from __future__ import annotations

from typing import Any

from tests.judging import DENIED
from tests.vectors import Vector

CHECK, ROLES, USERS = "agent-identity-read-only", "aws.iam.roles", "aws.iam.users"
CALLER = {"kind": "role", "name": "reader"}
SECURITY_AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"


def policy(*actions: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": effect, "Action": list(actions), "Resource": "*", **more}]}


def role(inline: dict[str, Any], *attached: str) -> dict[str, Any]:
    return {ROLES: {"arn": {"name": "reader", "inline": inline, "attached": list(attached)}}}


NOT_IF = policy("s3:PutObject", effect="Deny", Condition={"a": {"b": "c"}})
AUDIT = {"aws.iam.managed_policies": {SECURITY_AUDIT: {"document": policy("a4b:Get*")}}}
GROUP = {"name": "g", "attached": [], "inline": {"x": policy("iam:CreateUser")}}
READS = policy("s3:ListAllMyBuckets", "iam:GetAccountAuthorizationDetails")
USER = {"u": {"name": "reader", "inline": {}, "attached": [], "groups": ["g"]}}

VECTORS = [
    Vector(CHECK, "pass", CALLER, here=role({"read": READS})),
    Vector(CHECK, "fail", CALLER, here=role({"read": READS, "w": policy("s3:PutObject")}), says="s3:PutObject"),
    Vector(CHECK, "fail", CALLER, here=role({"all": policy("*")}), says="change things"),
    Vector(CHECK, "fail", CALLER, here=role({"all": policy("s3:*")}), says="change things"),
    Vector(CHECK, "fail", CALLER, here=role({"data": policy("s3:GetObject")}), says="read data"),
    Vector(CHECK, "fail", CALLER, here=role({"s": policy("secretsmanager:GetSecretValue")}), says="read data"),
    Vector(CHECK, "fail", CALLER, here=role({"w": policy("lightsail:GetDisks")}), says="more than is collected"),
    Vector(CHECK, "fail", CALLER, here=role({"n": {"Statement": {"Effect": "Allow", "NotAction": "iam:*"}}})),
    Vector(
        CHECK, "pass", CALLER, says="nothing else",
        here=role({"w": policy("s3:PutObject"), "no": policy("s3:PutObject", effect="Deny")}),
    ),
    Vector(
        CHECK, "fail", CALLER,
        here=role({"w": policy("s3:PutObject"), "no": NOT_IF}),
    ),
    Vector(CHECK, "fail", {"kind": "root", "name": "root"}),
    Vector(CHECK, "not_evaluated", CALLER, here={ROLES: DENIED}),
    Vector(CHECK, "not_evaluated", CALLER, here={ROLES: {}}, says="not among"),
    Vector(
        CHECK, "not_evaluated", CALLER, says="SecurityAudit",
        here=role({"read": READS}, SECURITY_AUDIT) | {"aws.iam.managed_policies": {}},
    ),
    Vector(
        CHECK, "fail", CALLER,
        here=role({}, SECURITY_AUDIT) | AUDIT,
    ),
    Vector(
        CHECK, "fail", {"kind": "user", "name": "reader"}, says="iam:CreateUser",
        here={USERS: USER, "aws.iam.groups": {"g": GROUP}},
    ),
]  # fmt: skip
NEVER = {CHECK: "not_applicable: the agent always asks as somebody"}
