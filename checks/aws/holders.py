"""Users and roles by the policies they hold, and who can do what with them.

`who_can` is what other checks ask. Identities that hold the same policies are one holder, so that a
text is read once, however many have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.canonical import canonical, digest
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record
from agent.registry import derived
from checks.aws.policy import Document
from checks.aws.resource_policy import Admission, account_of, admission
from checks.aws.rights import Rights, Rules, read

IDENTITIES = (
    "aws.iam.users", "aws.iam.roles", "aws.iam.groups", "aws.iam.policies", "aws.iam.managed_policies",
)  # fmt: skip
"""The streams that rights are read from."""

_KEPT_RIGHTS = 20_000
_rights: dict[str, Rights] = {}
"""Digest of what a holder holds -> its rights: read once in a process."""


@derived("aws.access.holders", kind="state", of=IDENTITIES)
def holders(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Sets of identity policies, and the users and roles that hold each.

    Key: digest of the policies. Facts: `principals` (ARNs), `policies` (name, and the text's `arn` or its
    `document`), `boundary` (an ARN or null), `unread` and `boundary_unread` (policies whose text was not
    seen: name, reason, permission).
    """
    texts = _Texts(ctx)
    groups = {group["name"]: _parts(group, texts, f"group {group['name']}: ") for group in ctx.here(IDENTITIES[2])}
    found: dict[str, dict[str, Any]] = {}
    for stream in IDENTITIES[:2]:
        for identity in ctx.here(stream):
            parts = [_parts(identity, texts)]
            if stream == IDENTITIES[0]:
                parts += [groups.get(name) or _lost_group(name) for name in identity.list("groups")]
            key, facts = _holder(parts, identity["boundary"], texts)
            found.setdefault(key, {**facts, "principals": []})["principals"].append(identity.key)
    for key, facts in sorted(found.items()):
        yield Record(key, {**facts, "principals": sorted(facts["principals"])})


def rights_of(holder: Facts, ctx: Context) -> Rights:
    """The rights of a record of `aws.access.holders`, as far as the texts of its policies were seen."""
    known = _rights.get(holder.key)
    if known is None:
        if len(_rights) >= _KEPT_RIGHTS:
            _rights.clear()
        policies = {part["name"]: _text(part, ctx) for part in holder.list("policies")}
        boundary = holder["boundary"] if holder["boundary_unread"] is None else None
        within = _text_of(boundary, ctx) if boundary else None
        known = _rights[holder.key] = Rights(policies, within)
    return known


@dataclass(slots=True)
class Able:
    """Who can do what was asked, under the widest reading."""

    principals: set[str] = field(default_factory=set)
    """ARNs of users and roles of the account."""
    outsiders: set[str] = field(default_factory=set)
    """Services, federations, other accounts and their principals, `*`: by the resource's own policy."""
    conditions: set[str] = field(default_factory=set)
    """Keys of conditions that were not evaluated."""
    unread: list[dict[str, Any]] = field(default_factory=list)
    """Policies whose text was not seen, of users and roles not known to be able: name, reason, permission."""


class Crowd:
    """The identities of an account: their rights, and the policies of theirs that were not seen."""

    def __init__(self, members: Iterable[tuple[Rights, list[str], list[dict[str, Any]]]]) -> None:
        self.members = list(members)
        self.rights = {arn: rights for rights, principals, _ in self.members for arn in principals}
        self.account = next(iter(self.rights), "::::").split(":")[4]
        self.unread = [(principals, unread) for _, principals, unread in self.members if unread]
        self._roles = {arn.rpartition("/")[2]: arn for arn in self.rights if ":role/" in arn}

    @classmethod
    def of(cls, ctx: Context) -> Crowd:
        """Everybody in the account of the judged record."""
        held = ctx.here("aws.access.holders")
        return cls((rights_of(holder, ctx), list(holder["principals"]), unread_of(holder)) for holder in held)

    def named(self, by_policy: Admission) -> Iterator[str]:
        """The users and roles that the Allow statements of a resource policy name."""
        for who in {who for named, _ in by_policy.allow for kind, who in named.kinds if kind == "AWS"}:
            if who in self.rights:
                yield who
            elif ":assumed-role/" in who and account_of(who) == self.account:
                role = self._roles.get(who.split("/")[1])
                if role:
                    yield role


def who_can(
    ctx: Context,
    actions: Sequence[str],
    resource: str,
    policy: Document | None = None,
    *,
    needs_delegation: bool = False,
) -> Able:
    """Who in the account, and by the resource's own policy outside of it, can do one of these actions.

    `resource` may be a pattern (`arn:aws:s3:::data/*`): then on any resource like that. `policy` is the
    resource's own policy. With `needs_delegation` the account's policies count only where that policy
    leaves it to the account, as keys of KMS do: `who_can(ctx, ["kms:Decrypt"], key.key,
    key.plain("policy"), needs_delegation=True)`. A key policy's `Resource` is `"*"`, which is the key.
    `Unseen` where identities of the account were not seen.
    """
    return able(Crowd.of(ctx), actions, resource, policy, needs_delegation=needs_delegation)


class Near(Protocol):
    """Who of a crowd is worth asking about a resource: what an index knows."""

    def sure(self, action: str) -> tuple[Set[str], Set[str]]:
        """Principals whose own policies allow the action on every resource, and the keys of the conditions."""

    def near(self, action: str, resource: str) -> Iterable[int]:
        """Numbers of the members whose own policies may allow it on this one."""


def able(
    crowd: Crowd,
    actions: Sequence[str],
    resource: str,
    policy: Document | None = None,
    *,
    needs_delegation: bool = False,
    index: Near | None = None,
) -> Able:
    """As `who_can`, of a crowd; an index spares asking everybody."""
    found = Able()
    for action in actions:
        by_policy = admission(policy, action, resource)
        on = by_policy.delegates(crowd.account) if needs_delegation else ()
        if on is not None:
            if index is not None:
                _let_in(found, *index.sure(action), by_policy)
            for number in range(len(crowd.members)) if index is None else index.near(action, resource):
                rights, principals, _ = crowd.members[number]
                grants = rights.grants(action, resource)
                if grants:
                    _let_in(found, principals, {*on, *(key for grant in grants for key in grant.conditions)}, by_policy)
        _by_resource(found, crowd, action, resource, by_policy)
        found.conditions.update(by_policy.kept_out_on)
    for principals, unread in crowd.unread:
        if not found.principals.issuperset(principals):
            found.unread += [part for part in unread if part not in found.unread]
    return found


def unread_of(holder: Facts) -> list[dict[str, Any]]:
    """The policies of a holder, its boundary included, whose text was not seen."""
    held = list(holder.plain("unread"))
    return held + [holder.plain("boundary_unread")] if holder["boundary_unread"] is not None else held


def _let_in(found: Able, principals: Iterable[str], conditions: Iterable[str], by_policy: Admission) -> None:
    """Add those whose own policies allow it, unless the resource's policy denies it to them."""
    let_in = [arn for arn in principals if not by_policy.denies("AWS", arn)] if by_policy.deny else principals
    if let_in:
        found.principals.update(let_in)
        found.conditions.update(conditions)


def _by_resource(found: Able, crowd: Crowd, action: str, resource: str, by_policy: Admission) -> None:
    """Those whom the policy of the resource lets in by their own name, and those from outside."""
    for who, keys in by_policy.outsiders(crowd.account):
        found.outsiders.add(who)
        found.conditions.update(keys)
    for arn in crowd.named(by_policy):
        keys_in = by_policy.admits(arn)
        if keys_in is not None and not crowd.rights[arn].denied(action, resource):
            found.principals.add(arn)
            found.conditions.update(keys_in)


class _Texts:
    """What is known of the texts of managed policies: their digest, or why they were not seen."""

    def __init__(self, ctx: Context) -> None:
        self.known: dict[str, str] = {}
        self.unseen: dict[str, Gap] = {}
        for stream in IDENTITIES[3:]:
            for policy in ctx.here(stream):
                gap = policy.unseen_at("document")
                if gap:
                    self.unseen[policy.key] = gap
                else:
                    self.known[policy.key] = _digest(policy.plain("document"))


@dataclass(slots=True)
class _Parts:
    """Policies of a user, a role or a group: name -> (ARN or document, digest), and those not seen."""

    held: dict[str, tuple[Any, str]] = field(default_factory=dict)
    unread: list[dict[str, Any]] = field(default_factory=list)


def _parts(identity: Facts, texts: _Texts, prefix: str = "") -> _Parts:
    parts = _Parts()
    gap = identity.unseen_at("inline")
    if gap:
        parts.unread.append(_not_seen(f"{prefix}inline policies", gap))
    else:
        for name, document in identity.plain("inline").items():
            parts.held[f"{prefix}inline {name}"] = (document, _digest(document))
    for arn in identity.list("attached"):
        if arn in texts.known:
            parts.held[f"{prefix}{arn}"] = (arn, texts.known[arn])
        else:
            parts.unread.append(_not_seen(f"{prefix}{arn}", texts.unseen.get(arn)))
    return parts


def _lost_group(name: str) -> _Parts:
    return _Parts(unread=[_not_seen(f"group {name}", None)])


def _holder(parts: Sequence[_Parts], boundary: str | None, texts: _Texts) -> tuple[str, dict[str, Any]]:
    held = {name: what for part in parts for name, what in part.held.items()}
    unread = [one for part in parts for one in part.unread]
    lost = _not_seen(boundary, texts.unseen.get(boundary)) if boundary and boundary not in texts.known else None
    digests = sorted((name, text) for name, (_, text) in held.items())
    key = _digest({"p": digests, "b": [boundary, texts.known.get(boundary or "")], "u": unread, "l": lost})
    policies = [
        {"name": name, "arn": what} if isinstance(what, str) else {"name": name, "document": what}
        for name, (what, _) in sorted(held.items())
    ]
    return key, {"policies": policies, "boundary": boundary, "unread": unread, "boundary_unread": lost}


def _not_seen(name: str, gap: Gap | None) -> dict[str, Any]:
    gap = gap or Gap(Reason.DEPENDENCY)
    return {"name": name, "reason": gap.reason.value, "need": gap.need}


def _text(part: Facts, ctx: Context) -> Rules:
    return _text_of(part["arn"], ctx) if "arn" in part else read(part.plain("document"))


def _text_of(arn: str, ctx: Context) -> Rules:
    stream = IDENTITIES[4] if arn.split(":")[4] == "aws" else IDENTITIES[3]
    policy = ctx.here(stream).one(arn)
    return read(policy.plain("document") if policy else None)


def _digest(value: Mapping[str, Any]) -> str:
    return digest(canonical(value)).hex()
