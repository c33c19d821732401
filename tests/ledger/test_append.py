"""What each append writes: positions, tombstones, gaps, events, judged lines, clock events, slots."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.canonical import canonical, digest, parse
from agent.ledger import Ledger, SlotTaken
from agent.ledger.merkle import EMPTY, consistent, leaf_hash, record_leaf, root_from_inclusion, root_of
from agent.ledger.verify import verify_store
from agent.model import Item, PollStatus, Window
from tests.ledger.world import (
    ALL,
    BROKEN,
    BUCKETS,
    HOUR,
    JOBS,
    MODELS,
    RULES,
    START,
    TRAIL,
    UNTOLD,
    open_at,
    record,
    snapshot,
    target,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with its targets; whatever a test did to it, it verifies afterwards."""
    made = open_at(tmp_path, create=True)
    made.declare(ALL, START)
    yield made
    assert verify_store(made, made.fingerprint).problems == []
    made.close()


def facts(value: Any) -> bytes:
    return digest(canonical(record({"value": value})))


def held(ledger: Ledger, tree: int = 1, upto: int | None = None) -> dict[str, bytes]:
    return {one.key: one.digest for one in ledger.state(tree, upto)}


def finding(status: str) -> bytes:
    return canonical({"status": status})


# -- positions ---------------------------------------------------------------------------------


def test_new_keys_take_the_next_positions_in_the_order_of_their_bytes(ledger: Ledger) -> None:
    ledger.append_poll(snapshot(BUCKETS, {"b": 1, "Z": 1, "ä": 1, "a": 1}, START + 1))
    ledger.append_poll(snapshot(BUCKETS, {"b": 1, "c": 1, "A": 1}, START + 2))
    idx = ledger.append_poll(snapshot(BUCKETS, {"b": 1, "ä": 2, "c": 1, "A": 1}, START + 3))
    assert [(pos, key) for _, pos, key, _ in ledger.state_at(idx + 1)] == list(enumerate("ZabäAc"))
    one = ledger.poll(idx)
    leaves = [("Z", None), ("a", None), ("b", facts(1)), ("ä", facts(2)), ("A", facts(1)), ("c", facts(1))]
    assert one.root == root_of(record_leaf(key, name) for key, name in leaves)
    assert one.n == 4


def test_absent_from_a_complete_poll_is_gone(ledger: Ledger) -> None:
    first = ledger.append_poll(snapshot(BUCKETS, {"a": 1, "b": 1}, START + 1))
    second = ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 2))
    third = ledger.append_poll(snapshot(BUCKETS, {"a": 1, "b": 2}, START + 3))
    assert [held(ledger, upto=idx) for idx in (first, second, third)] == [
        {"a": facts(1), "b": facts(1)},
        {"a": facts(1)},
        {"a": facts(1), "b": facts(2)},
    ]
    gone = [(key, idx) for key, idx, blob_id in ledger.versions(1) if blob_id is None]
    assert gone == [("b", second)]
    assert [idx for key, idx, _ in ledger.versions(1, upto=second) if key == "b"] == [first, second]
    assert {one.key: one.idx for one in ledger.state(1)} == {"a": first, "b": third}


@pytest.mark.parametrize(("gap", "document"), [(BROKEN, BROKEN), (None, UNTOLD)])
def test_unobserved_in_a_partial_poll_is_a_gap(ledger: Ledger, gap: Any, document: Any) -> None:
    ledger.append_poll(snapshot(BUCKETS, {"a": 1, "b": 1, "c": 1}, START + 1))
    taken = snapshot(BUCKETS, {"a": 1}, START + 2, status="partial", why="throttled", gap=gap)
    idx = ledger.append_poll(taken)
    name = digest(canonical({"gap": document, "v": 1}))
    assert held(ledger) == {"a": facts(1), "b": name, "c": name}
    assert ledger.poll(idx).n == 3
    again = ledger.append_poll(replace(taken, start_ms=START + 3))
    assert ledger.poll(again).root == ledger.poll(idx).root
    assert list(ledger.changes(again)) == []
    blob_id = ledger.blob_of(name)
    assert blob_id is not None
    assert parse(ledger.document(blob_id)) == {"gap": document, "v": 1}


def test_failed_poll_changes_nothing(ledger: Ledger) -> None:
    before = ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 1))
    failed = ledger.append_poll(snapshot(BUCKETS, {}, START + 2, status="failed", why="denied", gap=BROKEN))
    after = ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 3))
    one = ledger.poll(failed)
    assert (one.root, one.n, one.asof_ms, one.status) == (None, 0, None, PollStatus.FAILED)
    assert ledger.poll(after).root == ledger.poll(before).root
    assert held(ledger, upto=failed) == {"a": facts(1)}
    assert ledger.receipt(failed)["doc"]["gap"] == BROKEN


def test_empty_population_has_a_root(ledger: Ledger) -> None:
    one = ledger.poll(ledger.append_poll(snapshot(BUCKETS, {}, START + 1)))
    assert (one.root, one.n, one.status) == (EMPTY, 0, PollStatus.COMPLETE)


def test_life_forgets_nothing(ledger: Ledger) -> None:
    def poll(jobs: dict[str, str], at_ms: int, open_keys: set[str], **more: Any) -> int:
        window = Window(START, at_ms, frozenset(open_keys))
        return ledger.append_poll(snapshot(JOBS, jobs, at_ms, window=window, **more))

    poll({"j1": "done", "j2": "open", "j3": "open"}, START + 1, set())
    poll({"j4": "open"}, START + 2, {"j2", "j3"})
    assert held(ledger, 2).keys() == {"j1", "j2", "j3", "j4"}
    poll({"j2": "done"}, START + 3, {"j2", "j3", "j4"}, status="partial", why="timeout")
    gap = digest(canonical({"gap": UNTOLD, "v": 1}))
    assert held(ledger, 2) == {"j1": facts("done"), "j2": facts("done"), "j3": gap, "j4": gap}


def test_events_are_kept_once(ledger: Ledger) -> None:
    def poll(keys: str, first: int, last: int) -> int:
        return ledger.append_poll(snapshot(TRAIL, dict.fromkeys(keys, 1), START + last, window=Window(first, last)))

    first = poll("ba", 0, 10)
    second = poll("bc", 5, 20)
    third = poll("c", 20, 30)
    assert [[one.key for one in ledger.events_of(idx)] for idx in (first, second, third)] == [["a", "b"], ["c"], []]
    assert [ledger.poll(idx).n for idx in (first, second, third)] == [2, 1, 0]
    assert ledger.poll(third).root == EMPTY
    assert ledger.poll(second).root == record_leaf("c", facts(1))
    assert [one for one in ledger.seen(second, third)] == [(second, 0, "c", facts(1))]
    assert ledger.state(3) == []
    assert (ledger.poll(second).from_ms, ledger.poll(second).to_ms) == (5, 20)


def test_event_that_could_not_be_described_is_none(ledger: Ledger) -> None:
    window = Window(0, 10)
    taken = snapshot(TRAIL, {"a": 1}, START + 1, window=window, status="partial", why="malformed", gap_keys=["b"])
    assert [one.key for one in ledger.events_of(ledger.append_poll(taken))] == ["a"]
    idx = ledger.append_poll(snapshot(TRAIL, {"a": 1, "b": 1}, START + 2, window=window))
    assert [one.key for one in ledger.events_of(idx)] == ["b"]


# -- polls -------------------------------------------------------------------------------------


def test_poll_is_given_back_whole(ledger: Ledger) -> None:
    taken = snapshot(BUCKETS, {"a": 1}, START + HOUR + 112, slot_ms=START + HOUR, req="7QZ9VN", skew=3)
    taken = replace(taken, asof_ms=START, gaps=2)
    idx = ledger.append_poll(taken)
    one = ledger.poll(idx)
    assert (one.slot_ms, one.start_ms, one.dur_ms, one.asof_ms) == (START + HOUR, START + HOUR + 112, 1200, START)
    assert (one.target_id, one.why, one.gaps, one.calls) == (1, None, 2, 3)
    assert ledger.receipt(idx) == {"doc": taken.receipt, "pages": 1, "req": "7QZ9VN", "rows": 1, "skew": 3}
    body = parse(next(line for _, line in ledger.lines(idx, idx + 1)))
    assert (body["slot"], body["start"], body["asof"], body["t"]) == (START + HOUR, START + HOUR + 112, START, 1)


def test_slot_is_taken_once(ledger: Ledger) -> None:
    ledger.append_poll(snapshot(BUCKETS, {}, START + 1, slot_ms=START, status="failed", why="denied"))
    size = ledger.head().size
    with pytest.raises(SlotTaken) as caught:
        ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 2, slot_ms=START))
    assert caught.value.exit_code == 7
    assert ledger.head().size == size
    assert held(ledger) == {}
    ledger.append_poll(snapshot(MODELS, {"a": 1}, START + 3, slot_ms=START))
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 4))
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 5, slot_ms=START + 1))


def test_newest_and_polls(ledger: Ledger) -> None:
    made = [ledger.append_poll(snapshot(BUCKETS, {"a": number}, START + number)) for number in range(3)]
    other = ledger.append_poll(snapshot(MODELS, {}, START + 9))
    assert {number: one.idx for number, one in ledger.newest().items()} == {1: made[2], 4: other}
    assert {number: one.idx for number, one in ledger.newest(made[1]).items()} == {1: made[1]}
    assert [one.idx for one in ledger.polls(1)] == made
    assert [one.idx for one in ledger.polls(1, since=made[1], upto=made[1])] == [made[1]]
    assert [one.idx for one in ledger.polls()] == [*made, other]
    assert next(ledger.polls(1, since=made[1])).root == ledger.poll(made[1]).root
    with pytest.raises(KeyError, match="no poll"):
        ledger.poll(0)


@pytest.mark.parametrize(
    "change",
    [
        {"why": None, "status": PollStatus.PARTIAL},
        {"asof_ms": None},
        {"status": PollStatus.FAILED},
        {"dur_ms": -1},
        {"window": Window(5, 4)},
        {"items": (Item("a", facts(1), 1), Item("a", facts(2), 1))},
        {"items": (Item("", facts(1), 1),)},
        {"items": (Item("a\x00", facts(1), 1),)},
        {"items": (Item("ä" * 513, facts(1), 1),)},
    ],
)
def test_snapshot_that_contradicts_itself(ledger: Ledger, change: dict[str, Any]) -> None:
    size = ledger.head().size
    with pytest.raises(ValueError):  # noqa: PT011 - nine different ones
        ledger.append_poll(replace(snapshot(BUCKETS, {"a": 1}, START + 1), **change))
    assert ledger.head().size == size


def test_document_that_differs_from_its_digest(ledger: Ledger) -> None:
    taken = snapshot(BUCKETS, {"a": 1}, START + 1)
    taken.documents[taken.items[0].digest] = b"{}"  # type: ignore[index]
    with pytest.raises(ValueError, match="differs from its digest"):
        ledger.append_poll(taken)


def test_target_must_be_declared(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="was not declared"):
        ledger.append_poll(snapshot(target("aws.iam.users"), {}, START))


# -- scopes ------------------------------------------------------------------------------------


def test_declare_writes_what_is_new_or_changed(ledger: Ledger) -> None:
    size = ledger.head().size
    assert ledger.declare(ALL, START + 1) == {one.name: number for number, one in enumerate(ALL, 1)}
    assert ledger.head().size == size
    slower = target("mlflow.registry.models", judging="mlflow:main", every_s=7200)
    assert ledger.declare([slower], START + 2) == {slower.name: 4}
    assert ledger.targets()[4].target.every_s == 7200
    assert ledger.targets(size - 1)[4].target == MODELS
    assert ledger.targets()[4].first_idx == 4
    ledger.retire([slower.name], "the server is gone", START + 3)
    ledger.retire([slower.name], "again", START + 4)
    assert ledger.targets()[4].ended
    assert [body["end"] for body in ledger.events("scope") if "end" in body] == ["the server is gone"]
    ledger.declare([slower], START + 5)
    assert not ledger.targets()[4].ended
    assert ledger.judgings() == {1: "aws:1", 2: "mlflow:main"}


# -- findings ----------------------------------------------------------------------------------


def test_findings_that_did_not_change_are_not_written(ledger: Ledger) -> None:
    upto = ledger.append_poll(snapshot(BUCKETS, {"a": 1, "b": 1}, START + 1))
    unseen = [2, 3]
    found = {"1/tls/a": finding("pass"), "1/tls/b": finding("fail"), "0/trail/aws:1": finding("pass")}
    first = ledger.append_judged(1, START + 2, upto, RULES, found, unseen)
    again = ledger.append_judged(1, START + 3, upto, RULES + b" ", found, unseen)
    assert list(ledger.changes(again)) == []
    third = ledger.append_judged(1, START + 4, upto, RULES, {**found, "1/tls/b": finding("pass")}, unseen)
    assert [(idx, key) for idx, _, _, key, _ in ledger.changes(third)] == [(third, "1/tls/b")]
    fourth = ledger.append_judged(1, START + 5, upto, RULES, {"1/tls/a": finding("pass")}, unseen)
    assert held(ledger, -1).keys() == {"1/tls/a"}
    lines = list(ledger.judged(1))
    assert [one.idx for one in lines] == [first, again, third, fourth]
    assert [one.fn for one in lines] == [3, 3, 3, 1]
    assert lines[0].froot == lines[1].froot != lines[2].froot
    assert lines[1].rules_blob != lines[0].rules_blob
    assert ledger.last_judged()[1] == lines[-1]
    assert ledger.last_judged(again)[1] == lines[1]


def test_findings_of_unseen_targets_stay(ledger: Ledger) -> None:
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 1))
    upto = ledger.append_poll(snapshot(JOBS, {"j": 1}, START + 1, window=Window(0, 1)))
    found = {"1/tls/a": finding("pass"), "2/tagged/j": finding("fail")}
    ledger.append_judged(1, START + 2, upto, RULES, found, [3])
    upto = ledger.append_poll(snapshot(JOBS, {}, START + 3, status="failed", why="denied", window=Window(0, 2)))
    idx = ledger.append_judged(1, START + 4, upto, RULES, {"1/tls/a": finding("fail")}, [2, 3])
    assert held(ledger, -1) == {"1/tls/a": digest(finding("fail")), "2/tagged/j": digest(finding("fail"))}
    assert list(ledger.judged())[-1].unseen == (2, 3)
    with pytest.raises(ValueError, match="not seen"):
        ledger.append_judged(1, START + 5, upto, RULES, found, [2, 3])
    with pytest.raises(ValueError, match="upto"):
        ledger.append_judged(1, START + 5, upto - 1, RULES, {}, [2, 3])
    with pytest.raises(ValueError, match="upto"):
        ledger.append_judged(1, START + 5, idx + 1, RULES, {}, [2, 3])
    with pytest.raises(LookupError, match="no judging scope 9"):
        ledger.append_judged(9, START + 5, upto, RULES, {}, [])


# -- events, checkpoints, clock ----------------------------------------------------------------


def test_event_brings_its_documents(ledger: Ledger) -> None:
    idx = ledger.append_event("file", {"name": "minutes.pdf"}, START + 5, [b"%PDF", b"scan"])
    body = next(ledger.events("file"))
    assert body == {
        "at": START + 5, "docs": [digest(b"%PDF").hex(), digest(b"scan").hex()], "idx": idx, "k": "file",
        "name": "minutes.pdf", "v": 1,
    }  # fmt: skip
    blob_id = ledger.blob_of(digest(b"%PDF"))
    assert blob_id is not None
    assert ledger.document(blob_id) == b"%PDF"
    assert ledger.blob_of(bytes(32)) is None
    nested = ledger.append_event("note", {"about": {"k": "file"}}, START + 6)
    assert [body["idx"] for body in ledger.events("file")] == [idx]
    assert [body["idx"] for body in ledger.events()][-1] == nested


def test_seal_chain_and_proofs(ledger: Ledger) -> None:
    assert ledger.notes() == []
    heads = []
    for number in range(20):
        ledger.append_poll(snapshot(BUCKETS, {"a": number}, START + number))
        ledger.seal(START + number)
        heads.append(ledger.head())
    assert [size for size, _ in ledger.notes()] == [head.size for head in heads]
    lines = dict(ledger.lines())
    old, new = heads[3], heads[-1]
    assert consistent(old.size, old.root, new.size, new.root, ledger.consistency(old.size, new.size))
    for idx in (0, 7, new.size - 1):
        path = ledger.inclusion(idx, new.size)
        assert root_from_inclusion(idx, new.size, leaf_hash(lines[idx]), path) == new.root


def test_clock_that_steps_back_is_said_once(ledger: Ledger) -> None:
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 10 * HOUR))
    ledger.append_poll(snapshot(MODELS, {"a": 1}, START + 10 * HOUR))
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 10 * HOUR - 1999))
    assert list(ledger.events("clock")) == []
    ledger.append_poll(snapshot(BUCKETS, {"a": 1}, START + 8 * HOUR))
    ledger.append_poll(snapshot(MODELS, {"a": 1}, START + 8 * HOUR))
    ledger.append_event("note", {"text": "x"}, START + 8 * HOUR)
    told = [(body["at"], body["was"]) for body in ledger.events("clock")]
    assert told == [(START + 8 * HOUR, START + 10 * HOUR - 1999)]
    ledger.append_event("note", {"text": "x"}, START + 7 * HOUR)
    assert [body["at"] for body in ledger.events("clock")] == [START + 8 * HOUR, START + 7 * HOUR]


def test_dictionary_is_trained_at_seal(ledger: Ledger) -> None:
    many = {f"bucket-{number:04d}": {"region": "eu-west-1", "owner": "ml", "number": number} for number in range(1100)}
    ledger.append_poll(snapshot(BUCKETS, many, START + 1))
    ledger.seal(START + 2)
    assert [body["size"] for body in ledger.events("dictionary")] == [16 * 1024]
    changed = {name: {**value, "note": "changed"} for name, value in many.items()}
    ledger.append_poll(snapshot(BUCKETS, changed, START + 3))
    ledger.seal(START + 4)
    assert len(list(ledger.events("dictionary"))) == 1
    stored = ledger.state(1)
    found = dict(ledger.documents(one.blob_id for one in stored))
    assert {one.key: found[one.blob_id] for one in stored} == {
        name: canonical(record({"value": value})) for name, value in changed.items()
    }


# -- several at once ---------------------------------------------------------------------------


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    wrong: list[BaseException] = []

    def work(of: Any, number: int) -> None:
        try:
            for step in range(15):
                ledger.append_poll(snapshot(of, {f"{number}": step}, START + step))
                assert ledger.head().size > step
                list(ledger.polls(number))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(of, number)) for number, of in ((1, BUCKETS), (4, MODELS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert [len(list(ledger.polls(number))) for number in (1, 4)] == [15, 15]


def test_reading_while_writing(ledger: Ledger) -> None:
    """A reader sees the state it began with, and hinders no writer."""
    for number in range(5):
        ledger.append_poll(snapshot(BUCKETS, {"a": number}, START + number))
    seen = []
    for one in ledger.polls(1):
        seen.append(one.idx)
        ledger.append_poll(snapshot(BUCKETS, {"a": -one.idx}, START + 100 + one.idx))
    assert len(seen) == 5


def test_two_openings_of_one_store(ledger: Ledger, tmp_path: Path) -> None:
    """Each remembers trees; what the other wrote counts."""
    other = open_at(tmp_path)
    states: list[dict[str, int]] = [{"a": 1}, {"b": 1}, {"a": 2, "b": 1}, {"a": 1}, {}, {"c": 1}]
    for number, state in enumerate(states * 3):
        (ledger, other)[number % 2].append_poll(snapshot(BUCKETS, state, START + number))
        (other, ledger)[number % 3 % 2].seal(START + number)
    assert ledger.head() == other.head()
    assert held(ledger) == held(other) == {"c": facts(1)}
    other.close()
