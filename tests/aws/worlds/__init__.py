"""The two accounts of the fault matrix: the same names, every setting the other way round; a module per service.

A module may have: `SERVICES`, the SDK's event names of its services; `fill(good=)`, which makes the
resources in the emulator; `answers(good=)`, operation -> function(parameters) -> answer, for what the
emulator lacks or answers wrongly (None lets it answer); `EMPTY_IS_AN_ANSWER`, operations that say
"never set" by an answer without members; `CANNOT_TURN`, checks that no setting turns, and why; `SETTINGS`,
settings of rules over the defaults, tables and lists joined; `SOURCE`, settings of the source beside the usual.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

MODULES: list[ModuleType] = [
    importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
]
SERVICES: list[str] = sorted({name for module in MODULES for name in getattr(module, "SERVICES", ())})
EMPTY_IS_AN_ANSWER: set[str] = {name for module in MODULES for name in getattr(module, "EMPTY_IS_AN_ANSWER", ())}
CANNOT_TURN: dict[str, str] = {
    check: why for module in MODULES for check, why in getattr(module, "CANNOT_TURN", {}).items()
}
SOURCE: dict[str, Any] = {name: value for module in MODULES for name, value in getattr(module, "SOURCE", {}).items()}


def settings(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of rules: the defaults, and what the modules set over them."""
    found = dict(defaults)
    for module in MODULES:
        for name, value in getattr(module, "SETTINGS", {}).items():
            known = found.get(name)
            if isinstance(known, dict):
                value = {**known, **value}
            elif isinstance(known, list):
                value = [*known, *value]
            found[name] = value
    return found


def fill(*, good: bool) -> None:
    """Make every resource of one account."""
    for module in MODULES:
        if hasattr(module, "fill"):
            module.fill(good=good)


def answers(*, good: bool) -> dict[str, Answer]:
    """What is answered beside the emulator, by `service.Operation`; where several modules answer, the last counts."""
    found: dict[str, Answer] = {}
    for module in MODULES:
        if hasattr(module, "answers"):
            for operation, answer in module.answers(good=good).items():
                found[operation] = _either(answer, found[operation]) if operation in found else answer
    return found


def _either(first: Answer, second: Answer) -> Answer:
    """The answer of the first of two that has one."""

    def answer(parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        told = first(parameters)
        return second(parameters) if told is None else told

    return answer
