"""Files of this machine that a collector reads in place."""

from __future__ import annotations

from agent.model import Reason


def reason_of(error: OSError) -> Reason:
    """Why a file or folder could not be read: refused, no answer in time (a mounted disk), or no answer at all."""
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return Reason.DENIED if isinstance(error, (PermissionError, IsADirectoryError)) else Reason.UNREACHABLE
