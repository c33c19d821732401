"""The two accounts of the fault matrix: the same names, every setting the other way round; a module per service.

A module may have: `SERVICES`, the SDK's event names of its services; `fill(good=)`, which makes the
resources in the emulator; `answers(good=)`, operation -> function(parameters) -> answer, for what the
emulator lacks or answers wrongly (None lets it answer); `EMPTY_IS_AN_ANSWER`, operations that say
"never set" by an answer without members; `CANNOT_TURN`, checks that no setting turns, and why.
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


def fill(*, good: bool) -> None:
    """Make every resource of one account."""
    for module in MODULES:
        if hasattr(module, "fill"):
            module.fill(good=good)


def answers(*, good: bool) -> dict[str, Answer]:
    """What is answered beside the emulator, by `service.Operation`."""
    found: dict[str, Answer] = {}
    for module in MODULES:
        if hasattr(module, "answers"):
            found |= module.answers(good=good)
    return found
