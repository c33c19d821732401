"""Policy documents as they are stored: parsed, and in one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from agent.collect import json_text
from agent.model import Gap, Json, Reason


def document(value: Any) -> Json | Gap:
    """A policy document, given parsed or as JSON text; a gap when it is no policy.

    AWS gives the members of actions, resources, principals and condition values in any order; every
    list of strings in a policy is a set, so it is sorted.
    """
    if isinstance(value, str):
        # The SDK leaves what it could not parse quoted.
        value = json_text(unquote(value) if value.startswith("%7B") else value)
    if isinstance(value, Gap):
        return value
    return _ordered(value) if isinstance(value, dict) else Gap(Reason.MALFORMED, code="NotAPolicy")


def documents(listed: Iterable[Mapping[str, Any]]) -> dict[str, Json | Gap]:
    """Inline policies by name."""
    return {policy["PolicyName"]: document(policy["PolicyDocument"]) for policy in listed}


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(inner) for name, inner in value.items()}
    if isinstance(value, list):
        if all(isinstance(inner, str) for inner in value):
            return sorted(value)
        return [_ordered(inner) for inner in value]
    return value
