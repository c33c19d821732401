"""Patterns of IAM: `*` is any text, `?` one character, `${…}` a variable, and nothing else is special."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

ANY = "\ue000"
"""Stands for a name that no policy has in mind: what covers it covers every name."""

_MANY, _ONE = "\ue001", "\ue002"
"""`*` and `?` of a pattern that is itself looked at as a text."""
_STAR, _MARK = "\ue003", "\ue004"
"""The characters `*` and `?` themselves, written `${*}` and `${?}`."""
_LITERAL = {"*": _STAR, "?": _MARK, "$": "$"}
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_USER_NAME = re.compile(r"\$\{\s*aws:username\s*\}", re.IGNORECASE)


def widest(pattern: str) -> str:
    """The pattern with any text in the place of each variable."""
    return _VARIABLE.sub(lambda found: _LITERAL.get(found[1], "*"), pattern) if "${" in pattern else pattern


def narrowest(pattern: str) -> str | None:
    """The pattern when it holds whatever its variables stand for: None where it has any."""
    written = _VARIABLE.sub(lambda found: _LITERAL.get(found[1], found[0]), pattern) if "${" in pattern else pattern
    return None if _VARIABLE.search(written) else written


def of_oneself(pattern: str) -> bool:
    """Whether the pattern names the user who asks, by `${aws:username}`."""
    return _USER_NAME.search(pattern) is not None


def is_pattern(text: str) -> bool:
    """Whether the text has wildcards."""
    return "*" in text or "?" in text


def covers(pattern: str, other: str) -> bool:
    """Whether everything that `other` (a text or a pattern) means is meant by the pattern."""
    return bool(_matcher(pattern)(_as_text(other) if is_pattern(other) else other))


@lru_cache(maxsize=100_000)
def meets(one: str, other: str) -> bool:
    """Whether there is a text that both patterns mean."""
    if not is_pattern(other):
        return covers(one, other)
    if not is_pattern(one):
        return covers(other, one)
    if "*" in one and "*" in other:
        # What lies between can be written one after the other: only the ends can be at odds.
        heads = one.partition("*")[0], other.partition("*")[0]
        tails = one.rpartition("*")[2], other.rpartition("*")[2]
        return _agree(*heads) and _agree(tails[0][::-1], tails[1][::-1])
    fixed, free = (other, one) if "*" in one else (one, other)
    return re.fullmatch(_expression(free, loose=True), fixed.replace("?", _ONE), re.DOTALL) is not None


def _agree(one: str, other: str) -> bool:
    """Whether two beginnings can be of one text."""
    return all(a == b or "?" in (a, b) for a, b in zip(one, other, strict=False))


def _as_text(pattern: str) -> str:
    return pattern.replace("*", _MANY).replace("?", _ONE)


@lru_cache(maxsize=100_000)
def _matcher(pattern: str) -> Callable[[str], object]:
    """A function that tells whether the pattern means all of a text."""
    if not is_pattern(pattern):
        return pattern.__eq__
    head = pattern[:-1]
    if pattern.endswith("*") and not is_pattern(head):
        return lambda text: text.startswith(head)
    return re.compile(_expression(pattern), re.DOTALL).fullmatch


def _expression(pattern: str, *, loose: bool = False) -> str:
    """The pattern as a regular expression that takes a time linear in the number of its parts.

    Each part between two `*` is taken where it comes first, once and for all. With `loose` a `?` of the
    other pattern is as good as the character that is asked for.
    """
    head, *parts = (_part(part, loose=loose) for part in re.split(r"\*+", pattern))
    if not parts:
        return head
    *middle, tail = parts
    return head + "".join(f"(?>.*?{part})" for part in middle) + ".*" + tail


def _part(part: str, *, loose: bool) -> str:
    one = "." if loose else f"[^{ANY}{_MANY}]"
    return "".join(one if c == "?" else f"(?:{re.escape(c)}|{_ONE})" if loose else re.escape(c) for c in part)
