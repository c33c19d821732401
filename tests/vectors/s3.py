"""Buckets: exposure, encryption, versions."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ALL, NONE = dict.fromkeys(FLAGS, True), dict.fromkeys(FLAGS, False)
ACCOUNT, BUCKET = "arn:aws:iam::111111111111:root", "arn:aws:s3:::data"
ASSETS = "docs.registers.assets"
APPROVED = {
    "id": "A-1", "name": "data", "location": "", "data_class": "public", "approved_by": "ada@example.com",
    "retired_on": "",
}  # fmt: skip


def _account(block: Any) -> dict[str, Any]:
    return {"aws.s3.account": {ACCOUNT: {"block": block}}}


def _exposure(**told: Any) -> dict[str, Any]:
    return {"name": "data", "block": NONE, "policy_status": None, "grants": [], "ownership": None} | told


def _described(**tags: str) -> dict[str, Any]:
    return {"aws.s3.buckets": {BUCKET: {"tags": tags}}}


def _registered(**told: Any) -> dict[str, Any]:
    return {ASSETS: {"A-1": APPROVED | told}}


_OPEN = {**_account(NONE), "aws.s3.access_points": {}}
_PUBLIC = _exposure(policy_status={"IsPublic": True})
_TLS = {
    "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [BUCKET, f"{BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}  # fmt: skip


def _default(**applied: str) -> dict[str, Any]:
    return {"encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": applied}]}}


VECTORS = [
    Vector("account-public-block", "pass", {"block": ALL}, key=ACCOUNT),
    Vector("account-public-block", "fail", {"block": None}, key=ACCOUNT, says="off for the account"),
    Vector("account-public-block", "not_evaluated", {"block": DENIED}, key=ACCOUNT),
    Vector("account-public-block", "not_applicable", {"block": NONE}, key=ACCOUNT, says="by ada@example.com",
           here={**_registered(), "aws.s3.exposures": {BUCKET: {}}}),
    Vector("account-public-block", "fail", {"block": NONE}, key=ACCOUNT,
           here={**_registered(approved_by=""), "aws.s3.exposures": {BUCKET: {}}}),
    Vector("account-public-block", "fail", {"block": NONE}, key=ACCOUNT,
           here={**_registered(), "aws.s3.exposures": {"arn:aws:s3:::other": {}}}),
    Vector("account-public-block", "not_evaluated", {"block": NONE}, key=ACCOUNT,
           here={**_registered(), "aws.s3.exposures": DENIED}),
    # ---
    Vector("bucket-public-block", "pass", _exposure(block=ALL)),
    Vector("bucket-public-block", "pass", _exposure(), here=_account(ALL)),
    Vector("bucket-public-block", "fail", _exposure(), here=_account(None)),
    Vector("bucket-public-block", "not_evaluated", _exposure(block=DENIED)),
    Vector("bucket-public-block", "not_applicable", _exposure(), key=BUCKET, here=_registered() | _described()),
    # ---
    Vector("bucket-not-public", "pass", _exposure(), here=_OPEN),
    Vector("bucket-not-public", "fail", _PUBLIC, here=_OPEN),
    Vector("bucket-not-public", "not_evaluated", _exposure(policy_status=DENIED), here=_OPEN),
    Vector("bucket-not-public", "not_applicable", _PUBLIC, key=BUCKET, here=_OPEN | _registered() | _described()),
    Vector("bucket-not-public", "not_applicable", _PUBLIC, key=BUCKET,
           here=_OPEN | _registered(name="s3://data/") | _described(data_class="Public")),
    Vector("bucket-not-public", "fail", _PUBLIC, key=BUCKET,
           here=_OPEN | _registered() | _described(data_class="restricted")),
    Vector("bucket-not-public", "fail", _PUBLIC, key=BUCKET, here=_OPEN | _registered(data_class="internal")),
    Vector("bucket-not-public", "fail", _PUBLIC, key=BUCKET, here=_OPEN | _registered(approved_by=None)),
    Vector("bucket-not-public", "fail", _PUBLIC, key=BUCKET, here=_OPEN | _registered(retired_on="2026-01-01")),
    Vector("bucket-not-public", "not_evaluated", _PUBLIC, key=BUCKET,
           here=_OPEN | _registered() | {"aws.s3.buckets": DENIED}),
    Vector("bucket-not-public", "not_evaluated", _exposure(), key=BUCKET, here=_OPEN | {ASSETS: {}},
           partial={ASSETS: Gap(Reason.MALFORMED)}),
    # ---
    Vector("bucket-encryption", "pass", _default(SSEAlgorithm="aws:kms", KMSMasterKeyID="alias/data"),
           says="aws:kms with key alias/data"),
    Vector("bucket-encryption", "pass", _default(SSEAlgorithm="AES256")),
    Vector("bucket-encryption", "fail", {"encryption": None}),
    Vector("bucket-encryption", "not_evaluated", {"encryption": DENIED}),
    # ---
    Vector("bucket-tls-only", "pass", {"policy": {"Statement": [_TLS]}}, key=BUCKET),
    Vector("bucket-tls-only", "fail", {"policy": None}, key=BUCKET),
    Vector("bucket-tls-only", "fail", {"policy": {"Statement": [_TLS | {"Action": "s3:GetObject"}]}}, key=BUCKET),
    Vector("bucket-tls-only", "not_evaluated", {"policy": DENIED}, key=BUCKET),
    # ---
    Vector("bucket-versioning", "pass", {"versioning": {"Status": "Enabled", "MFADelete": None}}),
    Vector("bucket-versioning", "fail", {"versioning": {"Status": "Suspended", "MFADelete": None}}),
    Vector("bucket-versioning", "not_evaluated", {"versioning": DENIED}),
]  # fmt: skip
