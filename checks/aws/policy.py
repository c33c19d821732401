"""Reading policy documents of AWS: what they allow and deny.

Static and under the widest reading: conditions narrow nothing, organisation guardrails are not known.
A member that is not of the shape AWS gives it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from checks.aws.patterns import ANY as ANY
from checks.aws.patterns import covers, narrowest, widest

_EVERYTHING = (f"{ANY}:{ANY}", *(f"arn:{partition}:{ANY}" for partition in ("aws", "aws-cn", "aws-us-gov")))
"""An action and a resource that nobody has in mind: a pattern that covers one of them covers all."""

Document = Mapping[str, Any]
Statement = Mapping[str, Any]


def statements(document: Document | None, effect: str) -> Iterator[Statement]:
    """The statements with this effect, `Allow` or `Deny`."""
    for statement in members((document or {}).get("Statement")):
        if isinstance(statement, dict) and statement.get("Effect") == effect:
            yield statement


def members(value: Any) -> list[Any]:
    """What a policy gives as one value or as a list, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def texts(statement: Statement, element: str) -> list[str]:
    """The strings of an element, such as `Action`."""
    return [value for value in members(statement.get(element)) if isinstance(value, str)]


def speaks_of_action(statement: Statement, action: str) -> bool:
    """Whether the statement is about this action: named, or not left out."""
    named = any(
        covers(pattern.lower(), action.lower())
        for pattern in (*texts(statement, "Action"), *texts(statement, "NotAction"))
    )
    return named is not ("NotAction" in statement)


def speaks_of_resource(statement: Statement, resource: str) -> bool:
    """Whether the statement is about this resource: named, or not left out.

    A variable is any text where the statement allows more by it, else none.
    """
    out = "NotResource" in statement
    wide = (statement.get("Effect") == "Allow") is not out
    patterns = [
        widest(text) if wide else narrowest(text) for text in texts(statement, "NotResource" if out else "Resource")
    ]
    return any(covers(pattern, resource) for pattern in patterns if pattern is not None) is not out


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
        for service in texts(statement["Principal"], "Service")
    }


def condition_keys(statement: Statement) -> set[str]:
    """Names of the condition keys that narrow the statement."""
    condition = statement.get("Condition")
    held = condition.values() if isinstance(condition, dict) else ()
    return {key for tested in held if isinstance(tested, dict) for key in tested}


def _everything(statement: Statement, element: str) -> bool:
    """Whether a statement is about all actions, or all resources."""
    if f"Not{element}" in statement:
        return not any(map(_is_all, texts(statement, f"Not{element}")))
    return any(map(_is_all, texts(statement, element)))


def _is_all(pattern: str) -> bool:
    return any(covers(widest(pattern), everything) for everything in _EVERYTHING)


def _in_regions(statement: Statement, resource: str) -> Iterator[str]:
    yield resource
    fields = resource.split(":", 5)
    for pattern in texts(statement, "Resource"):
        named = pattern.split(":", 5)
        if len(named) == len(fields) == 6 and fields[3] == "" != named[3]:
            yield ":".join([*fields[:3], named[3], *fields[4:]])
