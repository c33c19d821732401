"""The agent's log: on standard error, text on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

from agent.cli.out import Globals, LogFormat


def start(given: Globals, *, level: int = logging.WARNING) -> None:
    """Send log entries from this level on to standard error; -v and -q move the level."""
    import structlog

    level = logging.ERROR if given.quiet else max(logging.DEBUG, level - 10 * given.verbose)
    text = given.log_format is LogFormat.text or (given.log_format is None and sys.stderr.isatty())
    colors = given.color and sys.stderr.isatty()
    shown: Any
    if text:
        shown = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
    else:
        shown = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if text else [structlog.processors.format_exc_info]),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )
