"""Buckets."""

from __future__ import annotations

from tests.judging import DENIED
from tests.vectors import Vector

_ALL = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)

VECTORS = [
    Vector("account-public-block", "pass", {"block": _ALL}),
    Vector("account-public-block", "fail", {"block": None}, says="off for the account"),
    Vector("account-public-block", "not_evaluated", {"block": DENIED}),
]
NEVER = {"account-public-block": "not_applicable: an approved public bucket in the account is a register's row"}
