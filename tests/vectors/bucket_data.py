"""The data in buckets: keys by class, labels, regions, retention."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

BUCKET, COPY = "arn:aws:s3:::data", "arn:aws:s3:::copy"
NEAR = "arn:aws:kms:eu-west-1:1:"
"""The scope that a judged record has here is `test:1`."""
KEY = f"{NEAR}key/1111"
FOREIGN = "arn:aws:kms:eu-west-1:222222222222:key/2222"
CUSTOMER = {"key_standard": dict.fromkeys(("public", "internal"), "provider")
            | dict.fromkeys(("confidential", "restricted"), "customer")}  # fmt: skip


def bucket(*, tags: Any = None, **told: Any) -> dict[str, Any]:
    """A bucket of class restricted, of which nothing else is set."""
    nothing = {
        "name": "data", "region": "eu-west-1", "encryption": None, "replication": None, "lifecycle": None,
        "object_lock": None, "versioning": {"Status": None, "MFADelete": None},
        "tags": {"data_class": "restricted"} if tags is None else tags,
    }  # fmt: skip
    return nothing | told


def _encrypted(named: str | None, algorithm: str = "aws:kms") -> dict[str, Any]:
    key = {"KMSMasterKeyID": named} if named else {}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **key}}]}


def _keys(**told: Any) -> dict[str, Any]:
    key = {"manager": "CUSTOMER", "state": "Enabled"} | told
    alias = {f"{NEAR}alias/data": {"key": KEY}}
    return {"aws.kms.keys": {KEY: key, FOREIGN: key}, "aws.kms.aliases": alias}


def _key(status: str, named: str | None, says: str = "", here: Any = None, **told: Any) -> Vector:
    given = {"encryption": _encrypted(named), **told}
    return Vector("bucket-customer-key", status, bucket(**given), key=BUCKET, says=says,
                  here=_keys() if here is None else here, settings=CUSTOMER)  # fmt: skip


PEOPLE = "docs.registers.people"
ADA = {"id": "P-1", "name": "Ada", "mail": "ada@example.com", "end_date": None, "identities": None}


def _tagged(status: str, tags: Any, says: str = "", **here: Any) -> Vector:
    told = {PEOPLE: {"P-1": ADA}, **{name.replace("__", "."): rows for name, rows in here.items()}}
    return Vector("asset-tagged", status, bucket(tags=tags), over="aws.s3.buckets", key=BUCKET, here=told, says=says)


_ROW = {"id": BUCKET, "name": None, "owner": "ada@example.com", "data_class": "internal", "retired_on": None}
_LABELS = {"owner": "Ada@example.com", "data_class": "Internal"}
_GOOGLE = {"mail": "grace@example.com", "aliases": ["gh@example.com"], "status": "active", "id": "1", "name": "Grace"}

EUROPE = {"allowed_regions": {"restricted": ["eu-west-1"], "internal": ["eu-west-1", "us-east-1"]}}


def _copied(status: str = "Enabled") -> dict[str, Any]:
    return {"Rules": [{"Status": status, "Destination": {"Bucket": COPY}}]}


def _region(status: str, says: str = "", settings: Any = None, here: Any = None, **told: Any) -> Vector:
    return Vector("region-allowed", status, bucket(**told), over="aws.s3.buckets", key=BUCKET, says=says,
                  here=here or {}, settings=EUROPE if settings is None else settings)  # fmt: skip


DATASETS = "docs.registers.datasets"


def _row(**told: Any) -> dict[str, Any]:
    row = {"name": "cases", "uri": "s3://data/cases", "contains_personal": "no", "deidentified": "no"}
    return {DATASETS: {"D-1": row | {"retention_days": None} | told}}


def _outside(status: str, says: str = "", here: Any = None, tags: Any = None, **settings: Any) -> Vector:
    label = {"environment": "Test", "data_class": "internal"} if tags is None else tags
    return Vector("nonprod-no-raw-personal", status, bucket(tags=label), over="aws.s3.buckets", key=BUCKET, says=says,
                  here=here or {}, settings=settings)  # fmt: skip


def rule(days: int | None = 90, former: int | None = None, **told: Any) -> dict[str, Any]:
    """A lifecycle rule over the whole bucket."""
    made: dict[str, Any] = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}}
    made |= {"Expiration": {"Days": days}} if days else {}
    made |= {"NoncurrentVersionExpiration": {"NoncurrentDays": former}} if former else {}
    return made | told


def _kept(status: str, *rules: Any, says: str = "", here: Any = None, **told: Any) -> Vector:
    given = {"tags": {"retention_days": "90"}, "lifecycle": list(rules) or None, **told}
    return Vector("lifecycle-matches", status, bucket(**given), key=BUCKET, says=says, here=here or {})


_VERSIONED = {"Status": "Enabled", "MFADelete": None}

VECTORS = [
    _key("pass", KEY, "enabled key"),
    _key("pass", "1111"),
    _key("pass", "alias/data"),
    _key("pass", f"{NEAR}alias/data"),
    _key("pass", FOREIGN),
    _key("pass", KEY, encryption=_encrypted(KEY, "aws:kms:dsse")),
    _key("pass", KEY, "no known class", tags={"data_class": "secret"}),
    _key("pass", KEY, "unlabelled", tags={}),
    _key("fail", None, "names none"),
    _key("fail", None, "encrypted with AES256", encryption=_encrypted(None, "AES256")),
    _key("fail", None, "encrypted with nothing", encryption=None),
    _key("fail", KEY, "managed by AWS", here=_keys(manager="AWS")),
    _key("fail", "alias/data", "PendingDeletion", here=_keys(state="PendingDeletion")),
    _key("not_evaluated", "alias/other", "not among those collected"),
    _key("not_evaluated", f"{NEAR}key/9999", "not among those collected"),
    _key("not_evaluated", KEY, here={"aws.kms.keys": DENIED}),
    _key("not_evaluated", KEY, here={"aws.kms.keys": {KEY: DENIED}}),
    _key("not_evaluated", "alias/data", here=_keys() | {"aws.kms.aliases": DENIED}),
    _key("not_evaluated", KEY, encryption=DENIED),
    _key("not_evaluated", KEY, tags=DENIED),
    _key("not_applicable", KEY, "class internal", tags={"data_class": "internal"}),
    Vector("bucket-customer-key", "not_applicable", bucket(tags=DENIED), says="of every class"),
    Vector("bucket-customer-key", "not_evaluated", bucket(tags={}), settings=CUSTOMER | {"default_data_class": ""},
           says="unlabelled"),
    # ---
    _tagged("pass", _LABELS, "owned by Ada@example.com"),
    _tagged("pass", _LABELS | {"owner": "ada"}),
    _tagged("pass", {}, docs__registers__assets={"1": _ROW}),
    _tagged("pass", {"owner": "gh@example.com", "data_class": "public"}, identity__google__users={"1": _GOOGLE}),
    _tagged("fail", {}, "no owner and no data_class"),
    _tagged("fail", {"owner": "ada"}, "no data_class"),
    _tagged("fail", _LABELS | {"data_class": "secret"}, "no known class"),
    _tagged("fail", _LABELS | {"owner": "grace"}, "no current person"),
    _tagged("fail", _LABELS | {"owner": "gh@example.com"}, identity__google__users={"1": _GOOGLE | {
        "status": "suspended"}}),
    _tagged("fail", _LABELS, docs__registers__people={"P-1": ADA | {"end_date": "2027-01-01"}}),
    _tagged("pass", _LABELS, docs__registers__people={"P-1": ADA | {"end_date": "2027-01-15"}}),
    _tagged("not_evaluated", DENIED),
    _tagged("not_evaluated", _LABELS, docs__registers__people=DENIED),
    Vector("asset-tagged", "not_evaluated", bucket(tags=_LABELS), over="aws.s3.buckets", says="no people"),
    Vector("asset-tagged", "not_evaluated", bucket(tags=_LABELS | {"owner": "grace"}), over="aws.s3.buckets",
           here={PEOPLE: {"P-1": ADA}}, partial={PEOPLE: Gap(Reason.PARTIAL)}),
    # ---
    _region("pass", "class restricted may lie in eu-west-1"),
    _region("pass", tags={}),
    _region("fail", "the bucket in us-east-1", region="us-east-1"),
    _region("pass", region="us-east-1", tags={"data_class": "internal"}),
    _region("pass", replication=_copied(), here={"aws.s3.buckets": {COPY: {"region": "eu-west-1"}}}),
    _region("fail", f"{COPY} in us-east-1", replication=_copied(),
            here={"aws.s3.buckets": {COPY: {"region": "us-east-1"}}}),
    _region("pass", replication=_copied("Disabled")),
    _region("not_evaluated", "not among the buckets", replication=_copied(), here={"aws.s3.buckets": {}}),
    _region("not_evaluated", region=DENIED),
    _region("not_evaluated", replication=DENIED),
    _region("not_evaluated", tags=DENIED),
    _region("not_evaluated", "no allowed_regions", settings={}),
    _region("not_evaluated", "unlabelled", tags={}, settings=EUROPE | {"default_data_class": ""}),
    _region("not_applicable", "no limit", tags={"data_class": "public"}),
    # ---
    _outside("pass", "class internal"),
    _outside("pass", here=_row(contains_personal="yes", deidentified="yes")),
    _outside("pass", here=_row(contains_personal="yes", uri="s3://data-other/cases")),
    _outside("fail", "class restricted", tags={"environment": "dev", "data_class": "restricted"}),
    _outside("fail", "D-1", here=_row(contains_personal="yes")),
    _outside("fail", "D-1", here=_row(contains_personal="yes", uri="s3://data"), tags={"environment": "dev"}),
    _outside("fail", "class restricted", tags={"data_class": "restricted"}, environments={"test:1": "staging"}),
    _outside("not_evaluated", "unlabelled", tags={"environment": "dev"}),
    _outside("not_evaluated", tags=DENIED),
    _outside("not_evaluated", here={DATASETS: DENIED}),
    _outside("not_applicable", "in production", tags={"environment": "Prod"}),
    _outside("not_applicable", "no environment is named", tags={"data_class": "restricted"}),
    # ---
    _kept("pass", rule(), says="90 days at most"),
    _kept("pass", rule(30)),
    _kept("pass", rule(90, 90), versioning=_VERSIONED),
    _kept("pass", rule(90), rule(None, 30, Filter={}), versioning=_VERSIONED),
    _kept("pass", rule(90, Filter=None, Prefix="")),
    _kept("pass", object_lock={"Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 90}}}),
    _kept("pass", tags={"retention_days": "730"},
          object_lock={"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 2}}}),
    _kept("pass", rule(Filter={"Prefix": "cases"}), tags={}, here=_row(retention_days="90")),
    _kept("fail", says="90 days by tag retention_days"),
    _kept("fail", rule(91)),
    _kept("fail", rule(Status="Disabled")),
    _kept("fail", rule(90), versioning=_VERSIONED),
    _kept("fail", rule(90, 91), versioning={"Status": "Suspended", "MFADelete": None}),
    _kept("fail", rule(90, NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 3}),
          versioning=_VERSIONED),
    _kept("fail", rule(Filter={"Prefix": "logs/"})),
    _kept("fail", rule(Filter={"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}})),
    _kept("fail", rule(Filter={"ObjectSizeGreaterThan": 1})),
    _kept("fail", rule(None, Expiration={"Date": "2026-01-01T00:00:00Z"})),
    _kept("fail", rule(10), tags={"retention_days": "90", "retention_min_days": "30"}),
    _kept("fail", rule(Filter={"Prefix": "cases/old"}), tags={}, here=_row(retention_days="90")),
    _kept("fail", rule(90), here=_row(retention_days="30"), says="30 days by data set cases"),
    _kept("fail", tags={"retention": "indefinite"}, says="retention_reason"),
    _kept("not_evaluated", rule(), tags={}, says="unlabelled"),
    _kept("not_evaluated", rule(), tags={"retention_days": "forever"}, says="no number of days"),
    _kept("not_evaluated", rule(), tags=DENIED),
    _kept("not_evaluated", lifecycle=DENIED),
    _kept("not_evaluated", rule(), versioning=DENIED),
    _kept("not_applicable", tags={"retention": "Indefinite", "retention_reason": "legal hold 7"}, says="legal hold 7"),
]  # fmt: skip
NEVER = {
    "asset-tagged": "not_applicable: the catalogue knows no such case",
    "bucket-encryption": "not_applicable: a listed fact of every bucket",
    "bucket-tls-only": "not_applicable: every bucket has it or not",
    "bucket-versioning": "not_applicable: by n/a of the catalogue, see data_integrity",
}
