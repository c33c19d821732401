"""Registers that people keep: each is a stream `docs.registers.NAME`, one record per row, columns as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from agent.clock import parse_iso
from agent.facts import Context, Facts, StreamView


def register(ctx: Context, name: str) -> StreamView:
    """The rows of a register that is the evidence: not_evaluated (not_configured) where nobody keeps it."""
    return ctx.everywhere(f"docs.registers.{name}")


def exempting(ctx: Context, name: str) -> Iterator[Facts]:
    """The rows of a register that only exempts: none where nobody keeps it."""
    stream = f"docs.registers.{name}"
    if ctx.configured(stream):
        yield from ctx.everywhere(stream)


def in_force(rows: Iterable[Facts], now_ms: int) -> Iterator[Facts]:
    """Those of `privileged_access` or `exceptions` that are approved and have not expired (their last day included)."""
    for row in rows:
        until = row.get("expires_on")
        if row.get("approved_by") and until and parse_iso(f"{until}T23:59:59Z") >= now_ms:
            yield row


def names(patterns: Iterable[str], principal: str) -> bool:
    """Whether one of these patterns (`*` = any text) names the principal."""
    return any(fnmatchcase(principal, pattern) for pattern in patterns)
