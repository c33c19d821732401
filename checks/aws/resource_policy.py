"""Whom a policy on a resource lets in and keeps out: bucket policies, key policies, trust of roles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from agent.canonical import canonical, parse
from checks.aws.policy import Document, Statement, condition_keys, members, statements
from checks.aws.rights import Rule, rule_of

EVERYBODY = "*"
_DELETED = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
"""What AWS writes in the place of a principal that is gone: nobody can be it again."""
_ACCOUNT = re.compile(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?")


@dataclass(frozen=True, slots=True)
class Named:
    """The principals of one statement."""

    kinds: frozenset[tuple[str, str]]
    """(AWS, Service, Federated or CanonicalUser; what is written there)."""
    others: bool = False
    """Whether it is about all principals but these: `NotPrincipal`."""

    @property
    def accounts(self) -> set[str]:
        """Numbers of accounts that are named as a whole."""
        return {found[1] for _, who in self.kinds if (found := _ACCOUNT.fullmatch(who))}

    @property
    def everybody(self) -> bool:
        """Whether it is about every principal there is, or every one but a few."""
        return self.others or ("AWS", EVERYBODY) in self.kinds

    def names(self, arn: str) -> bool:
        """Whether it is about this user or role by its own name, or about everybody."""
        listed = any(_same(who, arn) for kind, who in self.kinds if kind == "AWS")
        return not listed if self.others else listed or self.everybody

    def hits(self, kind: str, who: str) -> bool:
        """Whether a Deny to these keeps that principal out, its whole account counted."""
        if kind != "AWS":
            listed = (kind, who) in self.kinds
            return not listed if self.others else listed or ("AWS", EVERYBODY) in self.kinds
        if self.others:
            return self.names(who)
        return self.names(who) or account_of(who) in self.accounts


@dataclass(frozen=True, slots=True)
class Admission:
    """What a resource's policy says of some actions on a part of it."""

    allow: tuple[tuple[Named, tuple[str, ...]], ...] = ()
    """Principals of each Allow, with the keys of its conditions."""
    deny: tuple[Named, ...] = ()
    """Principals of each Deny without a condition."""
    kept_out_on: tuple[str, ...] = ()
    """Condition keys of its Denies with a condition, which take nothing away here."""

    def denies(self, kind: str, who: str) -> bool:
        """Whether the policy keeps this principal out."""
        return any(named.hits(kind, who) for named in self.deny)

    def admits(self, arn: str) -> tuple[str, ...] | None:
        """Condition keys under which the policy itself lets a user or role in; None where it does not."""
        found = [keys for named, keys in self.allow if named.names(arn)]
        return tuple(sorted({key for keys in found for key in keys})) if found and not self.denies("AWS", arn) else None

    def delegates(self, account: str) -> tuple[str, ...] | None:
        """Condition keys under which it leaves it to the account's own policies; None where it does not."""
        found = [keys for named, keys in self.allow if account in named.accounts or named.everybody]
        return tuple(sorted({key for keys in found for key in keys})) if found else None

    def outsiders(self, account: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Who else is let in: services, federations, principals of other accounts, `*`; with condition keys."""
        for named, keys in self.allow:
            if named.everybody:
                if not self.denies("AWS", EVERYBODY):
                    yield EVERYBODY, keys
                continue
            for kind, who in sorted(named.kinds):
                own = kind == "AWS" and account_of(who) == account
                if not own and not _DELETED.fullmatch(who) and not self.denies(kind, who):
                    yield who, keys


@dataclass(slots=True)
class _Read:
    """The statements of one policy: those that allow, that deny, and that deny on a condition."""

    allow: list[tuple[Rule, Named, tuple[str, ...]]] = field(default_factory=list)
    deny: list[tuple[Rule, Named]] = field(default_factory=list)
    on_condition: list[tuple[Rule, tuple[str, ...]]] = field(default_factory=list)


def admission(policy: Document | None, action: str, space: str = "") -> Admission:
    """What a resource policy says of an action, on resources like `space`; of trust without a resource."""
    if not policy:
        return Admission()
    read, action = _read(canonical(policy)), action.lower()

    def about(rule: Rule, *, allows: bool) -> bool:
        if allows:
            return rule.allows(action) and (not space or any(True for _ in rule.allowed(space)))
        return rule.denies(action) and (not space or rule.takes(space, space))

    return Admission(
        tuple((named, keys) for rule, named, keys in read.allow if about(rule, allows=True)),
        tuple(named for rule, named in read.deny if about(rule, allows=False)),
        tuple(sorted({key for rule, keys in read.on_condition if about(rule, allows=False) for key in keys})),
    )


def account_of(who: str) -> str:
    """Number of the account that a principal is of, as a policy writes it; "" for none."""
    found = _ACCOUNT.fullmatch(who)
    if found:
        return found[1]
    fields = who.split(":")
    return fields[4] if len(fields) > 5 and fields[0] == "arn" else ""


def principals_of(statement: Statement) -> Named:
    """The principals that a statement names."""
    others = "NotPrincipal" in statement
    written = statement.get("NotPrincipal" if others else "Principal")
    if isinstance(written, Mapping):
        kinds = {(str(kind), who) for kind, held in written.items() for who in members(held) if isinstance(who, str)}
    else:
        kinds = {("AWS", who) for who in members(written) if isinstance(who, str)}
    return Named(frozenset(kinds), others)


@lru_cache(maxsize=20_000)
def _read(text: bytes) -> _Read:
    document: Any = parse(text)
    read = _Read()
    for statement in statements(document, "Allow"):
        rule = rule_of(statement, allows=True)
        read.allow.append((rule, principals_of(statement), rule.conditions))
    for statement in statements(document, "Deny"):
        rule, keys = rule_of(statement, allows=False), tuple(sorted(condition_keys(statement)))
        if statement.get("Condition"):
            read.on_condition.append((rule, keys))
        else:
            read.deny.append((rule, principals_of(statement)))
    return read


def _same(written: str, arn: str) -> bool:
    """Whether a policy means this user or role: its ARN, or a session of the role."""
    if written == arn:
        return True
    fields, own = written.split(":"), arn.split(":")
    if len(fields) < 6 or len(own) < 6 or fields[2] != "sts" or fields[4] != own[4]:
        return False
    return fields[5].split("/")[:2] == ["assumed-role", own[5].rpartition("/")[2]]
