"""What an answer that is none means: MLflow's error codes and the transport's, as gaps."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.model import Gap, Reason

CODES = {
    "PERMISSION_DENIED": Reason.DENIED,
    "UNAUTHENTICATED": Reason.DENIED,
    "CUSTOMER_UNAUTHORIZED": Reason.DENIED,
    "REQUEST_LIMIT_EXCEEDED": Reason.THROTTLED,
    "RESOURCE_EXHAUSTED": Reason.THROTTLED,
    "DEADLINE_EXCEEDED": Reason.TIMEOUT,
    "TEMPORARILY_UNAVAILABLE": Reason.UNREACHABLE,
    "SERVICE_UNDER_MAINTENANCE": Reason.UNREACHABLE,
    "WORKSPACE_TEMPORARILY_UNAVAILABLE": Reason.UNREACHABLE,
    "ENDPOINT_NOT_FOUND": Reason.UNSUPPORTED,
    "NOT_IMPLEMENTED": Reason.UNSUPPORTED,
    "FEATURE_DISABLED": Reason.UNSUPPORTED,
    "INVALID_PARAMETER_VALUE": Reason.UNSUPPORTED,
    "BAD_REQUEST": Reason.UNSUPPORTED,
    "RESOURCE_DOES_NOT_EXIST": Reason.DEPENDENCY,
    "NOT_FOUND": Reason.DEPENDENCY,
}
"""MLflow's error code -> reason; a code not listed says only that there was no answer: unreachable."""

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
"""The codes by which MLflow says that a thing named by its id does not exist."""

_STATUSES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RETRIED = ("RetryError", "MaxRetryError", "ResponseError")
_UNREADABLE = {"DecodeError": "NotDecoded", "ParseError": "NotTheAnswer"}
"""What is raised for a body whose compression is broken, and for JSON that is no answer of the operation."""


def gap_of_status(status: int, op: str, need: str | None) -> Gap:
    """The gap for an HTTP status other than success."""
    code = _STATUSES.get(status, f"HTTP{status}")
    return _gap(CODES.get(code, Reason.UNREACHABLE), op, code, need)


def gap_of_error(error: BaseException, op: str, need: str | None) -> Gap:
    """The gap for an exception of MlflowClient or of requests; its text, which may hold a URL, is not kept."""
    for cause in _causes(error):
        name = type(cause).__name__
        if "Timeout" in name:
            return _gap(Reason.TIMEOUT, op, "Timeout", need)
        if name in _RETRIED and (status := re.search(r"too many (\d+)", str(cause))):
            return gap_of_status(int(status[1]), op, need)
        if name in _UNREADABLE:
            return _gap(Reason.MALFORMED, op, _UNREADABLE[name], need)
    for cause in _causes(error):
        if isinstance(cause, (ConnectionError, OSError)):
            return _gap(Reason.UNREACHABLE, op, type(cause).__name__, need)
        if "OperationalError" in type(cause).__name__:
            return _gap(Reason.UNREACHABLE, op, "OperationalError", need)
    code = str(getattr(error, "error_code", "") or type(error).__name__)
    if "not in a valid JSON format" in str(error):
        return _gap(Reason.MALFORMED, op, "NotJSON", need)
    return _gap(CODES.get(code, Reason.UNREACHABLE), op, code, need)


def _gap(reason: Reason, op: str, code: str, need: str | None) -> Gap:
    return Gap(reason, op=op, code=code, need=need if reason is Reason.DENIED else None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
