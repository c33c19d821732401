"""The one broad `except` of the product: whatever a collector or a check does, the engine goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def attempt(function: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """The function's result and None, or None and what it raised.

    `Unseen` and interruptions are no `Exception`: they pass through.
    """
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001
        return None, error


def place(error: Exception) -> str:
    """Type of an exception and the line that raised it: for logs, since its text may hold anything."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" at {frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else ""
    return type(error).__name__ + where
