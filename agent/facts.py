"""What a check may see, and the exception that nothing unseen can pass.

`Facts` is no Mapping and `Unseen` is no Exception, so a check that forgets to ask whether something
was observed cannot reach a verdict: the engine takes the exception and answers for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from agent.canonical import escape
from agent.model import Gap, Json, Reason


class Unseen(BaseException):
    """Something a check asked for was not observed."""

    def __init__(self, gap: Gap, where: str = "") -> None:
        super().__init__(f"{where}: {gap.reason.value}")
        self.gap = gap
        self.where = where


class Facts:
    """The facts of one record, or a part of them, with the gaps beside.

    A name that the record does not hold at all was never collected: reading it is `Unseen`
    (unsupported). Null is what the source said: "not set".
    """

    __slots__ = ("_at", "_gaps", "_value", "key", "observed_ms", "scope")

    def __init__(
        self,
        value: Mapping[str, Json],
        gaps: Mapping[str, Gap] | None = None,
        *,
        key: str = "",
        scope: str = "",
        observed_ms: int = 0,
        at: str = "",
    ) -> None:
        self._value, self._gaps, self._at = value, gaps or {}, at
        self.key, self.scope, self.observed_ms = key, scope, observed_ms

    @classmethod
    def of(cls, envelope: Mapping[str, Any], *, key: str = "", scope: str = "", observed_ms: int = 0) -> Facts:
        """Facts of a stored record envelope; of a gap document every read is `Unseen`."""
        if "gap" in envelope:
            return cls({}, {"": Gap.of(envelope["gap"])}, key=key, scope=scope, observed_ms=observed_ms)
        gaps = {pointer: Gap.of(body) for pointer, body in envelope["gaps"].items()}
        dropped = Gap(Reason.NOT_CONFIGURED, code="ValueNotKept")
        gaps.update((pointer, dropped) for pointer in envelope["redacted"] if not _present(envelope["facts"], pointer))
        return cls(envelope["facts"], gaps, key=key, scope=scope, observed_ms=observed_ms)

    def __getitem__(self, name: str) -> Any:
        """A part of the facts: an object as `Facts`, anything else as its value."""
        value = self._read(name)
        if isinstance(value, dict):
            return self._part(name, value)
        self._refuse_below(name)
        return (
            [self._element(name, number, inner) for number, inner in enumerate(value)]
            if isinstance(value, list)
            else value
        )

    def __contains__(self, name: str) -> bool:
        """Whether the source named this at all."""
        self._refuse_at(name)
        self._refuse_below(name)
        return name in self._value

    def get(self, name: str, default: Any = None) -> Any:
        """As `[name]`, or the default where an open map (tags, parameters) does not hold the name."""
        return self[name] if name in self else default  # noqa: SIM401 - `get` is this

    def list(self, name: str) -> Sequence[Any]:
        """The elements (objects as `Facts`); empty when the source said null."""
        return self[name] or []

    def text(self, name: str, default: str = "") -> str:
        """The string; the default when the source said null."""
        value = self[name]
        return default if value is None else str(value)

    def plain(self, name: str) -> Json:
        """The value as plain JSON, whole: a gap anywhere inside is `Unseen`."""
        value = self._read(name)
        self._refuse_below(name)
        return value

    def names(self) -> Sequence[str]:
        """The names the source gave here, sorted; a gap directly below is `Unseen`."""
        for pointer, gap in self._gaps.items():
            if pointer.startswith(f"{self._at}/") and "/" not in pointer[len(self._at) + 1 :]:
                raise Unseen(gap, pointer)
        return sorted(self._value)

    def unseen_at(self, name: str) -> Gap | None:
        """The gap at, above or below a name, without raising; "" asks for the whole record."""
        pointer = self._pointer(name) if name else self._at
        for at, gap in self._gaps.items():
            if pointer == at or pointer.startswith(f"{at}/") or (name and at.startswith(f"{pointer}/")):
                return gap
        return None

    def seen(self, name: str, default: Any) -> Json:
        """The plain value where it was seen and is there, else the default; for comparing, not for judging."""
        return default if self.unseen_at(name) else self._value.get(name, default)

    def _read(self, name: str) -> Json:
        self._refuse_at(name)
        if name not in self._value:
            self._refuse_below(name)
            raise Unseen(Gap(Reason.UNSUPPORTED, code="NotCollected"), self._pointer(name))
        return self._value[name]

    def _part(self, name: str, value: Mapping[str, Json]) -> Facts:
        return Facts(
            value, self._gaps, key=self.key, scope=self.scope, observed_ms=self.observed_ms, at=self._pointer(name)
        )

    def _element(self, name: str, number: int, value: Any) -> Any:
        return self._part(f"{name}/{number}", value) if isinstance(value, dict) else value

    def _pointer(self, name: str) -> str:
        return f"{self._at}/{escape(name)}"

    def _refuse_at(self, name: str) -> None:
        if not self._gaps:
            return
        pointer = self._pointer(name)
        while True:
            if pointer in self._gaps:
                raise Unseen(self._gaps[pointer], pointer)
            if not pointer:
                return
            pointer = pointer.rpartition("/")[0]

    def _refuse_below(self, name: str) -> None:
        if not self._gaps:
            return
        below = self._pointer(name) + "/"
        for pointer, gap in self._gaps.items():
            if pointer.startswith(below):
                raise Unseen(gap, pointer)


def _present(facts: Json, pointer: str) -> bool:
    value = facts
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return False
    return True


class StreamView:
    """The records of a stream as far as they were seen, then `Unseen` if that is not all of them.

    So `any(...)` may pass on a hit, and "none found" is never concluded from a partial list.
    """

    def __init__(
        self,
        records: Callable[[], Iterator[Facts]],
        missing: Gap | None,
        stream: str,
        find: Callable[[str], Facts | None] | None = None,
    ) -> None:
        self._records, self._missing, self._stream, self._find = records, missing, stream, find

    def __iter__(self) -> Iterator[Facts]:
        """Each record, then `Unseen` when the list is not complete."""
        yield from self._records()
        self._refuse()

    def one(self, key: str) -> Facts | None:
        """The record with this key, or None when a complete list has none."""
        if self._find is not None:
            found = self._find(key)
        else:
            found = next((record for record in self._records() if record.key == key), None)
        if found is None:
            self._refuse()
        return found

    def count(self) -> int:
        """How many records there are; `Unseen` unless the list is complete."""
        self._refuse()
        return sum(1 for _ in self._records())

    def _refuse(self) -> None:
        if self._missing is not None:
            raise Unseen(self._missing, self._stream)


class Context:
    """What a check may ask besides its subject. Asking is noted, so that nothing is judged too seldom."""

    def __init__(
        self,
        now_ms: int,
        thresholds: Mapping[str, Any],
        here: Callable[[str], StreamView],
        everywhere: Callable[[str], StreamView],
        configured: Callable[[str], bool],
    ) -> None:
        self._now_ms, self._here, self._everywhere, self._configured = now_ms, here, everywhere, configured
        self.thresholds = thresholds
        """Thresholds and the other settings a rule reads; bound by the rules document."""
        self.asked = False
        """Whether anything but the subject and the thresholds was read."""

    @property
    def now(self) -> int:
        """`asof` of the judged record, ms UTC; for a whole scope the time of judging."""
        self.asked = True
        return self._now_ms

    def here(self, stream: str) -> StreamView:
        """The stream in the judging scope of the subject."""
        self.asked = True
        return self._here(stream)

    def everywhere(self, stream: str) -> StreamView:
        """The stream in every judging scope."""
        self.asked = True
        return self._everywhere(stream)

    def configured(self, stream: str) -> bool:
        """Whether anything collects the stream: what only exempts counts as empty where nothing does."""
        self.asked = True
        return self._configured(stream)
