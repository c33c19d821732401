"""What users, roles and groups of an AWS account may do by their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.policy import ANY, condition_keys, denies, full_rights, grants, trusted_services

_SAGEMAKER = "sagemaker.amazonaws.com"


def _allow(*actions: str, but: tuple[str, ...] = ()) -> Mapping[str, Any]:
    said = {"NotAction": list(but)} if but else {"Action": list(actions)}
    return {"Statement": [{"Effect": "Allow", **said, "Resource": "*"}]}


_BY_AWS = {
    "AdministratorAccess": _allow("*"),
    "AmazonS3FullAccess": _allow("s3:*"),
    "AmazonSageMakerFullAccess": _allow("sagemaker:*"),
    "IAMFullAccess": _allow("iam:*"),
    "PowerUserAccess": _allow(but=("account:*", "iam:*", "organizations:*")),
}
"""The wide rights of policies that AWS wrote: their texts are not collected, these are known by name."""


@check("iam-no-direct-user-policy", over="aws.iam.users")
def no_direct_user_policy(user: Facts, ctx: Context) -> Verdict:
    """Users get rights through groups only: no policy is on the user itself."""
    inline, attached = list(user["inline"].names()), list(user.list("attached"))
    if inline or attached:
        names = ", ".join([*inline, *(arn.rpartition("/")[2] for arn in attached)])
        return failed(f"policies on the user itself: {names}", inline=inline, attached=attached)
    return passed("no policy on the user itself", inline=[], attached=[])


@check("iam-no-wildcard-policy", over="aws.iam.users")
@check("iam-no-wildcard-policy", over="aws.iam.roles")
@check("iam-no-wildcard-policy", over="aws.iam.groups")
def no_wildcard_policy(holder: Facts, ctx: Context) -> Verdict:
    """No inline policy allows all actions on all resources."""
    inline = holder.plain("inline")
    wide = sorted(name for name, document in inline.items() if full_rights(document))
    if wide:
        return failed(f"all actions on all resources by inline policy {', '.join(wide)}", policies=wide)
    return passed("no inline policy over all actions and resources", inline=sorted(inline))


@check("iam-no-wildcard-policy", over="aws.iam.policies")
def no_wildcard_customer_policy(policy: Facts, ctx: Context) -> Verdict:
    """No attached customer policy allows all actions on all resources."""
    if policy["attached_to"] == 0:
        return inapplicable("attached to nothing")
    wide = full_rights(policy.plain("document"))
    if not wide:
        return passed("not over all actions and resources")
    under = sorted(set().union(*map(condition_keys, wide)))
    narrowed = f" (conditions not evaluated: {', '.join(under)})" if under else ""
    return failed(f"all actions on all resources{narrowed}", conditions=under, statements=wide)


@check("iam-ml-service-wildcards", over="aws.iam.roles")
def ml_service_wildcards(role: Facts, ctx: Context) -> Verdict:
    """No SageMaker role holds all of S3 or SageMaker, or may pass any role.

    A static reading: allow minus unconditional deny, within the permission boundary. Conditions and
    organisation guardrails are not evaluated; a pass holds under the widest reading.
    """
    if _SAGEMAKER not in trusted_services(role.plain("trust")):
        return inapplicable(f"not trusted by {_SAGEMAKER}")
    documents, unread = _texts(role.list("attached"), ctx)
    documents |= role.plain("inline")
    boundary = role["boundary"]
    within, unread_boundary = _texts([boundary] if boundary else [], ctx)
    rights = []
    by: set[str] = set()
    under: set[str] = set()
    for right, action, resources in _asked(role.key):
        held = {name: _held(documents, name, action, resources) for name in documents}
        held = {name: found for name, found in held.items() if found}
        if held and all(_held(within, name, action, resources) for name in within):
            rights.append(right)
            by.update(held)
            under.update(*(condition_keys(statement) for found in held.values() for statement in found))
    told = {"rights": rights, "policies": sorted(by), "conditions": sorted(under)}
    if rights and not unread_boundary:
        narrowed = f"; conditions not evaluated: {', '.join(sorted(under))}" if under else ""
        return failed(f"{', '.join(rights)} by {', '.join(sorted(by))}{narrowed}", **told)
    missing = sorted(unread + (unread_boundary if rights else []))
    if missing:
        return undecided(Reason.DEPENDENCY, f"text not collected of {', '.join(missing)}", unread=missing, **told)
    return passed("none of the asked rights; conditions and organisation guardrails not evaluated", **told)


def _texts(arns: Any, ctx: Context) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Documents of managed policies by ARN, and the ARNs of those not known."""
    known, unread = {}, []
    for arn in arns:
        if arn.split(":")[4] == "aws":
            document = _BY_AWS.get(arn.rpartition("/")[2])
        else:
            policy = ctx.here("aws.iam.policies").one(arn)
            document = policy.plain("document") if policy else None
        if document is None:
            unread.append(arn)
        else:
            known[arn] = document
    return known, unread


def _asked(role: str) -> list[tuple[str, str, list[str]]]:
    """The rights asked about: in words, as an action, on any of these resources."""
    _, partition, _, _, account, _ = role.split(":", 5)
    bucket = f"arn:{partition}:s3:::{ANY}"
    return [
        ("s3:* on any bucket", f"s3:{ANY}", [bucket, f"{bucket}/{ANY}"]),
        ("iam:PassRole on any role", "iam:PassRole", [f"arn:{partition}:iam::{account}:role/{ANY}"]),
        ("all of sagemaker:*", f"sagemaker:{ANY}", [f"arn:{partition}:sagemaker::{account}:{ANY}/{ANY}"]),
    ]


def _held(documents: Mapping[str, Any], name: str, action: str, resources: list[str]) -> list[Mapping[str, Any]]:
    """Statements of a document that give a right which no document takes away."""
    return [
        statement
        for resource in resources
        if not any(denies(document, action, resource) for document in documents.values())
        for statement in grants(documents[name], action, resource)
    ]
