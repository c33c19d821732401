"""The replay by itself: from the middle of a log, and of a log of which not every line is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.canonical import canonical, parse
from agent.ledger import Ledger
from agent.ledger.merkle import leaf_hash
from agent.ledger.replay import Entry, Leaf, Replay
from tests.ledger.world import World, open_at


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    made = open_at(tmp_path_factory.mktemp("replay"), create=True)
    world = World(made, 3)
    world.run(150)
    world.seal()
    yield made
    made.close()


class Told:
    """Collects what a replay complains of."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str, str]] = []

    def __call__(self, code: str, place: str, text: str) -> None:
        self.problems.append((code, place, text))


def entries(ledger: Ledger, first: int = 0, last: int | None = None) -> Iterator[Entry]:
    return ((idx, line, None) for idx, line in ledger.lines(first, last))


def test_whole_log_from_its_lines(ledger: Ledger) -> None:
    told, referred = Told(), set()
    replay = Replay(told, refer=referred.add)
    replay.run(entries(ledger), ledger.changes(), ledger.seen(), ledger.notes())
    assert told.problems == []
    head = ledger.head()
    assert (replay.log.size, replay.root(), replay.sealed) == (head.size, head.root, head.size)
    assert (replay.key, replay.origin) == (ledger.signer.public_key, ledger.origin)
    assert all(ledger.blob_of(digest) is not None for digest in referred)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_window_of_a_log(ledger: Ledger, share: float) -> None:
    """State before the window and hashes left and right of it give the head of the whole."""
    head, told = ledger.head(), Told()
    first, last = int(head.size * share), head.size - 5
    before = [body for body in ledger.events("scope") if body["idx"] < first]
    replay = Replay(
        told, first=first, left=ledger.left(first), scopes=before, key=ledger.signer.public_key, origin=ledger.origin
    )
    wanted = {tree for _, tree, *_ in ledger.changes(first, last)} | {
        one.target_id
        for one in ledger.polls(since=first, upto=last - 1)
        if one.root is not None and one.from_ms is None
    }
    replay.load(row for row in ledger.state_at(first) if row[0] in wanted or row[0] < 0)
    notes = [(size, note) for size, note in ledger.notes() if first < size <= last]
    replay.run(entries(ledger, first, last), ledger.changes(first, last), ledger.seen(first, last), notes)
    assert [problem for problem in told.problems if "no line confirms" not in problem[2]] == []
    assert replay.root(ledger.right(last, head.size), head.size) == head.root
    with pytest.raises(ValueError, match="shorter|longer|argument"):
        replay.root(ledger.right(last, head.size)[1:], head.size)


def test_state_that_no_line_confirms(ledger: Ledger) -> None:
    told = Told()
    replay = Replay(told)
    replay.load([(1, 0, "arn:aws:s3:::made-up", bytes(32))])
    replay.run([], [], [], [])
    assert told.problems == [("state", "tree 1", "no line confirms the state before the first entry")]


def test_lines_outside_a_bundle(ledger: Ledger) -> None:
    """One judging scope is hidden: its lines are leaf hashes; the rest holds, and the root is the same."""
    hidden = {row.id for row in ledger.targets().values() if row.judging_id == 2}

    def shown() -> Iterator[Entry]:
        for idx, line in ledger.lines():
            body = parse(line)
            outside = body.get("t") in hidden or (body["k"] == "judged" and body["s"] == 2)
            yield idx, Leaf(leaf_hash(line)) if outside else line, None

    def changes() -> Iterator[tuple[int, int, int, str, bytes | None]]:
        return (row for row in ledger.changes() if row[1] not in hidden and row[1] != -2)

    told = Told()
    replay = Replay(told)
    replay.run(shown(), changes(), ledger.seen(), ledger.notes())
    assert told.problems == []
    assert replay.root() == ledger.head().root
    assert replay.counts["hidden"] > 0


def _without(number: int, rows: list[Entry]) -> list[Entry]:
    return rows[:number] + rows[number + 1 :]


def _altered(number: int, rows: list[Entry]) -> list[Entry]:
    idx, line, _ = rows[number]
    body = parse(line)
    body["at" if "at" in body else "dur"] += 1
    return [*rows[:number], (idx, canonical(body), None), *rows[number + 1 :]]


def _spaced(number: int, rows: list[Entry]) -> list[Entry]:
    idx, line, _ = rows[number]
    return [*rows[:number], (idx, line.replace(b":", b": ", 1), None), *rows[number + 1 :]]


def _noise(number: int, rows: list[Entry]) -> list[Entry]:
    return [*rows[:number], (rows[number][0], b"[1]", None), *rows[number + 1 :]]


@pytest.mark.parametrize("change", [_without, _altered, _spaced, _noise])
def test_altered_lines(ledger: Ledger, change) -> None:  # type: ignore[no-untyped-def]
    rows = list(entries(ledger))
    for number in range(1, len(rows) - 1, 9):
        told = Told()
        Replay(told).run(change(number, rows), ledger.changes(), ledger.seen(), ledger.notes())
        codes = {code for code, _, _ in told.problems}
        assert codes & {"checkpoint", "order"}, (number, rows[number])
