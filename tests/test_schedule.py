"""The slot grid and what became of each slot, by hand and against a naive oracle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Kind, Poll, PollStatus, Reason
from agent.schedule import Coverage, Term, classify, due_by, longest_gap_ms, runs, slot_of, slots, stale_after_ms

HOUR = 3_600_000
COVERED, BRIDGED, FAILED, MISSED = Coverage


def poll(
    idx: int, start_ms: int, *, status: PollStatus = PollStatus.COMPLETE, slot_ms: int | None = None,
    asof_ms: int | None = None, root: bytes = b"r", window: tuple[int, int] | None = None, why: Reason | None = None,
) -> Poll:  # fmt: skip
    """A poll whose source observed it when it began, unless said otherwise."""
    asof = None if status is PollStatus.FAILED else start_ms if asof_ms is None else asof_ms
    from_ms, to_ms = window or (None, None)
    return Poll(
        idx, 1, slot_ms, start_ms, 10, asof, from_ms, to_ms, status, why, 1, 0, 1,
        None if status is PollStatus.FAILED else root,
    )  # fmt: skip


def coverages(kind: Kind, term: Term, polls: list[Poll]) -> list[Coverage]:
    return [slot.coverage for slot in classify(kind, term, polls)]


def test_the_grid_is_counted_from_1970_and_half_open() -> None:
    assert list(slots(3600, 0, 2 * HOUR)) == [0, HOUR]
    assert list(slots(3600, 1, 2 * HOUR + 1)) == [HOUR, 2 * HOUR]
    assert list(slots(3600, 5, 5)) == []
    assert slot_of(3600, HOUR - 1) == 0
    assert slot_of(3600, HOUR) == HOUR


def test_limits_follow_from_the_interval() -> None:
    assert [stale_after_ms(every) // HOUR for every in (900, 3600, 21_600, 86_400)] == [3, 3, 12, 48]
    assert [longest_gap_ms(every) // HOUR for every in (900, 3600, 21_600, 86_400)] == [6, 6, 18, 72]


def test_a_slot_is_due_when_it_is_over() -> None:
    assert list(slots(3600, 0, due_by(Kind.STATE, 3600, HOUR - 1))) == []
    assert list(slots(3600, 0, due_by(Kind.STATE, 3600, HOUR))) == [0]
    assert list(slots(3600, 0, due_by(Kind.EVENTS, 3600, 2 * HOUR - 1))) == []
    assert list(slots(3600, 0, due_by(Kind.EVENTS, 3600, 2 * HOUR))) == [0]


def test_covered_failed_and_missed() -> None:
    term = Term(0, 4 * HOUR, 3600)
    polls = [
        poll(1, 10, slot_ms=0),
        poll(2, HOUR + 10, slot_ms=HOUR, status=PollStatus.FAILED, why=Reason.DENIED),
        poll(3, 2 * HOUR + 10, slot_ms=2 * HOUR, status=PollStatus.PARTIAL, why=Reason.THROTTLED),
    ]
    found = classify(Kind.STATE, term, polls)
    assert [slot.coverage for slot in found] == [COVERED, FAILED, FAILED, MISSED]
    assert [slot.poll for slot in found] == [1, 2, 3, None]
    assert [slot.why for slot in found] == [None, Reason.DENIED, Reason.THROTTLED, None]


def test_a_manual_poll_covers_and_a_retry_mends_its_slot() -> None:
    term = Term(0, 2 * HOUR, 3600)
    polls = [
        poll(1, 10, slot_ms=0, status=PollStatus.FAILED, why=Reason.TIMEOUT),
        poll(2, 20 * 60_000),
        poll(3, HOUR + 5 * 60_000),
    ]
    assert coverages(Kind.STATE, term, polls) == [COVERED, COVERED]


def test_a_late_run_fills_no_past_slot_of_a_state_stream() -> None:
    polls = [poll(1, 10, slot_ms=0), poll(2, 2 * HOUR + 5, slot_ms=HOUR, root=b"other")]
    assert coverages(Kind.STATE, Term(0, 3 * HOUR, 3600), polls) == [COVERED, FAILED, COVERED]


def test_a_report_of_its_own_time_covers_the_slot_of_that_time() -> None:
    polls = [poll(1, HOUR + 5, slot_ms=HOUR, asof_ms=HOUR - 5)]
    found = classify(Kind.STATE, Term(0, 2 * HOUR, 3600), polls)
    assert [(slot.coverage, slot.why) for slot in found] == [(COVERED, None), (FAILED, Reason.STALE)]


def test_equal_records_on_both_sides_bridge_a_run_and_others_do_not() -> None:
    term = Term(0, 4 * HOUR, 3600)
    same = [poll(1, 10, slot_ms=0), poll(2, 3 * HOUR + 10, slot_ms=3 * HOUR)]
    other = [poll(1, 10, slot_ms=0), poll(2, 3 * HOUR + 10, slot_ms=3 * HOUR, root=b"other")]
    partly = [
        same[0],
        poll(3, HOUR + 10, slot_ms=HOUR, status=PollStatus.PARTIAL, why=Reason.PARTIAL, root=b"x"),
        same[1],
    ]
    assert coverages(Kind.STATE, term, same) == [COVERED, BRIDGED, BRIDGED, COVERED]
    assert coverages(Kind.STATE, term, other) == [COVERED, MISSED, MISSED, COVERED]
    assert coverages(Kind.STATE, term, partly) == [COVERED, FAILED, MISSED, COVERED]
    assert coverages(Kind.STATE, term, same[:1]) == [COVERED, MISSED, MISSED, MISSED]
    assert coverages(Kind.STATE, term, same[1:]) == [MISSED, MISSED, MISSED, COVERED]


def test_a_run_at_the_edge_of_the_term_is_bridged_by_polls_outside() -> None:
    polls = [poll(1, 10), poll(2, 5 * HOUR)]
    assert coverages(Kind.STATE, Term(HOUR, 3 * HOUR, 3600), polls) == [BRIDGED, BRIDGED]


def test_windows_must_contain_the_whole_slot() -> None:
    term = Term(0, 3 * HOUR, 3600)
    joined = [poll(1, HOUR, window=(0, HOUR)), poll(2, 2 * HOUR, window=(HOUR - 60_000, 2 * HOUR))]
    hole = [poll(1, HOUR, window=(0, HOUR - 1)), poll(2, 2 * HOUR, window=(HOUR, 2 * HOUR))]
    assert coverages(Kind.EVENTS, term, joined) == [COVERED, COVERED, MISSED]
    assert coverages(Kind.EVENTS, term, hole) == [MISSED, COVERED, MISSED]


def test_events_read_later_cover_the_past_and_say_so() -> None:
    polls = [poll(1, HOUR, window=(0, HOUR)), poll(2, 5 * HOUR, window=(HOUR, 5 * HOUR))]
    found = classify(Kind.EVENTS, Term(0, 5 * HOUR, 3600), polls)
    assert {slot.coverage for slot in found} == {COVERED}
    assert [slot.backfilled for slot in found] == [False, True, True, True, False]


def test_runs_are_whole_and_keep_their_reason() -> None:
    polls = [
        poll(1, 10, slot_ms=0), poll(2, 3 * HOUR, slot_ms=3 * HOUR),
        poll(3, 4 * HOUR, slot_ms=4 * HOUR, status=PollStatus.FAILED, why=Reason.DENIED),
    ]  # fmt: skip
    found = list(runs(classify(Kind.STATE, Term(0, 6 * HOUR, 3600), polls)))
    assert [(run.from_ms, run.to_ms, run.slots, run.bridged, run.why) for run in found] == [
        (HOUR, 3 * HOUR, 2, True, None),
        (4 * HOUR, 6 * HOUR, 2, False, Reason.DENIED),
    ]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=8), st.integers(1, 4))
def test_windows_agree_with_a_naive_oracle(windows: list[tuple[int, int]], every: int) -> None:
    """Each millisecond of each slot looked up in the union of all windows."""
    polls = [poll(idx, start + length, window=(start, start + length)) for idx, (start, length) in enumerate(windows)]
    read = {ms for start, length in windows for ms in range(start, start + length)}
    term = Term(0, 24, every)
    step = every * 1000
    scaled = [
        poll(one.idx, one.start_ms * 1000, window=((one.from_ms or 0) * 1000, (one.to_ms or 0) * 1000)) for one in polls
    ]
    found = classify(Kind.LIFE, Term(term.from_ms * 1000, term.to_ms * 1000, every), scaled)
    for slot in found:
        whole = all(ms in read for ms in range(slot.start_ms // 1000, (slot.start_ms + step) // 1000))
        assert (slot.coverage is COVERED) == whole
