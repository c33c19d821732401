"""Keys."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

OWN, STRANGER, NAMED, MEMBER = "111111111111", "999999999999", "222222222222", "333333333333"
KEY = f"arn:aws:kms:eu-west-1:{OWN}:key/1111"
ALIAS = f"arn:aws:kms:eu-west-1:{OWN}:alias/data"
REFERENCES = "aws.kms.references"
ORGANISATION = {"aws.organizations.accounts": {"arn:member": {"id": MEMBER}}}

_ROOT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "kms:*", "Resource": "*"}


def key(**told: Any) -> dict[str, Any]:
    """A rotated key of the customer's, open to its own account only."""
    closed = {
        "id": "1111", "manager": "CUSTOMER", "state": "Enabled", "spec": "SYMMETRIC_DEFAULT", "origin": "AWS_KMS",
        "rotation": {"enabled": True, "period_days": 365}, "deletion_date": None, "aliases": ["alias/data"],
        "policy": {"Statement": [_ROOT]}, "grants": [],
    }  # fmt: skip
    return closed | told


def allowing(*principals: str, action: str = "kms:Decrypt", effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    """A key policy with another statement beside that for the own account."""
    other = {"Effect": effect, "Principal": {"AWS": list(principals)}, "Action": action, "Resource": "*"}
    return {"Statement": [_ROOT, other | ({"Condition": condition} if condition else {})]}


def granted(grantee: str) -> list[dict[str, Any]]:
    """One grant."""
    return [{"grantee": grantee, "operations": ["Decrypt"], "constraints": {}}]


def _role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


def _rotation(status: str, says: str = "", **told: Any) -> Vector:
    return Vector("kms-rotation", status, key(**told), key=KEY, says=says)


def _pending(status: str, here: Any, says: str = "", **told: Any) -> Vector:
    return Vector("kms-no-pending-deletion", status, key(**told), key=KEY, here={REFERENCES: here}, says=says)


def _scoped(status: str, says: str = "", here: Any = None, settings: Any = None, **told: Any) -> Vector:
    return Vector(
        "kms-policy-scoped", status, key(**told), key=KEY, says=says, here=here or ORGANISATION,
        settings={"own_accounts": [NAMED], **(settings or {})},
    )  # fmt: skip


def _separated(status: str, says: str = "", **uses: Any) -> Vector:
    told = {"both": [], "both_count": 0, "duties_unread": []} | uses
    here = ORGANISATION | {"aws.iam.users": {}, "aws.kms.uses": {KEY: told}}
    return _scoped(status, says, here, {"access": {"separate_duties": [KEY]}})


_NAMED_BY = {"count": 2, "resources": ["arn:aws:s3:::a", "arn:aws:s3:::b"]}
_IN_ORGANISATION = {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}
_BY_SERVICE = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
_MAY = {"may_decrypt": [_role(OWN)], "may_decrypt_count": 1, "conditions": [], "unread": []}

VECTORS = [
    _rotation("pass", "rotated every 365 days, limit 365 days"),
    _rotation("fail", "every 366 days", rotation={"enabled": True, "period_days": 366}),
    _rotation("fail", "not rotated", rotation={"enabled": False, "period_days": None}),
    _rotation("not_evaluated", "how often", rotation={"enabled": True, "period_days": None}),
    _rotation("not_evaluated", rotation=DENIED),
    _rotation("not_applicable", "inherited from the provider", manager="AWS"),
    _rotation("not_applicable", "by hand", spec="RSA_2048", rotation=None),
    _rotation("not_applicable", "by hand", spec="HMAC_256", rotation=None),
    _rotation("not_applicable", "origin EXTERNAL", origin="EXTERNAL", rotation=None),
    _rotation("not_applicable", "origin AWS_CLOUDHSM", origin="AWS_CLOUDHSM", rotation=None),
    _rotation("not_applicable", "PendingDeletion", state="PendingDeletion", rotation=DENIED),
    _rotation("not_applicable", "Disabled", state="Disabled"),
    # ---
    _pending("pass", Gap(Reason.DENIED), "Enabled"),
    _pending("pass", {}, "no collected resource names it", state="Disabled"),
    _pending("pass", {"arn:aws:kms:eu-west-1:1:key/2": _NAMED_BY}, state="PendingDeletion"),
    _pending("fail", {KEY: _NAMED_BY}, "to be deleted on 2027-02-01, and 2 resources name it: arn:aws:s3:::a",
             state="PendingDeletion", deletion_date="2027-02-01T10:00:00Z"),
    _pending("fail", {ALIAS: _NAMED_BY}, "Disabled", state="Disabled"),
    _pending("fail", {ALIAS: _NAMED_BY}, state="PendingReplicaDeletion"),
    _pending("not_evaluated", DENIED, state="Disabled"),
    _pending("not_evaluated", {}, state="Disabled", aliases=DENIED),
    _pending("not_evaluated", {KEY: _NAMED_BY}, state=DENIED),
    _pending("not_applicable", {}, "inherited", manager="AWS", state="Disabled"),
    Vector("kms-no-pending-deletion", "not_evaluated", key(state="Disabled"), key=KEY, here={REFERENCES: {}},
           partial={REFERENCES: Gap(Reason.PARTIAL)}),
    # ---
    _scoped("pass", "IAM of the account decides further"),
    _scoped("pass", policy={"Statement": []}),
    _scoped("fail", "lets in *", policy=allowing("*")),
    _scoped("fail", "lets in *", policy={"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*"}}),
    _scoped("fail", "lets in *", policy={"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": _role(OWN)},
                                                         "Action": "kms:*"}]}),
    _scoped("fail", STRANGER, policy=allowing(STRANGER)),
    _scoped("fail", STRANGER, policy=allowing(_role(STRANGER), action="kms:DescribeKey")),
    _scoped("pass", policy=allowing(_role(STRANGER), effect="Deny")),
    _scoped("pass", policy=allowing(_role(OWN), _role(NAMED), _role(MEMBER))),
    _scoped("pass", policy=allowing("AIDAEXAMPLEDELETED0000")),
    _scoped("pass", policy={"Statement": [{"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"},
                                            "Action": "kms:Decrypt"}]}),
    _scoped("pass", policy=allowing("*", **_IN_ORGANISATION)),
    _scoped("pass", policy=allowing("*", **_BY_SERVICE)),
    _scoped("pass", policy=allowing("*", StringEquals={"kms:CallerAccount": [OWN, NAMED]})),
    _scoped("pass", policy=allowing(STRANGER, **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    _scoped("fail", "*", policy=allowing("*", StringEquals={"kms:CallerAccount": [OWN, STRANGER]})),
    _scoped("fail", "*", policy=allowing("*", StringLike={"aws:PrincipalOrgID": "*"})),
    _scoped("fail", "*", policy=allowing("*", StringNotEquals={"aws:PrincipalOrgID": "o-1"})),
    _scoped("fail", "*", policy=allowing("*", StringEqualsIfExists={"aws:PrincipalOrgID": "o-1"})),
    _scoped("fail", "*", policy=allowing("*", **{"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    _scoped("fail", "*", policy=allowing("*", Bool={"kms:GrantIsForAWSResource": "true"})),
    _scoped("pass", grants=granted(_role(MEMBER))),
    _scoped("pass", grants=granted("rds.eu-west-1.amazonaws.com")),
    _scoped("pass", grants=granted(f"arn:aws:sts::{OWN}:assumed-role/aws:ec2-infrastructure/i-1")),
    _scoped("fail", "grants to", grants=granted(_role(STRANGER))),
    _scoped("not_evaluated", policy=DENIED),
    _scoped("not_evaluated", grants=DENIED),
    _scoped("not_evaluated", policy=allowing(STRANGER), here={"aws.organizations.accounts": DENIED}),
    _scoped("fail", policy=allowing(STRANGER), here={"aws.other": {}}),
    _scoped("not_applicable", "inherited", manager="AWS", policy=DENIED),
    _scoped("pass", here=ORGANISATION | {"aws.iam.users": {}, "aws.kms.uses": {KEY: _MAY}}),
    _scoped("not_evaluated", here=ORGANISATION | {"aws.iam.users": {}, "aws.kms.uses": DENIED}),
    _separated("pass", "nobody both"),
    _separated("fail", "1 both administer and use the key", both=[_role(OWN)], both_count=1),
    _separated("not_evaluated", "policies not seen: group staff", duties_unread=["group staff"]),
    _scoped("not_evaluated", "no identities", settings={"access": {"separate_duties": [KEY]}}),
]  # fmt: skip
