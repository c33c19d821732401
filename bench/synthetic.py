"""Invented documents of about 1.7 KB that look like buckets of an ML company, and how they change.

Same seed, same documents. Ids, names and key numbers are random, as they are in a real account, so
that compression meets what it will meet: shapes that repeat and values that do not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Facts = dict[str, Any]

_TEAMS = ("vision", "speech", "ranking", "platform", "labelling", "safety", "billing", "search")
_USES = ("train-raw", "train-clean", "checkpoints", "features", "exports", "artifacts", "logs", "eval")
_CLASSES = ("public", "internal", "confidential", "restricted")
_REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")
_START = datetime(2024, 1, 1, tzinfo=UTC)


def make(random: Random, number: int) -> Facts:
    """Facts of one bucket."""
    team, use, region = random.choice(_TEAMS), random.choice(_USES), random.choice(_REGIONS)
    name = f"{team}-{use}-{number:05d}-{random.randbytes(3).hex()}"
    account = f"{random.randrange(10**11, 10**12)}"
    return {
        "name": name,
        "region": region,
        "created": _moment(random),
        "encryption": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "KMSMasterKeyID": _key(random, region, account),
                        "SSEAlgorithm": "aws:kms",
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        },
        "policy": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "RefusePlainRequests",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Sid": f"{team.title()}Reads",
                    "Effect": "Allow",
                    "Principal": {"AWS": [_role(random, account) for _ in range(2)]},
                    "Action": ["s3:GetObject", "s3:ListBucket"],
                    "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
                },
                {
                    "Sid": f"{team.title()}WritesFromItsNetwork",
                    "Effect": "Allow",
                    "Principal": {"AWS": [_role(random, account)]},
                    "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                    "Resource": [f"arn:aws:s3:::{name}/*"],
                    "Condition": {"StringEquals": {"aws:SourceVpce": f"vpce-0{random.randbytes(8).hex()}"}},
                },
            ],
        },
        "versioning": {"MFADelete": None, "Status": random.choice(("Enabled", "Enabled", "Suspended"))},
        "logging": {"TargetBucket": f"{team}-access-logs", "TargetPrefix": f"{name}/"},
        "lifecycle": [
            {
                "ID": "expire-old-versions",
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": {"NoncurrentDays": random.choice((30, 60, 90))},
                "Status": "Enabled",
            },
        ],
        "owner": random.randbytes(32).hex(),
        "object_lock": None,
        "replication": None,
        "tags": {"data_class": random.choice(_CLASSES), "env": random.choice(("prod", "dev")), "team": team},
    }


def changed(random: Random, facts: Facts) -> Facts:
    """The same bucket after somebody changed one thing about it; the facts given stay as they are."""
    after = copy.deepcopy(facts)
    random.choice(_CHANGES)(random, after)
    return after


def _policy(random: Random, facts: Facts) -> None:
    readers: list[str] = facts["policy"]["Statement"][1]["Principal"]["AWS"]
    readers[random.randrange(len(readers))] = _role(random, readers[0].split(":")[4])


def _new_key(random: Random, facts: Facts) -> None:
    rule = facts["encryption"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    rule["KMSMasterKeyID"] = _key(random, facts["region"], rule["KMSMasterKeyID"].split(":")[4])


def _versioning(random: Random, facts: Facts) -> None:
    del random
    facts["versioning"]["Status"] = "Suspended" if facts["versioning"]["Status"] == "Enabled" else "Enabled"


def _lifecycle(random: Random, facts: Facts) -> None:
    facts["lifecycle"][0]["NoncurrentVersionExpiration"]["NoncurrentDays"] = random.randrange(1, 400)


def _logging(random: Random, facts: Facts) -> None:
    facts["logging"] = {
        "TargetBucket": f"{random.choice(_TEAMS)}-access-logs",
        "TargetPrefix": facts["logging"]["TargetPrefix"],
    }


def _tags(random: Random, facts: Facts) -> None:
    facts["tags"]["data_class"] = random.choice([name for name in _CLASSES if name != facts["tags"]["data_class"]])


_CHANGES: tuple[Callable[[Random, Facts], None], ...] = (
    _policy,
    _policy,
    _new_key,
    _versioning,
    _lifecycle,
    _logging,
    _tags,
)
"""What changes; policies twice as often as the rest."""


def key_of(facts: Facts) -> str:
    """The record's key."""
    return f"arn:aws:s3:::{facts['name']}"


def request_id(random: Random) -> str:
    """A request id as AWS gives it."""
    text = random.randbytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _moment(random: Random) -> str:
    return (_START + timedelta(seconds=random.randrange(60_000_000))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(random: Random, region: str, account: str) -> str:
    return f"arn:aws:kms:{region}:{account}:key/{request_id(random)}"


def _role(random: Random, account: str) -> str:
    return f"arn:aws:iam::{account}:role/{random.choice(_TEAMS)}-{random.choice(_USES)}-{random.randbytes(4).hex()}"
