"""What changed between polls, with bounds: derived from the ledger each time, never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from agent.facts import Facts, StreamView
from agent.model import Poll, PollStatus

if TYPE_CHECKING:
    from agent.ledger import TargetRow
    from agent.world import World

_BATCH = 1_000

MISSING = object()
"""A record or a name that was not there, as `before` or `after` of a change."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a record: it came to be in (not_before_ms, not_after_ms]."""

    key: str
    facts: Facts | None
    """None: the record was gone."""
    idx: int
    """Index of the poll that first showed it."""
    target_id: int
    not_before_ms: int | None
    """`asof` of the newest earlier poll that saw the record, or its absence; None when none did."""
    not_after_ms: int
    """End of the poll that showed it."""
    baseline: bool
    """Shown by the target's first complete poll: there was nothing to compare it with."""


@dataclass(frozen=True, slots=True)
class Change:
    """One facet of a record that changed in (not_before_ms, not_after_ms]."""

    key: str
    before: Any
    after: Any
    idx: int
    not_before_ms: int | None
    not_after_ms: int
    baseline: bool


class History:
    """The past of one judging scope, up to the judged poll."""

    def __init__(self, world: World, judging_id: int) -> None:
        self._world, self._judging_id = world, judging_id

    def now(self, stream: str) -> StreamView:
        """The stream as the newest polls show it."""
        return self._world.view(stream, self._judging_id)

    def polls(self, stream: str, *, everywhere: bool = False) -> list[Poll]:
        """Complete and partial polls of the stream, oldest first; `everywhere` as for `versions`."""
        rows = self._world.rows(stream, None if everywhere else self._judging_id)
        return sorted((poll for row in rows for poll in self._seen(row.id)), key=lambda poll: poll.idx)

    def targets(self, stream: str | None = None) -> Iterator[tuple[TargetRow, Sequence[Poll], int | None]]:
        """The targets of the scope, their polls, oldest first, and since when slots of each are owed (None: not).

        With a `stream` only its targets: reading the polls of all of them takes long.
        """
        for row in self._world.targets.values():
            if row.judging_id == self._judging_id and stream in (None, row.target.stream):
                owed, since = self._world.owed_from_ms, self._world.since_ms[row.id]
                yield row, self._world.polls(row.id), None if owed is None else max(owed, since)

    def versions(self, stream: str, *, everywhere: bool = False) -> Iterator[Version]:
        """Every version of every record, in the order of the log; a gap is no version.

        `everywhere`: in all judging scopes, as for a register that is kept beside them.
        """
        for row in self._world.rows(stream, None if everywhere else self._judging_id):
            yield from self._versions(row.id)

    def kept(self, stream: str, wanted: Callable[[Mapping[str, Any]], bool] | None = None) -> Iterator[Facts]:
        """Records of an events stream that are wanted, in the order of the log, whatever became of its newest poll.

        `wanted` is a function of the module, of the facts alone: what it said of a poll's events is remembered,
        so that a year of them is not read again each hour. None: every event, read anew.
        """
        for row in self._world.rows(stream, self._judging_id):
            if row.id in self._world.newest:
                yield from self._world.events(row, wanted) if wanted else self._world.records(row)

    def changes(self, stream: str, name: str) -> Iterator[Change]:
        """How one facet changed, from poll to poll in which it was seen; records that came or went included."""
        before: dict[tuple[int, str], Any] = {}
        seen_ms: dict[tuple[int, str], int | None] = {}
        for version in self.versions(stream):
            place = (version.target_id, version.key)
            after = MISSING if version.facts is None else version.facts.seen(name, MISSING)
            if version.facts is not None and version.facts.unseen_at(name):
                seen_ms.setdefault(place, version.not_before_ms)
                continue
            since = seen_ms.pop(place, version.not_before_ms)
            was = before.get(place, MISSING)
            before[place] = after
            if was != after:
                yield Change(version.key, was, after, version.idx, since, version.not_after_ms, version.baseline)

    def _seen(self, target_id: int) -> list[Poll]:
        return [poll for poll in self._world.polls(target_id) if poll.status is not PollStatus.FAILED]

    def _versions(self, target_id: int) -> Iterator[Version]:
        polls = self._seen(target_id)
        scope = self._world.targets[target_id].target.scope.name
        order = {poll.idx: number for number, poll in enumerate(polls)}
        first = next((poll.idx for poll in polls if poll.status is PollStatus.COMPLETE), None)
        # key -> newest version seen, and since which poll it has been out of sight
        last_seen: dict[str, tuple[int | None, int | None]] = {}
        for key, idx, blob_id in self._loaded(self._world.ledger.versions(target_id, self._world.upto)):
            number, poll = order[idx], polls[order[idx]]
            facts = None if blob_id is None else self._world.facts(blob_id, key, poll, scope)
            known, lost = last_seen.get(key, (None, None))
            if facts is not None and facts.unseen_at(""):
                last_seen[key] = (known, number if lost is None else lost)
                continue
            if key in last_seen and known == blob_id and lost is not None:
                last_seen[key] = (known, None)
                continue
            last_seen[key] = (blob_id, None)
            yield Version(
                key, facts, idx, target_id, _not_before(polls, number if lost is None else lost, known is not None),
                poll.start_ms + poll.dur_ms, idx == first,
            )  # fmt: skip

    def _loaded(self, rows: Iterable[tuple[str, int, int | None]]) -> Iterator[tuple[str, int, int | None]]:
        """The same rows, their documents read many at once."""
        waiting = iter(rows)
        while batch := list(islice(waiting, _BATCH)):
            self._world.load([blob_id for _, _, blob_id in batch if blob_id is not None])
            yield from batch


def _not_before(polls: list[Poll], number: int, known: bool) -> int | None:
    """`asof` of the poll before this one that saw the record, or, for a new record, its absence."""
    for poll in reversed(polls[:number]):
        if known or poll.status is PollStatus.COMPLETE:
            return poll.asof_ms
    return None
