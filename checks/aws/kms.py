"""Encryption keys: rotated, not taken away from what they protect, open to known accounts only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.accounts import account_of, is_own
from checks.aws.policy import members, speaks_of_action, statements

KEYS = "aws.kms.keys"
REFERENCES = "aws.kms.references"
USES = "aws.kms.uses"

OUT_OF_USE = frozenset({"Disabled", "PendingDeletion", "PendingReplicaDeletion"})
"""States of a key in which what it protects cannot be read."""

_USERS = "aws.iam.users"

_ROTATED = ("SYMMETRIC_DEFAULT", "AWS_KMS")
_BY_ACCOUNT = frozenset({"kms:calleraccount", "aws:principalaccount", "aws:sourceaccount"})
_BY_OTHERS = frozenset(
    {"kms:viaservice", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid", "aws:sourceorgpaths"}
)
_EXACT = ("stringequals", "stringlike", "stringequalsignorecase", "foranyvalue:stringequals", "foranyvalue:stringlike")


@check("kms-rotation", over=KEYS)
def rotation(key: Facts, ctx: Context) -> Verdict:
    """A key that KMS can rotate by itself is rotated, often enough.

    Enabled symmetric keys of the customer whose material KMS made, threshold `key_rotation_days`.
    Source: GetKeyRotationStatus.
    """
    if outside := _of_aws(key):
        return outside
    spec, origin, state = key["spec"], key["origin"], key["state"]
    if (spec, origin) != _ROTATED:
        return inapplicable(f"rotated by hand: spec {spec}, origin {origin}", spec=spec, origin=origin)
    if state != "Enabled":
        return inapplicable(f"the key is {state}", state=state)
    told, limit = key["rotation"], ctx.thresholds["key_rotation_days"]
    if told is None or told["enabled"] is not True:
        return failed("the key is not rotated", enabled=False)
    days = told["period_days"]
    if days is None:
        return undecided(Reason.UNSUPPORTED, "rotated, how often is not told", enabled=True)
    facts = {"enabled": True, "period_days": days}
    if days > limit:
        return failed(f"rotated every {days} days, limit {limit} days", **facts)
    return passed(f"rotated every {days} days, limit {limit} days", **facts)


@check("kms-no-pending-deletion", over=KEYS)
def no_pending_deletion(key: Facts, ctx: Context) -> Verdict:
    """No key that a collected resource names is disabled or about to be deleted.

    Source: DescribeKey; the resources as `aws.kms.references` tells them, of every account. Data that
    names no key any more, such as an old object or a copied snapshot, is not seen.
    """
    if outside := _of_aws(key):
        return outside
    state = key["state"]
    if state not in OUT_OF_USE:
        return passed(f"the key is {state}", state=state)
    until = key["deletion_date"]
    on = f", to be deleted on {until[:10]}" if until else ""
    named = ctx.everywhere(REFERENCES)
    by = next((found for name in _names(key) if (found := named.one(name))), None)
    if by is not None:
        resources = by.plain("resources")
        return failed(
            f"the key is {state}{on}, and {by['count']} resources name it: {', '.join(resources)}",
            state=state, resources=resources, count=by["count"],
        )  # fmt: skip
    return passed(f"the key is {state}{on}; no collected resource names it", state=state)


@check("kms-policy-scoped", over=KEYS)
def policy_scoped(key: Facts, ctx: Context) -> Verdict:
    """Only known accounts get at a key by its policy or by grants.

    No Allow for everybody or a foreign account without a restricting condition on the calling account,
    the service that it comes through, or the organisation; no grant to an unknown account. What the
    policy leaves to IAM of the own account holds; who then may decrypt is listed. Where the setting
    `access.separate_duties` names the key, nobody both administers and uses it. Deny statements of the key
    policy do not mend an open Allow.
    """
    if outside := _of_aws(key):
        return outside
    policy, open_to = key.plain("policy"), []
    for statement in statements(policy, "Allow"):
        open_to += [
            who for who in _let_in(statement) if _is_foreign(who, key, ctx) and not _narrowed(statement, key, ctx)
        ]
    granted = [
        grantee
        for grant in key.list("grants")
        if (grantee := grant["grantee"]) and account_of(grantee) and _is_foreign(grantee, key, ctx)
    ]
    said = [f"the policy lets in {', '.join(sorted(set(open_to)))}"] if open_to else []
    said += [f"grants to {', '.join(sorted(set(granted)))}"] if granted else []
    facts = {"policy": sorted(set(open_to)), "grants": sorted(set(granted)), "by_iam": _left_to_iam(policy, key)}
    if said:
        return failed("; ".join(said), **facts)
    if key.key in (ctx.thresholds.get("access") or {}).get("separate_duties", []):
        return _separated(_uses(key, ctx), facts)
    iam = "; IAM of the account decides further" if facts["by_iam"] else ""
    if uses := _uses(key, ctx):
        facts |= {name: uses.plain(name) for name in ("may_decrypt", "may_decrypt_count", "conditions", "unread")}
    return passed(f"open to the company's own accounts only{iam}", **facts)


def key_named(reference: str, near: str, ctx: Context) -> Facts | None:
    """The collected key that a resource names by ARN, id or alias; None where no collected key is that.

    `near` is where a bare id or alias is looked for: `arn:aws:kms:REGION:ACCOUNT:`.
    """
    arn = whole_name(reference, near)
    view = ctx.here if arn.startswith(near) else ctx.everywhere
    if arn.split(":", 5)[-1].startswith("alias/"):
        stands_for = view("aws.kms.aliases").one(arn)
        return view(KEYS).one(stands_for["key"]) if stands_for else None
    return view(KEYS).one(arn)


def whole_name(reference: str, near: str) -> str:
    """ARN of a key or alias that is named by ARN, id or alias.

    >>> whole_name("alias/data", "arn:aws:kms:eu-west-1:111122223333:")
    'arn:aws:kms:eu-west-1:111122223333:alias/data'
    """
    if reference.startswith("arn:"):
        return reference
    return near + (reference if reference.startswith("alias/") else f"key/{reference}")


def _of_aws(key: Facts) -> Verdict | None:
    if key["manager"] == "AWS":
        return inapplicable("inherited from the provider: AWS manages this key, rotates it and lets in its own service")
    return None


def _names(key: Facts) -> Iterator[str]:
    """Every ARN by which resources may name the key."""
    yield key.key
    near = key.key.rpartition(":")[0] + ":"
    for alias in key.list("aliases"):
        yield near + alias


def _let_in(statement: Mapping[str, Any]) -> Iterator[str]:
    """Who a statement of a key policy is for: `*`, ARNs and account numbers; AWS's own services left out."""
    if "NotPrincipal" in statement:
        yield "*"
        return
    principal = statement.get("Principal")
    yield from (str(who) for who in members(principal.get("AWS") if isinstance(principal, dict) else principal))


def _is_foreign(who: str, key: Facts, ctx: Context) -> bool:
    """Whether a principal is everybody or of an account that is not the company's.

    The unique id in place of a deleted user or role lets in nobody.
    """
    account = account_of(who)
    return who == "*" or (account is not None and not is_own(account, key, ctx))


def _narrowed(statement: Mapping[str, Any], key: Facts, ctx: Context) -> bool:
    """Whether a condition limits the statement to known accounts, a service or an organisation."""
    for operator, tested in statement.get("Condition", {}).items():
        if operator.lower() not in _EXACT:
            continue
        for name, values in tested.items():
            told = [str(value) for value in members(values)]
            if not told or any(set(value) <= {"*", "?"} for value in told):
                continue
            if name.lower() in _BY_OTHERS:
                return True
            if name.lower() in _BY_ACCOUNT and all(is_own(value, key, ctx) for value in told):
                return True
    return False


def _left_to_iam(policy: Mapping[str, Any], key: Facts) -> bool:
    """Whether the policy leaves decrypting to IAM of the key's own account."""
    own = account_of(key.key)
    return any(
        speaks_of_action(statement, "kms:Decrypt") and any(_is_whole(who, own) for who in _let_in(statement))
        for statement in statements(policy, "Allow")
    )


def _is_whole(who: str, account: str | None) -> bool:
    """Whether a principal is the account as such."""
    return account_of(who) == account and (who == account or who.endswith(":root"))


def _uses(key: Facts, ctx: Context) -> Facts | None:
    """Who may use the key by its policy and IAM; None where identities are not collected."""
    return ctx.here(USES).one(key.key) if ctx.configured(_USERS) else None


def _separated(uses: Facts | None, facts: Mapping[str, Any]) -> Verdict:
    """Whether nobody both administers and uses a key."""
    if uses is None:
        return undecided(Reason.DEPENDENCY, "who administers and who uses the key is not known: no identities", **facts)
    told = {**facts, "both": uses.plain("both"), "both_count": uses["both_count"]}
    if told["both"]:
        return failed(f"{told['both_count']} both administer and use the key: {', '.join(told['both'])}", **told)
    if unread := uses.plain("duties_unread"):
        return undecided(Reason.DEPENDENCY, f"policies not seen: {', '.join(unread)}", **told)
    return passed("open to the company's own accounts only; nobody both administers and uses the key", **told)
