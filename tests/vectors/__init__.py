"""What each check says of given facts: at least one passing, failing and unseen vector each; a module per area.

A module has `VECTORS`, and may have `NEVER`: check -> why a status cannot come (`"iam-admin-count": "n/a: there is
always an account"`), for checks that the catalogue gives no such case.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.model import Gap


@dataclass(frozen=True, slots=True)
class Vector:
    """Facts, and the status that a check must give them; arguments as of `tests.judging.judge`."""

    check: str
    status: str
    facts: Mapping[str, Any] | None = None
    over: str | None = None
    """The stream, where the check is over several."""
    key: str = "subject"
    here: Mapping[str, Mapping[str, Any] | Gap] = field(default_factory=dict)
    everywhere: Mapping[str, Mapping[str, Any] | Gap] | None = None
    partial: Mapping[str, Gap] = field(default_factory=dict)
    gaps: Mapping[str, Gap] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Thresholds and other settings of rules, over the defaults."""
    now: int | None = None
    says: str = ""
    """What the message must hold."""


_MODULES = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
VECTORS: list[Vector] = [vector for module in _MODULES for vector in module.VECTORS]
NEVER: dict[str, str] = {check: why for module in _MODULES for check, why in getattr(module, "NEVER", {}).items()}
