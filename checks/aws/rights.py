"""What identity policies allow within a permission boundary: the one evaluator of effective rights.

Static and under the widest reading, so that "may not" holds whatever is the case: a condition never
narrows an Allow, a Deny with a condition denies nothing, a variable stands for any text, guardrails of
the organisation are not known. A question is an action and a resource; both may be patterns, then the
answer is whether there is an action and a resource like that. For "all of them" ask about `ANY`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from agent.canonical import canonical, parse
from checks.aws.patterns import ANY, covers, is_pattern, meets, narrowest, of_oneself, widest
from checks.aws.policy import Document, Statement, condition_keys, statements, texts

EVERY_ACTION = f"{ANY}:{ANY}"
"""An action that no policy has in mind: who holds it holds all of them."""


class Grant(NamedTuple):
    """A statement that gives what was asked for."""

    resource: str
    """The resource, or pattern, that the statement names."""
    by: str
    """Name of the policy."""
    conditions: tuple[str, ...]
    """Keys of its conditions, which were not evaluated."""
    oneself: bool
    """Whether the statement names the user who asks, by `${aws:username}`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement: actions in small letters, resources with their variables as the widest reading has them."""

    actions: tuple[str, ...]
    other_actions: bool
    """Whether it is about all actions but these."""
    resources: tuple[str, ...]
    other_resources: bool
    oneself: frozenset[str]
    """Those of the resources that name the user who asks."""
    conditions: tuple[str, ...]

    def allows(self, action: str) -> bool:
        """Whether an Allow is about an action like this."""
        if self.other_actions:
            return not any(covers(pattern, action) for pattern in self.actions)
        return any(meets(pattern, action) for pattern in self.actions)

    def denies(self, action: str) -> bool:
        """Whether a Deny is about every action like this."""
        if self.other_actions:
            return not any(meets(pattern, action) for pattern in self.actions)
        return any(covers(pattern, action) for pattern in self.actions)

    def allowed(self, space: str) -> Iterator[str]:
        """The resources of an Allow that are like this."""
        if not self.other_resources:
            yield from (pattern for pattern in self.resources if meets(pattern, space))
        elif not any(covers(pattern, space) for pattern in self.resources):
            yield space

    def takes(self, resource: str, space: str) -> bool:
        """Whether a Deny takes away all of a resource, as far as it is in the space asked about."""
        if self.other_resources:
            return not any(meets(pattern, resource) and meets(pattern, space) for pattern in self.resources)
        return any(covers(pattern, resource) or covers(pattern, space) for pattern in self.resources)

    def within(self, resource: str, space: str) -> bool:
        """Whether a boundary's Allow leaves something of a resource in the space asked about."""
        if self.other_resources:
            return not any(covers(pattern, resource) or covers(pattern, space) for pattern in self.resources)
        return any(meets(pattern, resource) and meets(pattern, space) for pattern in self.resources)


class Rules:
    """A policy document, read once: its Allow statements, and its Deny statements that have no condition."""

    __slots__ = ("_allow", "_allowing", "_deny", "_denying", "_services")

    def __init__(self, allow: Sequence[Rule] = (), deny: Sequence[Rule] = ()) -> None:
        self._allow, self._deny = tuple(allow), tuple(deny)
        self._services = _services(self._allow)
        self._allowing: dict[str, tuple[Rule, ...]] = {}
        self._denying: dict[str, tuple[Rule, ...]] = {}

    @property
    def resources(self) -> Iterator[str]:
        """What its Allow statements name."""
        return (pattern for rule in self._allow for pattern in rule.resources)

    def allow(self, action: str) -> tuple[Rule, ...]:
        """The Allow statements about an action, which is in small letters."""
        if self._services is not None and action.partition(":")[0] not in self._services:
            return ()
        if action not in self._allowing:
            self._allowing[action] = tuple(rule for rule in self._allow if rule.allows(action))
        return self._allowing[action]

    def deny(self, action: str) -> tuple[Rule, ...]:
        """The Deny statements about an action, which is in small letters."""
        if not self._deny:
            return ()
        if action not in self._denying:
            self._denying[action] = tuple(rule for rule in self._deny if rule.denies(action))
        return self._denying[action]


def read(document: Document | None) -> Rules:
    """The rules of a document; each text is read once in a process."""
    return _read(canonical(document)) if document else _NONE


class Rights:
    """What identity policies, by name, allow within a boundary."""

    __slots__ = ("_boundary", "_policies")

    def __init__(self, policies: Mapping[str, Rules], boundary: Rules | None = None) -> None:
        self._policies, self._boundary = dict(policies), boundary

    def grants(self, action: str, space: str) -> list[Grant]:
        """What gives an action on a resource like this and is not denied again."""
        action = action.lower()
        held = [
            (name, rule, resource)
            for name, rules in self._policies.items()
            for rule in rules.allow(action)
            for resource in rule.allowed(space)
            if self._bounded(action, resource, space)
        ]
        denying = list(self._denying(action)) if held else ()
        return [
            Grant(resource, name, rule.conditions, resource in rule.oneself)
            for name, rule, resource in held
            if not any(deny.takes(resource, space) for deny in denying)
        ]

    def denied(self, action: str, space: str) -> bool:
        """Whether an explicit Deny takes the action on all of this resource away, whoever allows it."""
        return any(rule.takes(space, space) for rule in self._denying(action.lower()))

    def undenied(self, action: str) -> bool:
        """Whether no Deny is about the action at all, and no boundary is set."""
        return self._boundary is None and not any(self._denying(action.lower()))

    def regions(self) -> set[str]:
        """Regions that its Allow statements name, and `ANY`: where to ask what is asked of any region.

        A pattern stands for one region that it means.
        """
        named = (pattern.split(":") for rules in self._policies.values() for pattern in rules.resources)
        return {ANY, *(parts[3].replace("*", ANY).replace("?", "x") for parts in named if len(parts) > 5 and parts[3])}

    def _denying(self, action: str) -> Iterator[Rule]:
        for rules in self._policies.values():
            yield from rules.deny(action)
        if self._boundary is not None:
            yield from self._boundary.deny(action)

    def _bounded(self, action: str, resource: str, space: str) -> bool:
        if self._boundary is None:
            return True
        return any(rule.within(resource, space) for rule in self._boundary.allow(action))


def conditions_of(grants: Sequence[Grant]) -> list[str]:
    """Names of the condition keys that were not evaluated."""
    return sorted({key for grant in grants for key in grant.conditions})


@lru_cache(maxsize=20_000)
def _read(text: bytes) -> Rules:
    document = parse(text)
    allow = tuple(rule_of(statement, allows=True) for statement in statements(document, "Allow"))
    deny = tuple(
        rule_of(statement, allows=False) for statement in statements(document, "Deny") if not statement.get("Condition")
    )
    return Rules(allow, deny)


def rule_of(statement: Statement, *, allows: bool) -> Rule:
    """A statement, read for what it allows or for what it denies."""
    out, others = "NotAction" in statement, "NotResource" in statement
    written = texts(statement, "NotResource" if others else "Resource")
    wide = [(widest(text) if allows is not others else narrowest(text), text) for text in written]
    actions = texts(statement, "NotAction" if out else "Action")
    return Rule(
        tuple(dict.fromkeys(text.lower() for text in actions)),
        out,
        tuple(dict.fromkeys(pattern for pattern, _ in wide if pattern is not None)),
        others,
        frozenset(pattern for pattern, text in wide if pattern is not None and of_oneself(text)),
        tuple(sorted(condition_keys(statement))),
    )


def _services(allow: Sequence[Rule]) -> frozenset[str] | None:
    named = {action.partition(":")[0] for rule in allow for action in rule.actions}
    if any(rule.other_actions for rule in allow) or any(map(is_pattern, named)):
        return None
    return frozenset(named)


_NONE = Rules()
