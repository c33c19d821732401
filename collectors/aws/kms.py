"""Keys of a region: who manages them, their state and rotation, and whom policy and grants let in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from agent.canonical import canonical
from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.client import Client
from collectors.aws.policy import document

ROTATED = ("CUSTOMER", "SYMMETRIC_DEFAULT", "AWS_KMS")
"""Manager, spec and origin of the keys that KMS can rotate by itself; a symmetric key only encrypts."""

_GONE = "NotFoundException"


@stream(
    "aws.kms.keys",
    per="region",
    every="1d",
    needs={
        "DescribeKey": "kms:DescribeKey",
        "GetKeyPolicy": "kms:GetKeyPolicy",
        "GetKeyRotationStatus": "kms:GetKeyRotationStatus",
        "ListAliases": "kms:ListAliases",
        "ListGrants": "kms:ListGrants",
        "ListKeys": "kms:ListKeys",
    },
)
def keys(account: AwsAccount) -> Iterator[Record | Gap]:
    """Keys of the region, those that AWS manages for the account included.

    Policy and grants are asked for keys of the customer's only, rotation for those of them that KMS can
    rotate by itself: records of others hold none of these names, `rotation` is then null. Aliases come
    from one listing. Grants are kept once for each grantee and what it may do, of encryption contexts
    the names only. `deletion_date` is a time, RFC 3339 in UTC. A key that is gone by the time it is
    described is left out; one whose description is refused is named as not seen.
    Source: ListKeys, DescribeKey, GetKeyRotationStatus, GetKeyPolicy, ListGrants, ListAliases.
    """
    kms = account.client("kms")
    aliases = _aliases(kms)
    for found in spread(partial(_key, kms, aliases), pages(kms, "list_keys", "Keys")):
        if found is not None:
            yield found


def _key(kms: Client, aliases: Mapping[str, list[str]] | Gap, listed: Mapping[str, Any]) -> Record | Gap | None:
    id, arn = listed["KeyId"], listed["KeyArn"]
    try:
        told = kms.describe_key(KeyId=id).get("KeyMetadata")
    except SourceError as error:
        gap = error.gap
        return None if gap.code == _GONE else Gap(gap.reason, gap.op, gap.code, gap.need, key=arn)
    if not told:
        return Gap(Reason.MALFORMED, "DescribeKey", "NoKeyMetadata", "kms:DescribeKey", key=arn)
    facts = {
        "id": id,
        "manager": told.get("KeyManager"),
        "state": told.get("KeyState"),
        "spec": told.get("KeySpec"),
        "usage": told.get("KeyUsage"),
        "origin": told.get("Origin"),
        "multi_region": told.get("MultiRegion"),
        "created": told.get("CreationDate"),
        "deletion_date": told.get("DeletionDate"),
        "aliases": aliases if isinstance(aliases, Gap) else aliases.get(id, []),
        "rotation": facet(kms.get_key_rotation_status, KeyId=id, pick=["KeyRotationEnabled", "RotationPeriodInDays"],
                          parse=_rotation) if _rotates_by_itself(told) else None,
    }  # fmt: skip
    if told.get("KeyManager") != "AWS":
        facts["policy"] = facet(kms.get_key_policy, KeyId=id, PolicyName="default", pick="Policy", parse=document)
        listed_grants = whole(kms, "list_grants", "Grants", KeyId=id)
        facts["grants"] = listed_grants if isinstance(listed_grants, Gap) else _grants(listed_grants)
    gone = any(isinstance(value, Gap) and value.code == _GONE for name, value in facts.items() if name != "aliases")
    return None if gone else Record(arn, facts)


def _rotates_by_itself(told: Mapping[str, Any]) -> bool:
    """Whether KMS can rotate the key without being told to; of any other its answer is an error."""
    return (told.get("KeyManager"), told.get("KeySpec"), told.get("Origin")) == ROTATED


def _rotation(told: Mapping[str, Any]) -> Json | Gap:
    if told["KeyRotationEnabled"] is None:
        return Gap(Reason.MALFORMED, "GetKeyRotationStatus", "NoKeyRotationEnabled")
    return {"enabled": told["KeyRotationEnabled"], "period_days": told["RotationPeriodInDays"]}


def _aliases(kms: Client) -> Mapping[str, list[str]] | Gap:
    """Names of aliases, `alias/…`, by the id of the key they stand for."""
    listed = whole(kms, "list_aliases", "Aliases")
    if isinstance(listed, Gap):
        return listed
    found: dict[str, list[str]] = defaultdict(list)
    for alias in sorted(listed, key=lambda alias: str(alias["AliasName"])):
        if alias.get("TargetKeyId"):
            found[alias["TargetKeyId"]].append(alias["AliasName"])
    return found


def _grants(listed: list[Mapping[str, Any]]) -> Json:
    """Who may do what by grants, each once: of many grants for one grantee only what differs is kept."""
    distinct = {canonical(grant): grant for grant in map(_grant, listed)}
    return [distinct[text] for text in sorted(distinct)]


def _grant(grant: Mapping[str, Any]) -> dict[str, Json]:
    constraints = grant.get("Constraints") or {}
    return {
        "grantee": grant.get("GranteePrincipal") or grant.get("GranteeServicePrincipal"),
        "operations": sorted(grant.get("Operations", [])),
        "constraints": {
            kind: value if isinstance(value, str) else sorted(value) for kind, value in sorted(constraints.items())
        },
    }
