"""What each user and role of an account may effectively do: administrator, builder, deployer.

`aws.access.principals` has one record per user and role; the rights of `escalation.py` are read from
their policies and followed through the roles they may take.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Record
from agent.registry import derived
from checks.aws.escalation import VERSION, Powers, Way, passed_to, powers
from checks.aws.holders import IDENTITIES, Crowd, rights_of, unread_of
from checks.aws.patterns import is_pattern
from checks.aws.policy import Document, trusted_services
from checks.aws.resource_policy import EVERYBODY, account_of, admission
from checks.aws.rights import Rights, conditions_of
from checks.aws.subjects import is_workload_issuer

RESERVED = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{8,}")
"""Name of the role that a permission set is in an account."""


@derived("aws.access.principals", kind="state", of=(*IDENTITIES, "aws.iam.credentials", "aws.sso.instances"))
def principals(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Users and roles of the account and what they may effectively do.

    Key: ARN. Facts: `kind` (user or role), `name`, `path`, `permission_set` (of a role of Identity Center),
    `service_linked`, `human` (a user with a console password), `people_from` (federations that let people
    take the role), `outside` (who else may, from other accounts), `admin` {`held`, `how`, `by`,
    `conditions`, `list`}, `build`, `deploy`, `writes` (actions of the lists), `puts` (resources of
    `s3:PutObject`), `abroad` (resources of `sts:AssumeRole` in other accounts), `through` (roles that may
    be taken), `unread` (policies not seen). A right that is held on a condition counts; nothing is taken
    away by a condition.
    """
    census = Census(ctx)
    census.follow()
    for arn in sorted(census.everybody):
        yield Record(arn, census.facts(arn))


@dataclass(slots=True)
class Member:
    """A user or role, and what was found of it."""

    facts: Facts
    group: Group
    how: dict[str, Way] = field(default_factory=dict)
    """Rights that make it an administrator."""
    through: set[str] = field(default_factory=set)
    """Roles it may take, one after the other."""


@dataclass(slots=True)
class Group:
    """Users and roles that hold the same policies."""

    rights: Rights
    powers: Powers
    principals: list[str]
    unread: list[dict[str, Any]]


class _ByRole:
    """Groups by the roles that their policies name."""

    def __init__(self, named: Iterable[tuple[Group, Iterable[str]]]) -> None:
        self._one: dict[str, list[Group]] = defaultdict(list)
        self._many: list[Group] = []
        for group, roles in named:
            if any(map(is_pattern, roles)):
                self._many.append(group)
            else:
                for role in roles:
                    self._one[role].append(group)

    def near(self, role: str) -> list[Group]:
        """Groups that name the role, or more than one by a pattern."""
        return self._many + self._one.get(role, [])


class Census:
    """Everybody in one account, while it is worked out who is administrator."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.has_directory = any(instance["read_here"] for instance in ctx.here("aws.sso.instances"))
        self.groups: list[Group] = []
        self.everybody: dict[str, Member] = {}
        by_arn: dict[str, Group] = {}
        for holder in ctx.here("aws.access.holders"):
            arns, rights = list(holder["principals"]), rights_of(holder, ctx)
            partition, account = arns[0].split(":")[1], arns[0].split(":")[4]
            group = Group(rights, _powers(holder.key, account, rights, partition), arns, unread_of(holder))
            self.groups.append(group)
            by_arn.update(dict.fromkeys(arns, group))
        for stream in IDENTITIES[:2]:
            for identity in ctx.here(stream):
                self.everybody[identity.key] = Member(identity, by_arn[identity.key])
        self.crowd = Crowd((group.rights, group.principals, group.unread) for group in self.groups)
        self.assuming = _ByRole((group, group.powers.assumes) for group in self.groups)
        self.passing = _ByRole((group, group.powers.passes) for group in self.groups if group.powers.runs)
        self.takers: dict[str, set[str]] = {}
        """Role -> users and roles that may take it."""

    def follow(self) -> None:
        """Find who may take which role, then who is administrator by that."""
        for arn, member in self.everybody.items():
            member.how = {way.how: way for way in self._own_ways(arn, member.group.powers)}
            if ":role/" in arn:
                self.takers[arn] = set(self._takers(arn, member.facts))
        for arn in self.takers:
            self._let_through(arn)
        waiting = [arn for arn, member in self.everybody.items() if member.how and arn in self.takers]
        while waiting:
            role = waiting.pop()
            for arn, way in self._led_to(role):
                member = self.everybody[arn]
                if not member.how and arn in self.takers:
                    waiting.append(arn)
                if not member.group.powers.full:
                    member.how.setdefault(way.how, way)

    def _own_ways(self, arn: str, held: Powers) -> Iterator[Way]:
        """How a principal is administrator by its own policies: the widest right stands for those within."""
        if held.full:
            yield held.full
            return
        every = any(way.how == "iam:*" for way in held.ways)
        for way in (*held.ways, *(held.directory if self.has_directory else ())):
            grants = way.counts_for(arn)
            if grants and not (every and re.fullmatch(r"iam:[A-Za-z]+", way.how)):
                yield way._replace(grants=grants)

    def facts(self, arn: str) -> dict[str, Any]:
        """The facts of one record."""
        member = self.everybody[arn]
        own, path = member.facts, member.facts.text("path", "/")
        ways = [member.how[how] for how in sorted(member.how)]
        user = ":user/" in arn
        trust = None if user else _trust(own)
        return {
            "account": account_of(arn),
            "kind": "user" if user else "role",
            "name": own["name"],
            "path": path,
            "tags": None,
            "permission_set": _permission_set(own["name"], path),
            "service_linked": path.startswith("/aws-service-role/"),
            "human": user and self._signs_in(arn),
            "people_from": sorted(_people_from(trust)),
            "outside": sorted(_outside(trust, account_of(arn))),
            "admin": {
                "held": bool(ways),
                "how": [way.how for way in ways],
                "by": sorted({grant.by for way in ways for grant in way.grants}),
                "conditions": conditions_of([grant for way in ways for grant in way.grants]),
                "list": VERSION,
            },
            **self._lists(member),
            "through": sorted(member.through),
            "unread": [] if path.startswith("/aws-service-role/") else self._unread(member),
        }

    def _lists(self, member: Member) -> dict[str, list[str]]:
        held = [member.group.powers, *(self.everybody[role].group.powers for role in member.through)]
        return {
            name: sorted({one for power in held for one in getattr(power, name)})
            for name in ("build", "deploy", "writes", "puts", "abroad")
        }

    def _unread(self, member: Member) -> list[dict[str, Any]]:
        found = list(member.group.unread)
        if (gap := member.facts.unseen_at("trust")) is not None:
            found.append({"name": "trust", "reason": gap.reason.value, "need": gap.need})
        for role in sorted(member.through):
            found += [part for part in self.everybody[role].group.unread if part not in found]
        return found

    def _signs_in(self, arn: str) -> bool:
        """Whether the user has a console password, or is too new for the report to say."""
        row = self.ctx.here("aws.iam.credentials").one(arn)
        return row is None or row["password_enabled"] != "false"

    def _takers(self, role: str, facts: Facts) -> Iterator[str]:
        """Users and roles of the account that may take the role."""
        by_trust = admission(_trust(facts), "sts:AssumeRole")
        for arn in self.crowd.named(by_trust):
            if by_trust.admits(arn) is not None and not self.crowd.rights[arn].denied("sts:AssumeRole", role):
                yield arn
        open_to_all = any(named.everybody for named, _ in by_trust.allow)
        if by_trust.delegates(account_of(role)) is None:
            return
        for group in self.groups if open_to_all else self.assuming.near(role):
            if group.powers.full:  # holds everything already
                continue
            may = not group.rights.denied("sts:AssumeRole", role)
            if may and (open_to_all or group.rights.grants("sts:AssumeRole", role)):
                yield from (arn for arn in group.principals if not by_trust.denies("AWS", arn))

    def _let_through(self, role: str) -> None:
        """Note the role with everybody who may take it, over other roles too."""
        waiting, seen = [role], {role}
        while waiting:
            for arn in self.takers[waiting.pop()] - seen:
                seen.add(arn)
                self.everybody[arn].through.add(role)
                if arn in self.takers:
                    waiting.append(arn)

    def _led_to(self, role: str) -> Iterator[tuple[str, Way]]:
        """Who is administrator by this role, which is one, and how."""
        for arn in self.takers[role]:
            if arn != role:
                grants = self.crowd.rights[arn].grants("sts:AssumeRole", role)
                yield arn, Way(f"sts:AssumeRole on {role}", tuple(grants))
        services = trusted_services(_trust(self.everybody[role].facts))
        ways = [
            (group, way)
            for group in self.passing.near(role)
            for way in passed_to(group.rights, group.powers.runs, role, services)
        ]
        if "lambda.amazonaws.com" in services:
            how = f"lambda:UpdateFunctionCode on functions of {role}"
            ways += [(group, way._replace(how=how)) for group in self.groups if (way := group.powers.updates_code)]
        yield from ((arn, way) for group, way in ways for arn in group.principals if arn != role)


_KEPT_POWERS = 20_000
_known_powers: dict[tuple[str, str], Powers] = {}
"""(digest of what a holder holds, account) -> its powers: worked out once in a process."""


def _powers(holder: str, account: str, rights: Rights, partition: str) -> Powers:
    if (holder, account) not in _known_powers:
        if len(_known_powers) >= _KEPT_POWERS:
            _known_powers.clear()
        _known_powers[holder, account] = powers(rights, partition, account)
    return _known_powers[holder, account]


def _trust(role: Facts) -> Document | None:
    """Whom the role trusts; nobody where that was not seen: `unread` then says so."""
    held: Document | None = None if role.unseen_at("trust") else role.plain("trust")
    return held


def _permission_set(name: str, path: str) -> str | None:
    found = RESERVED.fullmatch(name) if path.startswith("/aws-reserved/sso.amazonaws.com/") else None
    return found[1] if found else None


def _people_from(trust: Document | None) -> set[str]:
    """Federations of a trust that vouch for people."""
    named = [
        who
        for action in ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
        for named, _ in admission(trust, action).allow
        for kind, who in named.kinds
        if kind == "Federated"
    ]
    return {who for who in named if not is_workload_issuer(who.partition(":oidc-provider/")[2])}


def _outside(trust: Document | None, account: str) -> set[str]:
    """Accounts, and principals of accounts, other than its own that a trust admits."""
    told = (who for who, _ in admission(trust, "sts:AssumeRole").outsiders(account))
    return {who for who in told if who == EVERYBODY or account_of(who)}
