"""The evidence profile of JSON: what a source said, as bytes that are the same everywhere.

Inside the profile (ASCII keys, integers below 2^53, no floats) sorted orjson output *is* RFC 8785;
outside it `rfc8785` writes the bytes. Values are mapped as ledger.md 4.1 lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

MAX_INT = 2**53 - 1
_SORTED = orjson.OPT_SORT_KEYS


class NotRepresentable(ValueError):
    """A value that the evidence profile has no form for; the message names no content."""


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a value already in the profile; NotRepresentable otherwise."""
    if not _admitted(value):
        return _slow(value)
    # a copy is as long as its text; what orjson gives keeps a buffer of 4 KiB as long as it lives
    return bytes(memoryview(orjson.dumps(value, option=_SORTED)))


def canonical_in_profile(value: Any) -> bytes:
    """As `canonical`, for a value that is known to be in the profile: it is not walked once more."""
    data = orjson.dumps(value, option=_SORTED)
    return data if data.isascii() else canonical(value)


def digest(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def parse(data: bytes) -> Any:
    """The value whose canonical bytes these are."""
    return orjson.loads(data)


def _admitted(value: Any) -> bool:
    """Whether sorted orjson output is RFC 8785 for this value; raises for what has no form at all."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        if -MAX_INT <= value <= MAX_INT:
            return True
        raise NotRepresentable("an integer of 2^53 or more")
    if kind is dict:
        for name in value:
            if type(name) is not str:
                raise NotRepresentable("a key that is no string")
        inside = all(map(_admitted, value.values()))
        return inside and all(map(str.isascii, value))
    if kind is list or kind is tuple:
        return all(map(_admitted, value))
    raise NotRepresentable(f"a value of type {kind.__name__}")


def _slow(value: Any) -> bytes:
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise NotRepresentable(str(error)) from None


def fits(value: Any) -> bool:
    """Whether a value is in the evidence profile as it stands: the usual case, and sooner seen than mapped."""
    kind = type(value)
    if kind is str:
        return value.isascii() or _encodes(value)
    if kind is dict:
        for name, inner in value.items():
            if type(name) is not str or not (name.isascii() or _encodes(name)):
                return False
            # text is told here, most values being text: a call costs more than the question
            if not (type(inner) is str and inner.isascii()) and not fits(inner):
                return False
        return True
    if kind is list:
        return all(map(fits, value))
    return value is None or kind is bool or (kind is int and -MAX_INT <= value <= MAX_INT)


def in_profile(value: Any, refuse: Callable[[str, str], Any], at: str = "") -> Any:
    """The value in the evidence profile: times, decimals and big numbers as strings, tuples as lists.

    What has no form is replaced by whatever `refuse(pointer, why)` returns.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() or _encodes(value) else refuse(at, "a lone surrogate")
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -MAX_INT <= value <= MAX_INT else str(value)
    if kind is float:
        return _float(value)
    if isinstance(value, datetime):
        return time_text(value) if value.tzinfo else refuse(at, "a time without zone")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        kept = {}
        for name, inner in ((str(name), inner) for name, inner in value.items()):
            if type(inner) is str and inner.isascii() and name.isascii():
                kept[name] = inner  # pointers cost more than all the rest, and most values are text
            elif _encodes(name):
                kept[name] = in_profile(inner, refuse, f"{at}/{escape(name)}")
            else:
                refuse(f"{at}/{escape(name.encode(errors='replace').decode())}", "a name with a lone surrogate")
        return kept
    if isinstance(value, (list, tuple)):
        return [in_profile(inner, refuse, f"{at}/{number}") for number, inner in enumerate(value)]
    return refuse(at, f"a value of type {kind.__name__}")


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, fraction dropped when zero."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text.rstrip("0").rstrip(".") + "Z" if "." in text else text + "Z"


def escape(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _float(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
