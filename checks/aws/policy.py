"""Reading policy documents of AWS: what they allow and deny.

Static and under the widest reading: conditions narrow nothing, organisation guardrails are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

ANY = "any-other-name"
"""Stands for a name that no policy has in mind: what covers it covers every name."""

Document = Mapping[str, Any]
Statement = Mapping[str, Any]


def statements(document: Document | None, effect: str) -> Iterator[Statement]:
    """The statements with this effect, `Allow` or `Deny`."""
    held = (document or {}).get("Statement", [])
    for statement in [held] if isinstance(held, dict) else held:
        if isinstance(statement, dict) and statement.get("Effect") == effect:
            yield statement


def members(value: Any) -> list[Any]:
    """What a policy gives as one value or as a list, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def speaks_of_action(statement: Statement, action: str) -> bool:
    """Whether the statement is about this action: named, or not left out."""
    if "NotAction" in statement:
        return not any(_matches(pattern.lower(), action.lower()) for pattern in members(statement["NotAction"]))
    return any(_matches(pattern.lower(), action.lower()) for pattern in members(statement.get("Action")))


def speaks_of_resource(statement: Statement, resource: str) -> bool:
    """Whether the statement is about this resource: named, or not left out."""
    if "NotResource" in statement:
        return not any(_matches(pattern, resource) for pattern in members(statement["NotResource"]))
    return any(_matches(pattern, resource) for pattern in members(statement.get("Resource")))


def grants(document: Document | None, action: str, resource: str) -> list[Statement]:
    """The Allow statements about an action on a resource, whatever denies it.

    An empty region in the resource is any region that the statement names.
    """
    return [
        statement
        for statement in statements(document, "Allow")
        if speaks_of_action(statement, action)
        and any(speaks_of_resource(statement, place) for place in _in_regions(statement, resource))
    ]


def denies(document: Document | None, action: str, resource: str) -> bool:
    """Whether the action on the resource is denied without a condition."""
    return any(
        speaks_of_action(statement, action) and speaks_of_resource(statement, resource)
        for statement in statements(document, "Deny")
        if not statement.get("Condition")
    )


def full_rights(document: Document | None) -> list[Statement]:
    """The Allow statements over all actions and all resources.

    `NotAction` and `NotResource` forms count; conditions do not narrow.
    """
    return [
        statement
        for statement in statements(document, "Allow")
        if _everything(statement, "Action") and _everything(statement, "Resource")
    ]


def of_everybody(statement: Statement) -> bool:
    """Whether the statement is about every principal."""
    principal = statement.get("Principal")
    return "*" in members(principal.get("AWS") if isinstance(principal, dict) else principal)


def trusted_services(trust: Document | None) -> set[str]:
    """Services that may take the role."""
    return {
        service
        for statement in statements(trust, "Allow")
        if isinstance(statement.get("Principal"), dict)
        for service in members(statement["Principal"].get("Service"))
    }


def condition_keys(statement: Statement) -> set[str]:
    """Names of the condition keys that narrow the statement."""
    return {key for tested in statement.get("Condition", {}).values() for key in tested}


def _everything(statement: Statement, element: str) -> bool:
    """Whether a statement is about all actions, or all resources."""
    if f"Not{element}" in statement:
        return not any(map(_is_all, members(statement[f"Not{element}"])))
    return any(map(_is_all, members(statement.get(element))))


def _is_all(pattern: str) -> bool:
    return re.fullmatch(r"\*+(:\*+)?", pattern) is not None


def _in_regions(statement: Statement, resource: str) -> Iterator[str]:
    yield resource
    fields = resource.split(":", 5)
    for pattern in members(statement.get("Resource")):
        named = pattern.split(":", 5)
        if len(named) == len(fields) == 6 and fields[3] == "" != named[3]:
            yield ":".join([*fields[:3], named[3], *fields[4:]])


def _matches(pattern: str, value: str) -> bool:
    """IAM's wildcards: `*` for any text, `?` for one character, and nothing else."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == value
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.DOTALL) is not None
