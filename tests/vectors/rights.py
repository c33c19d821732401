"""Who is administrator, who builds and deploys, who reaches buckets and servers."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

ACCOUNT = "123456789012"
IAM = f"arn:aws:iam::{ACCOUNT}:"
ADA, RUNNER = f"{IAM}user/ada", f"{IAM}role/runner"
SSO = f"{IAM}role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admins_0123456789abcdef"
PRINCIPALS, REGISTER = "aws.access.principals", "docs.registers.privileged_access"
PARTIAL = Gap(Reason.PARTIAL, "GetAccountAuthorizationDetails")
FULL = {"held": True, "how": ["full"], "by": ["inline own"], "conditions": [], "list": "escalation/1"}
NONE = {"held": False, "how": [], "by": [], "conditions": [], "list": "escalation/1"}
UNREAD = [{"name": "arn:aws:iam::aws:policy/X", "reason": "denied", "need": "iam:GetPolicyVersion"}]
LOST = [{"name": "group staff", "reason": "dependency", "need": None}]
BUILD, DEPLOY = ["sagemaker:CreateTrainingJob"], ["sagemaker:UpdateEndpoint"]


def principal(key: str = ADA, **told: Any) -> dict[str, Any]:
    """A user with a console password and no right of any list."""
    user = ":user/" in key
    return {
        "account": ACCOUNT,
        "kind": "user" if user else "role",
        "name": key.rpartition("/")[2],
        "path": "/",
        "tags": None,
        "permission_set": None,
        "service_linked": False,
        "human": user,
        "people_from": [],
        "outside": [],
        "admin": NONE,
        "build": [],
        "deploy": [],
        "writes": [],
        "puts": [],
        "abroad": [],
        "through": [],
        "unread": [],
        **told,
    }


def admins(*keys: str, **told: Any) -> dict[str, Any]:
    """Principals who are administrators."""
    return {key: principal(key, admin=FULL, **told) for key in keys}


def row(who: str, **told: Any) -> dict[str, Any]:
    """A row of the register, approved and in force."""
    held = {"id": "p1", "principal": who, "scope": "", "approved_by": "cto", "expires_on": "2027-06-30"}
    return {"docs.registers.privileged_access": {"p1": held | told}}


def people(*mails: str, unresolved: list[str] | None = None) -> dict[str, Any]:
    """The people behind the permission set Admins, and the directory's list of sets."""
    listed = [{"id": f"id-{mail}", "name": mail.split("@")[0], "mail": mail} for mail in mails]
    return {
        "aws.access.people": {f"{ACCOUNT}/Admins": {"people": listed, "unresolved": unresolved or []}},
        "aws.sso.permission_sets": {"s": {"name": "Admins"}},
    }


def inventory(status: str, facts: Any, *here: dict[str, Any], key: str = ADA, says: str = "") -> Vector:
    held = {name: stream for streams in here for name, stream in streams.items()}
    return Vector("iam-admin-inventory", status, facts, PRINCIPALS, key=key, here=held, says=says)


SET = principal(SSO, admin=FULL, permission_set="Admins")

INVENTORY = [
    inventory("pass", principal(admin=FULL), row(ADA), says="row p1"),
    inventory("pass", principal(admin=FULL), row("ADA"), says="row p1"),
    inventory("pass", principal(admin=FULL), row(f"{IAM}user/*", scope="test:1 azure:x")),
    inventory("fail", principal(admin=FULL), row(ADA, scope="aws:999999999999")),
    inventory("fail", principal(admin=FULL), row(ADA, expires_on="2027-01-14"), says="not in privileged_access.csv"),
    inventory("pass", principal(admin=FULL), row(ADA, expires_on="2027-01-15")),
    inventory("fail", principal(admin=FULL), row(ADA, approved_by="")),
    inventory("fail", principal(admin=FULL), row(f"{IAM}user/bob")),
    inventory("fail", principal(admin={**FULL, "conditions": ["aws:MultiFactorAuthPresent"]}), row("bob"),
              says="conditions not evaluated: aws:MultiFactorAuthPresent"),
    inventory("not_evaluated", principal(admin=FULL), says="privileged_access"),
    inventory("not_evaluated", principal(unread=UNREAD), row(ADA), says="iam:GetPolicyVersion"),
    inventory("not_evaluated", principal(admin=DENIED), row(ADA)),
    inventory("not_applicable", principal(), row(ADA)),
    inventory("not_applicable", principal(RUNNER, admin=FULL, service_linked=True), row(ADA)),
    inventory("pass", SET, row("a@x.org"), people("a@x.org"), key=SSO),
    inventory("fail", SET, row("a@x.org"), people("a@x.org", "b@x.org"), key=SSO, says="expired there: b@x.org"),
    inventory("not_evaluated", SET, row("a@x.org"), people("a@x.org", unresolved=["group g"]), key=SSO),
    inventory("not_evaluated", SET, row(SSO), key=SSO, says="permission set Admins"),
    inventory("pass", SET, row("x"), {"aws.access.people": {}, "aws.sso.permission_sets": {"s": {"name": "Admins"}}},
              key=SSO, says="0 people"),
    inventory("not_evaluated", SET, row("x"), {"aws.access.people": {}, "aws.sso.permission_sets": {}}, key=SSO),
    inventory("not_evaluated", principal(RUNNER, admin=FULL, people_from=[f"{IAM}saml-provider/idp"]), row(RUNNER),
              key=RUNNER, says="who takes it by"),
    inventory("fail", principal(RUNNER, admin=FULL, people_from=[f"{IAM}saml-provider/idp"]), row(ADA), key=RUNNER),
]  # fmt: skip


def count(status: str, held: Any, *here: dict[str, Any], says: str = "", **more: Any) -> Vector:
    streams = {name: stream for told in here for name, stream in told.items()}
    return Vector(
        "iam-admin-count", status, over="aws.iam.users", here={PRINCIPALS: held, **streams}, says=says, **more
    )


SIX = admins(*(f"{IAM}user/u{number}" for number in range(6)))
OUTSIDE = "arn:aws:iam::222222222222:root"
ABROAD = "arn:aws:iam::222222222222:user/eve"

COUNT = [
    count("pass", admins(ADA, f"{IAM}user/bob"), says="2 people"),
    count("pass", admins(ADA), says="warning: fewer than two"),
    count("pass", {}, says="warning: fewer than two"),
    count("fail", SIX, says="6 people are administrators, limit 5"),
    count("pass", SIX, settings={"max_admins": 6}),
    count("pass", admins(ADA), row("bob", scope=ACCOUNT), says="for nobody who is administrator: p1"),
    count("pass", admins(ADA), row(f"{IAM}root", scope=ACCOUNT), says="can recover the account"),
    count("pass", admins(*SIX, human=False), says="0 people"),
    count("fail", admins(*SIX, human=False), {"docs.registers.people": {
        name: {"identities": f"{name}; u@x.org"} for name in SIX}}, says="6 people"),
    count("pass", admins(*(f"{IAM}role/r{number}" for number in range(9))), says="0 people"),
    count("fail", {SSO: SET}, people(*(f"{number}@x.org" for number in range(6))), says="6 people"),
    count("pass", {SSO: SET, SSO + "2": SET}, people("a@x.org", "b@x.org"), says="2 people"),
    count("pass", {SSO: {**SET, "people_from": [f"{IAM}saml-provider/AWSSSO_1a_DO_NOT_DELETE"]}},
          people("a@x.org", "b@x.org"), says="2 people"),
    count("not_evaluated", {SSO: SET}, says="permission set Admins"),
    count("not_evaluated", {SSO: SET}, people("a@x.org", unresolved=["group g"]), says="group g"),
    count("not_evaluated", {ADA: principal(unread=LOST)}, says="group staff"),
    count("fail", SIX | {f"{IAM}user/z": principal(unread=LOST)}),
    count("not_evaluated", admins(RUNNER, people_from=["idp"]), says="who signs in by idp"),
    count("not_evaluated", admins(RUNNER, outside=[OUTSIDE]), says=f"who takes {RUNNER}"),
    count("pass", admins(RUNNER, outside=[OUTSIDE]) | {ABROAD: principal(
        ABROAD, account="222222222222", abroad=[f"{IAM}role/r*"])}, says="1 people"),
    count("pass", admins(RUNNER, outside=[OUTSIDE]) | {ABROAD: principal(ABROAD, account="222222222222")},
          says="0 people"),
    count("not_evaluated", admins(ADA), partial={PRINCIPALS: PARTIAL}),
    count("not_evaluated", PARTIAL),
]  # fmt: skip

PRODUCTION = {"environments": {"test:1": "production"}}
STAGING = {"environments": {"test:1": "staging"}}
ROBOT = {**PRODUCTION, "access": {"deployment_identities": [f"{IAM}role/run*"], "ml_roles": [], "allowed": {}}}
PLACES = {"aws.access.model_places": {"models": {"bucket": "models"}}}


def writes(status: str, facts: Any, *here: dict[str, Any], key: str = ADA, says: str = "", **settings: Any) -> Vector:
    held = {name: stream for streams in here for name, stream in streams.items()}
    given = settings or PRODUCTION
    return Vector("env-prod-writers-limited", status, facts, key=key, here=held, says=says, settings=given)


WRITES = [
    writes("pass", principal()),
    writes("pass", principal(writes=DEPLOY), row(ADA), says="privileged_access.csv"),
    writes("pass", principal(RUNNER, writes=DEPLOY), key=RUNNER, **ROBOT),
    writes("fail", principal(writes=DEPLOY), says="sagemaker:UpdateEndpoint"),
    writes("fail", principal(writes=DEPLOY), row("bob")),
    writes("fail", principal(writes=DEPLOY), environments={"aws:2": "staging"}),
    writes("fail", principal(puts=["arn:aws:s3:::mod*"]), PLACES, says="s3:PutObject on models"),
    writes("pass", principal(puts=["arn:aws:s3:::data/*"]), PLACES),
    writes("not_evaluated", principal(puts=["*"]), {"aws.access.model_places": PARTIAL}),
    writes("not_evaluated", principal(writes=DEPLOY), environments={}, says="no account has a label"),
    writes("not_evaluated", principal(unread=UNREAD), says="iam:GetPolicyVersion"),
    writes("not_evaluated", principal(SSO, permission_set="Admins", writes=DEPLOY), key=SSO),
    writes("fail", principal(SSO, permission_set="Admins", writes=DEPLOY), people("a@x.org"), key=SSO, says="a@x.org"),
    writes("not_applicable", principal(writes=DEPLOY), **STAGING),
    writes("not_applicable", principal(RUNNER, writes=DEPLOY, service_linked=True), key=RUNNER),
]


def overlap(status: str, facts: Any, *here: dict[str, Any], key: str = ADA, says: str = "", **settings: Any) -> Vector:
    held = {name: stream for streams in here for name, stream in streams.items()}
    given = settings or PRODUCTION
    return Vector("sod-permission-overlap", status, facts, key=key, here=held, says=says, settings=given)


BOTH = principal(build=BUILD, deploy=DEPLOY)
MANY = {PRINCIPALS: {f"{IAM}user/u{number}": principal(build=BUILD) for number in range(6)}}
OTHER_SET = {PRINCIPALS: {**MANY[PRINCIPALS], SSO + "0": principal(SSO + "0", permission_set="Admins", deploy=DEPLOY)}}

OVERLAP = [
    overlap(
        "not_evaluated",
        principal(SSO, permission_set="Admins", build=BUILD, deploy=DEPLOY),
        key=SSO,
        says="permission set Admins",
    ),
    overlap("pass", principal(build=BUILD)),
    overlap("fail", BOTH, MANY, says="may build by sagemaker:CreateTrainingJob and deploy by sagemaker:UpdateEndpoint"),
    overlap("fail", BOTH, MANY, environments={}),
    overlap("not_applicable", BOTH, {PRINCIPALS: {ADA: BOTH}}, says="1 people build or deploy, fewer than 6"),
    overlap("not_applicable", BOTH, MANY, row(ADA), says="registered administrator"),
    overlap("not_applicable", BOTH, MANY, **STAGING),
    overlap("not_applicable", {**BOTH, "human": False}, MANY, says="no person"),
    overlap("not_applicable", principal(RUNNER, build=BUILD, deploy=DEPLOY), MANY, key=RUNNER),
    overlap("fail", principal(SSO, permission_set="Admins", build=BUILD), OTHER_SET, people("a@x.org"), key=SSO),
    overlap("not_evaluated", principal(SSO, permission_set="Admins", build=BUILD), MANY, key=SSO),
    overlap("not_evaluated", principal(build=BUILD, unread=UNREAD), MANY),
    overlap("not_evaluated", BOTH, {PRINCIPALS: PARTIAL}),
]

BUCKET, SERVER = "arn:aws:s3:::data", f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:mlflow-tracking-server/runs"
LISTED = {"access": {"allowed": {BUCKET: [RUNNER, f"{IAM}role/etl-*"], SERVER: [RUNNER]}}}
EVERYBODY = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}}
LINKED = f"{IAM}role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"


def bucket(
    status: str,
    *,
    readers: Any = (RUNNER,),
    label: str | None = "restricted",
    policy: Any = None,
    owner: Any = "BucketOwnerEnforced",
    says: str = "",
    unread: Any = (),
    **more: Any,
) -> Vector:
    reach = {"readers": list(readers), "writers": [RUNNER], "conditions": ["aws:SourceVpc"], "unread": list(unread)}
    here = {"aws.access.reach": {BUCKET: reach}, "aws.s3.exposures": {BUCKET: {"ownership": owner}}}
    facts = {"name": "data", "tags": {"data_class": label} if label else {}, "policy": policy}
    held = {"here": here, "settings": LISTED} | more
    return Vector("bucket-named-principals", status, facts, key=BUCKET, says=says, **held)


BUCKETS = [
    bucket("pass", says="1 principals, all in the list"),
    bucket("pass", readers=[f"{IAM}role/etl-night"], says="conditions not evaluated: aws:SourceVpc"),
    bucket("pass", readers=[LINKED]),
    bucket("pass", label=None),
    bucket("fail", readers=[RUNNER, ADA], says=ADA),
    bucket("fail", readers=["cloudtrail.amazonaws.com"], says="cloudtrail.amazonaws.com"),
    bucket("fail", policy=EVERYBODY, says="allows everybody"),
    bucket("fail", owner="ObjectWriter", says="object ownership is ObjectWriter"),
    bucket("fail", owner=None, says="not set"),
    bucket("fail", readers=[ADA], unread=UNREAD),
    bucket("not_evaluated", unread=UNREAD, says="iam:GetPolicyVersion"),
    bucket("not_evaluated", policy=DENIED),
    bucket("not_evaluated", owner=DENIED),
    bucket("not_evaluated", settings={}, says="no list for the bucket"),
    bucket("not_evaluated", label=None, settings={**LISTED, "default_data_class": ""}),
    bucket("not_evaluated", here={"aws.access.reach": PARTIAL}),
    bucket("not_applicable", label="internal", settings={}),
    bucket("not_applicable", label="public"),
]


def server(status: str, users: Any = (RUNNER,), says: str = "", **more: Any) -> Vector:
    reach = {"users": list(users), "conditions": [], "unread": []}
    held = {"here": {"aws.access.reach": {SERVER: reach}}, "settings": LISTED} | more
    return Vector("mlflow-managed-access", status, {"name": "runs"}, key=SERVER, says=says, **held)


SERVERS = [
    server("pass"),
    server("fail", [ADA], says=ADA),
    server("not_evaluated", settings={}, says="no list for runs"),
    server("not_evaluated", here={"aws.access.reach": {}}),
    server("not_evaluated", here={"aws.access.reach": DENIED}),
]

WIDE = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NARROW = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
USERS, POLICIES, SETS = "aws.iam.users", "aws.iam.policies", "aws.sso.permission_sets"
CUSTOM = f"{IAM}policy/wide"


def wildcard(status: str, facts: Any, over: str, key: str = ADA, says: str = "", **here: Any) -> Vector:
    return Vector("iam-no-wildcard-policy", status, facts, over, key=key, says=says, **here)


def having(*names: str) -> dict[str, Any]:
    """Users who have the wide policy, and a register that names ada."""
    held = {f"{IAM}user/{name}": {"name": name, "attached": [CUSTOM]} for name in names}
    return row(ADA) | {USERS: held, "aws.iam.roles": {}, "aws.iam.groups": {}}


WILDCARDS = [
    wildcard("pass", {"name": "ada", "inline": {"a": NARROW}}, USERS),
    wildcard("fail", {"name": "ada", "inline": {"a": WIDE}}, USERS),
    wildcard("pass", {"name": "ada", "inline": {"a": WIDE}}, USERS, here=row(ADA), says="row p1"),
    wildcard("fail", {"name": "ada", "inline": {"a": WIDE}}, USERS, here=row("bob")),
    wildcard("not_evaluated", {"name": "ada", "inline": {"a": DENIED}}, USERS),
    wildcard("not_applicable", {"attached_to": 0, "document": WIDE}, POLICIES, CUSTOM),
    wildcard("fail", {"attached_to": 1, "document": WIDE}, POLICIES, CUSTOM),
    wildcard("pass", {"attached_to": 1, "document": WIDE}, POLICIES, CUSTOM, here=having("ada")),
    wildcard("fail", {"attached_to": 2, "document": WIDE}, POLICIES, CUSTOM, here=having("ada", "bob")),
    wildcard("pass", {"name": "Admins", "inline": None}, SETS, "s"),
    wildcard("fail", {"name": "Admins", "inline": WIDE}, SETS, "s"),
    wildcard("pass", {"name": "Admins", "inline": WIDE}, SETS, "s", here=row("admins")),
    wildcard("not_evaluated", {"name": "Admins", "inline": DENIED}, SETS, "s"),
]

ROLES = "aws.iam.roles"


def ml(status: str, *statements: Any, trusted: str = "sagemaker.amazonaws.com", says: str = "", **more: Any) -> Vector:
    trust = {"Statement": {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}}
    facts = {"name": "runner", "trust": trust, "inline": {"own": {"Statement": list(statements)}}, "boundary": None}
    facts["attached"] = more.pop("attached", [])
    return Vector("iam-ml-service-wildcards", status, facts, ROLES, key=RUNNER, says=says, **more)


ALL_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
ML_ROLE = {"access": {"ml_roles": [RUNNER], "deployment_identities": [], "allowed": {}}}
MACHINES = [
    ml("pass", {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::ml-*"}),
    ml("fail", ALL_S3, says="s3:* on any bucket"),
    ml("fail", ALL_S3, trusted="batch.amazonaws.com", settings=ML_ROLE),
    ml("not_applicable", ALL_S3, trusted="batch.amazonaws.com"),
    ml("not_evaluated", attached=["arn:aws:iam::aws:policy/X"], here={"aws.iam.managed_policies": {}}),
    ml("not_evaluated", attached=["arn:aws:iam::aws:policy/X"], here={"aws.iam.managed_policies": DENIED}),
]

SERVICE = "aws.iam.service_credentials"
NEW, OLD = "2027-01-10T00:00:00Z", "2026-10-01T00:00:00Z"


def credential(status: str, created: str, state: Any = "Active", expires: Any = None, says: str = "") -> Vector:
    facts = {"user": "ada", "service": "bedrock.amazonaws.com", "status": state, "created": created, "expires": expires}
    return Vector("iam-key-age", status, facts, SERVICE, key=f"{ADA}/service-credential/1", says=says)


CREDENTIALS = [
    credential("pass", NEW),
    credential("fail", OLD, says="created 2026-10-01, limit 90 days"),
    credential("fail", OLD, expires="2027-06-01T00:00:00Z"),
    credential("not_applicable", OLD, "Inactive"),
    credential("not_applicable", OLD, expires="2027-01-01T00:00:00Z", says="expired on 2027-01-01"),
    credential("not_evaluated", OLD, DENIED),
]

VECTORS = [
    *INVENTORY, *COUNT, *WRITES, *OVERLAP, *BUCKETS, *SERVERS, *WILDCARDS, *MACHINES, *CREDENTIALS,
]  # fmt: skip
NEVER = {
    "iam-admin-count": "not_applicable: there is always an account",
    "mlflow-managed-access": "not_applicable: without a managed server there is nothing to judge",
}
