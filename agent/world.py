"""The ledger as one judging sees it: for every stream the newest poll up to an index, no choice made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agent.canonical import parse
from agent.facts import Facts, StreamView, Unseen
from agent.model import Gap, Kind, Poll, PollStatus, Reason, Stored
from agent.schedule import stale_after_ms

if TYPE_CHECKING:
    from agent.ledger import Ledger, TargetRow

_KEPT_DOCUMENTS = 20_000
_BATCH = 1_000
_told: WeakKeyDictionary[Ledger, dict[tuple[Callable[..., bool], int], list[Stored]]] = WeakKeyDictionary()
"""Of each open ledger: which events of a poll are wanted. A poll never changes, so neither does the answer."""


class World:
    """What was known at `at_ms`, from the entries up to the index `upto`, itself included."""

    def __init__(self, ledger: Ledger, upto: int, at_ms: int) -> None:
        self.ledger, self.upto, self.at_ms = ledger, upto, at_ms
        self.targets: dict[int, TargetRow] = {i: row for i, row in ledger.targets(upto).items() if not row.ended}
        self.newest: dict[int, Poll] = ledger.newest(upto)
        self._parsed: dict[int, Any] = {}
        self._lists: dict[int, list[Stored]] = {}
        self._by_key: dict[int, dict[str, Stored]] = {}
        self._polls: dict[int, Sequence[Poll]] = {}

    def rows(self, stream: str, judging_id: int | None) -> list[TargetRow]:
        """The targets of a stream in one judging scope, or (None) in all."""
        return [
            row for row in self.targets.values() if row.target.stream == stream and judging_id in (None, row.judging_id)
        ]

    def unseen(self, row: TargetRow) -> Gap | None:
        """Why the target as a whole was not seen: its newest poll failed, is too old, or there is none."""
        poll = self.newest.get(row.id)
        if poll is None:
            return Gap(Reason.STALE, code="NeverCollected")
        if poll.status is PollStatus.FAILED:
            return self.broken(poll)
        if self.at_ms - poll.start_ms > stale_after_ms(row.target.every_s):
            return Gap(Reason.STALE, code="TooOld")
        return None

    def broken(self, poll: Poll) -> Gap:
        """What broke a failed or partial poll, as its receipt says."""
        gap = self.ledger.receipt(poll.idx)["doc"].get("gap")
        return Gap.of(gap) if gap else Gap(poll.why or Reason.PARTIAL)

    def incomplete(self, row: TargetRow) -> Gap | None:
        """Why the list of the target is not all there is; None when it is complete."""
        gap = self.unseen(row)
        poll = self.newest.get(row.id)
        if gap is None and poll and poll.status is PollStatus.PARTIAL:
            broken = self.broken(poll)
            return Gap(Reason.PARTIAL, broken.op, broken.code, broken.need if broken.reason is Reason.DENIED else None)
        return gap

    def list_broken(self, row: TargetRow) -> Gap | None:
        """As `incomplete`, but only where resources may exist that nobody knows by name."""
        poll = self.newest.get(row.id)
        if poll and poll.status is PollStatus.PARTIAL and self.ledger.receipt(poll.idx)["doc"].get("gap") is None:
            return None
        return self.incomplete(row)

    def records(self, row: TargetRow) -> Iterator[Facts]:
        """The records of a target as its newest poll shows them."""
        poll = self.newest[row.id]
        waiting = iter(self.stored(row))
        while batch := list(islice(waiting, _BATCH)):
            self.load([stored.blob_id for stored in batch])
            for stored in batch:
                yield self.facts(stored.blob_id, stored.key, poll, row.target.scope.name)

    def events(self, row: TargetRow, wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[Facts]:
        """The kept events of a target whose facts are wanted, in the order of the log."""
        poll, told = self.newest[row.id], _told.setdefault(self.ledger, {})
        for idx, group in groupby(self.stored(row), lambda stored: stored.idx):
            found = told.get((wanted, idx))
            if found is None:
                found = told[wanted, idx] = list(self._wanted(list(group), wanted))
            waiting = iter(found)
            while batch := list(islice(waiting, _BATCH)):
                self.load([stored.blob_id for stored in batch])
                for stored in batch:
                    yield self.facts(stored.blob_id, stored.key, poll, row.target.scope.name)

    def _wanted(self, group: list[Stored], wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[Stored]:
        """Those whose facts are wanted, and those of which nothing but a gap is known: they might be."""
        told: dict[int, bool] = {}
        for blob_id, data in self.ledger.documents({stored.blob_id for stored in group}):
            body = parse(data)
            told[blob_id] = "gap" in body or wanted(body["facts"])
        # two events may have the same document: each of them counts
        return (stored for stored in group if told.get(stored.blob_id, True))

    def record(self, row: TargetRow, key: str) -> Facts | None:
        """One record of a target as its newest poll shows it."""
        if row.id not in self._by_key:
            self._by_key[row.id] = {stored.key: stored for stored in self.stored(row)}
        stored = self._by_key[row.id].get(key)
        return self.facts(stored.blob_id, key, self.newest[row.id], row.target.scope.name) if stored else None

    def stored(self, row: TargetRow) -> list[Stored]:
        """Positions of a target that hold a record or a gap document; of an events stream all that were kept."""
        if row.id not in self._lists:
            read = self.ledger.kept if row.target.kind is Kind.EVENTS else self.ledger.state
            self._lists[row.id] = read(row.id, self.upto)
        return self._lists[row.id]

    def facts(self, blob_id: int, key: str, poll: Poll, scope: str = "") -> Facts:
        """The facts of a stored document."""
        return Facts.of(self._document(blob_id), key=key, scope=scope, observed_ms=poll.asof_ms or poll.start_ms)

    def view(self, stream: str, judging_id: int | None) -> StreamView:
        """The stream as checks may see it; `Unseen` where nothing of it was."""
        rows = self.rows(stream, judging_id)
        if not rows:
            raise Unseen(Gap(Reason.NOT_CONFIGURED, code="NoSuchSource"), stream)
        missing = next((gap for gap in map(self.incomplete, rows) if gap), None)
        seen = [row for row in rows if self.unseen(row) is None]
        if not seen and missing:
            raise Unseen(missing, stream)
        return StreamView(
            lambda: (record for row in seen for record in self.records(row)),
            missing,
            stream,
            lambda key: next((found for row in seen if (found := self.record(row, key))), None),
        )

    def polls(self, target_id: int) -> Sequence[Poll]:
        """The polls of a target up to `upto`, oldest first."""
        if target_id not in self._polls:
            self._polls[target_id] = self.ledger.past(target_id, self.upto)
        return self._polls[target_id]

    @cached_property
    def since_ms(self) -> dict[int, int]:
        """Since when each target is in scope, by its number."""
        since: dict[int, int] = {}
        for line in self.ledger.events("scope"):
            since.setdefault(int(line["t"]), int(line["at"]))
        return since

    @cached_property
    def owed_from_ms(self) -> int | None:
        """Since when slots are owed: the first `start` of the daemon, or a configuration that says so."""
        for line in self.ledger.events():
            if line["idx"] > self.upto:
                break
            if line["k"] == "start" or (line["k"] == "config" and line.get("owed")):
                return int(line["at"])
        return None

    def _document(self, blob_id: int) -> Mapping[str, Any]:
        found = self._parsed.get(blob_id)
        if found is None:
            if len(self._parsed) >= _KEPT_DOCUMENTS:
                self._parsed.clear()
            found = self._parsed[blob_id] = parse(self.ledger.document(blob_id))
        return found  # type: ignore[no-any-return]

    def load(self, blob_ids: list[int]) -> None:
        """Read many documents at once, for records about to be judged."""
        wanted = [blob_id for blob_id in blob_ids if blob_id not in self._parsed][:_KEPT_DOCUMENTS]
        if len(self._parsed) + len(wanted) > _KEPT_DOCUMENTS:
            self._parsed.clear()
        for blob_id, data in self.ledger.documents(wanted):
            self._parsed[blob_id] = parse(data)
