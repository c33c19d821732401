"""What users, roles and groups of an AWS account may do by their policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.policy import ANY, condition_keys, full_rights, trusted_services
from checks.aws.privileged import exempted, row_for
from checks.aws.rights import Grant, Rights, Rules, conditions_of, read
from checks.registers import names

_SAGEMAKER = "sagemaker.amazonaws.com"


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
    """No inline policy allows everything, but of who is registered as privileged."""
    inline = holder.plain("inline")
    wide = sorted(name for name, document in inline.items() if full_rights(document))
    if not wide:
        return passed("no inline policy over all actions and resources", inline=sorted(inline))
    said = f"all actions on all resources by inline policy {', '.join(wide)}"
    if row := row_for(exempted(ctx, _scope(holder)), holder.key, holder["name"]):
        return passed(f"{said}; in the register by row {row['id']}", policies=wide, row=row["id"])
    return failed(said, policies=wide)


@check("iam-no-wildcard-policy", over="aws.iam.policies")
def no_wildcard_customer_policy(policy: Facts, ctx: Context) -> Verdict:
    """No attached customer policy allows all actions on all resources.

    But where everybody who has it is in the register of the privileged.
    """
    if policy["attached_to"] == 0:
        return inapplicable("attached to nothing")
    wide = full_rights(policy.plain("document"))
    if not wide:
        return passed("not over all actions and resources")
    under = sorted(set().union(*map(condition_keys, wide)))
    narrowed = f" (conditions not evaluated: {', '.join(under)})" if under else ""
    said = f"all actions on all resources{narrowed}"
    rows = exempted(ctx, _scope(policy))
    if rows:
        holders = list(_holders(policy.key, ctx))
        missing = sorted(one.key for one in holders if row_for(rows, one.key, one["name"]) is None)
        if holders and not missing:
            return passed(f"{said}; everybody who has it is in the register", holders=[one.key for one in holders])
    return failed(said, conditions=under, statements=wide)


@check("iam-no-wildcard-policy", over="aws.sso.permission_sets")
def no_wildcard_permission_set(permission_set: Facts, ctx: Context) -> Verdict:
    """No inline policy of a permission set allows all actions on all resources.

    But where the set is in the register of the privileged. Customer policies that it names are judged in
    the accounts they are of.
    """
    wide = full_rights(permission_set.plain("inline"))
    if not wide:
        return passed("no inline policy over all actions and resources")
    said = "all actions on all resources by the inline policy"
    if row := row_for(exempted(ctx, _scope(permission_set)), permission_set.key, permission_set["name"]):
        return passed(f"{said}; in the register by row {row['id']}", row=row["id"])
    return failed(said, statements=wide)


@check("iam-ml-service-wildcards", over="aws.iam.roles")
def ml_service_wildcards(role: Facts, ctx: Context) -> Verdict:
    """No ML role holds all of S3 or SageMaker, or may pass any role.

    ML roles are those that SageMaker may take, and those of `access.ml_roles`. A static reading: allow
    minus unconditional deny, within the permission boundary. Conditions and organisation guardrails are
    not evaluated; a pass holds under the widest reading.
    """
    listed = names(ctx.thresholds["access"]["ml_roles"], role.key)
    if not listed and _SAGEMAKER not in trusted_services(role.plain("trust")):
        return inapplicable(f"not trusted by {_SAGEMAKER}")
    policies, unread = _texts(role.list("attached"), ctx)
    policies |= {name: read(document) for name, document in role.plain("inline").items()}
    boundary = role["boundary"]
    within, unread_boundary = _texts([boundary] if boundary else [], ctx)
    rights = Rights(policies, within.get(boundary))
    held = {
        right: found for right, action, spaces in _asked(role.key, rights) if (found := _held(rights, action, spaces))
    }
    grants = [grant for found in held.values() for grant in found]
    by, under = sorted({grant.by for grant in grants}), conditions_of(grants)
    told = {"rights": list(held), "policies": by, "conditions": under}
    if held and not unread_boundary:
        narrowed = f"; conditions not evaluated: {', '.join(under)}" if under else ""
        return failed(f"{', '.join(held)} by {', '.join(by)}{narrowed}", **told)
    missing = sorted(unread + (unread_boundary if held else []))
    if missing:
        return undecided(Reason.DEPENDENCY, f"text not collected of {', '.join(missing)}", unread=missing, **told)
    return passed("none of the asked rights; conditions and organisation guardrails not evaluated", **told)


def _texts(arns: Iterable[str], ctx: Context) -> tuple[dict[str, Rules], list[str]]:
    """Rules of managed policies by ARN, and the ARNs of those that are not in the lists."""
    known, unread = {}, []
    for arn in arns:
        by_aws = arn.split(":")[4] == "aws"
        policy = ctx.here("aws.iam.managed_policies" if by_aws else "aws.iam.policies").one(arn)
        if policy is None:
            unread.append(arn)
        else:
            known[arn] = read(policy.plain("document"))
    return known, unread


def _asked(role: str, rights: Rights) -> list[tuple[str, str, list[str]]]:
    """The rights asked about: in words, as an action, on any of these resources."""
    _, partition, _, _, account, _ = role.split(":", 5)
    bucket, any_thing = f"arn:{partition}:s3:::{ANY}", f"{account}:{ANY}/{ANY}"
    regions = [f"arn:{partition}:sagemaker:{region}:{any_thing}" for region in sorted(rights.regions())]
    return [
        ("s3:* on any bucket", f"s3:{ANY}", [bucket, f"{bucket}/{ANY}"]),
        ("iam:PassRole on any role", "iam:PassRole", [f"arn:{partition}:iam::{account}:role/{ANY}"]),
        ("all of sagemaker:*", f"sagemaker:{ANY}", regions),
    ]


def _held(rights: Rights, action: str, spaces: Iterable[str]) -> list[Grant]:
    return [grant for space in spaces for grant in rights.grants(action, space)]


def _holders(policy: str, ctx: Context) -> Iterator[Facts]:
    """The users, roles and groups that have a managed policy attached."""
    for stream in ("aws.iam.users", "aws.iam.roles", "aws.iam.groups"):
        yield from (one for one in ctx.here(stream) if policy in one.list("attached"))


def _scope(record: Facts) -> str:
    """Judging scope of a record of an account."""
    return ":".join(record.scope.split(":")[:2])
