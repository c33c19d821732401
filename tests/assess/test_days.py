"""The state of a day: never better than its worst slot, and what softens nothing."""

from __future__ import annotations

from datetime import date

import pytest

from agent.assess import DayState, Sight, Span, State
from agent.assess.coverage import TargetPast, cover
from agent.assess.days import Tally, blend, worst_of
from agent.assess.findings import Piece, Result
from agent.clock import DAY_MS
from agent.model import Kind, Poll, PollStatus, Reason, Scope, Status, Target
from agent.schedule import Coverage, Term

SPAN = Span.period(date(1970, 1, 1), date(1970, 1, 10))
SEEN, BRIDGED, UNREAD, NOTHING = Sight.SEEN, Sight.BRIDGED, Sight.UNREAD, Sight.NOTHING
PASS, FAIL = Result(Status.PASS, None), Result(Status.FAIL, None)
DENIED, STALE = Result(Status.NOT_EVALUATED, Reason.DENIED), Result(Status.NOT_EVALUATED, Reason.STALE)
OTHER = Result(Status.NOT_APPLICABLE, None)


def piece(result: Result, first: float, last: float, then: float | None) -> Piece:
    """A stretch in days since the span began."""
    ms = [None if day is None else round(day * DAY_MS) for day in (first, last, then)]
    return Piece(result, 1, 1, ms[0] or 0, 1, ms[1] or 0, 1, ms[2])


def day(results: list[Result], sight: Sight, *, once: bool = False) -> DayState:
    tally = Tally(len(SPAN.days))
    for result in results:
        tally.add(piece(result, 0, 9, None), SPAN, SPAN.until_ms, once=once, event=False)
    return blend([(tally, [sight] * len(SPAN.days))], len(SPAN.days))[0]


@pytest.mark.parametrize(
    ("results", "sight", "once", "state"),
    [
        ([PASS, PASS], SEEN, False, State.MET),
        ([PASS, FAIL], SEEN, False, State.PARTLY_MET),
        ([FAIL, FAIL], SEEN, False, State.NOT_MET),
        ([FAIL], SEEN, True, State.NOT_MET),
        ([PASS, DENIED], SEEN, False, State.NOT_EVALUABLE),
        ([PASS, STALE], SEEN, False, State.NO_EVIDENCE),
        ([PASS, FAIL, DENIED], SEEN, False, State.PARTLY_MET),
        ([PASS], BRIDGED, False, State.BRIDGED),
        ([PASS], SEEN | BRIDGED, False, State.BRIDGED),
        ([FAIL], BRIDGED, False, State.NOT_MET),
        ([PASS], SEEN | NOTHING, False, State.NO_EVIDENCE),
        ([PASS], SEEN | UNREAD, False, State.NOT_EVALUABLE),
        ([PASS], NOTHING, False, State.NO_EVIDENCE),
        ([FAIL], NOTHING, False, State.NO_EVIDENCE),
        ([FAIL], UNREAD, False, State.NOT_EVALUABLE),
        ([OTHER], SEEN, False, State.NOT_APPLICABLE),
        ([], SEEN, False, State.NOT_APPLICABLE),
        ([], Sight.NOT_PLANNED, False, State.OUTSIDE),
        ([PASS], Sight.NOT_PLANNED, False, State.OUTSIDE),
    ],
)
def test_the_state_of_a_day(results: list[Result], sight: Sight, once: bool, state: State) -> None:
    """What was said before counts on no day on which nothing was seen."""
    assert day(results, sight, once=once).state is state


def test_what_else_was_true_is_kept() -> None:
    assert day([PASS, FAIL, DENIED], SEEN | BRIDGED).also == (State.BRIDGED, State.NOT_EVALUABLE)


def test_the_day_of_the_next_observation_is_the_next_pieces() -> None:
    """Failed at noon of day 2 and 3, passed at noon of day 4."""
    tally = Tally(len(SPAN.days))
    tally.add(piece(FAIL, 1.5, 2.5, 3.5), SPAN, SPAN.until_ms, once=False, event=False)
    tally.add(piece(PASS, 3.5, 9.5, None), SPAN, SPAN.until_ms, once=False, event=False)
    assert tally.counts()["fail"] == [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert tally.counts()["pass"] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


def test_a_day_on_which_both_were_observed_has_both() -> None:
    tally = Tally(len(SPAN.days))
    tally.add(piece(FAIL, 1.2, 1.4, 1.6), SPAN, SPAN.until_ms, once=False, event=False)
    tally.add(piece(PASS, 1.6, 9.5, None), SPAN, SPAN.until_ms, once=False, event=False)
    assert (tally.counts()["fail"][1], tally.counts()["pass"][1]) == (1, 1)


def test_a_wide_rule_is_softened_by_no_other() -> None:
    met, wide, narrow = DayState(State.MET), DayState(State.NOT_MET, wide=True), DayState(State.NOT_MET)
    assert [day.state for day in worst_of([[met], [wide]])] == [State.NOT_MET]
    assert [day.state for day in worst_of([[met], [narrow]])] == [State.PARTLY_MET]
    assert [day.state for day in worst_of([[narrow], [narrow]])] == [State.NOT_MET]


# -- coverage of a target, day by day ----------------------------------------------------------

PAST = TargetPast(
    1, Target("aws.iam.users", Scope("aws:1", "aws:1"), Kind.STATE, 86_400, "c/1"), 1, (Term(0, 2**62, 86_400),)
)


def poll(
    at_day: float, status: PollStatus = PollStatus.COMPLETE, root: bytes = b"r", why: Reason | None = None
) -> Poll:
    at_ms = round(at_day * DAY_MS)
    failed = status is PollStatus.FAILED
    return Poll(
        round(at_day * 10),
        1,
        None,
        at_ms,
        1,
        None if failed else at_ms,
        None,
        None,
        status,
        why,
        1,
        0,
        1,
        None if failed else root,
    )


def sights(polls: list[Poll], owed_from_ms: int | None) -> list[Sight]:
    return cover(PAST, SPAN, polls, owed_from_ms=owed_from_ms, known_ms=10 * DAY_MS).days


def test_days_of_owed_slots() -> None:
    polls = [
        poll(0), poll(1), poll(3), poll(4, PollStatus.FAILED, why=Reason.DENIED), poll(5, root=b"s"),
        poll(6, PollStatus.FAILED, why=Reason.TIMEOUT), poll(7, PollStatus.PARTIAL, why=Reason.THROTTLED), poll(8),
    ]  # fmt: skip
    assert sights(polls, 0) == [
        SEEN, SEEN, BRIDGED, SEEN, UNREAD, SEEN, NOTHING, SEEN | UNREAD, SEEN, NOTHING,
    ]  # fmt: skip


def test_where_nothing_is_owed_an_observation_holds_two_days() -> None:
    """Collected by hand on day 2 and day 7: held on days 2, 3 and 4; day 6 has nothing; before, nothing was planned."""
    assert sights([poll(1.5), poll(6.5)], None) == [
        Sight.NOT_PLANNED, SEEN, SEEN, SEEN, NOTHING, NOTHING, SEEN, SEEN, SEEN, NOTHING,
    ]  # fmt: skip


def test_incomplete_above_five_percent_or_seven_days() -> None:
    """A run counts once it is longer than the longest gap, three days here."""
    base = [poll(0), poll(9.5, root=b"s")]
    lost = cover(PAST, SPAN, base, owed_from_ms=0, known_ms=10 * DAY_MS)
    assert lost.counts == {Coverage.COVERED: 2, Coverage.MISSED: 8}
    assert lost.incomplete(SPAN) == "aws.iam.users@aws:1: 8 days without evidence"
    short = cover(PAST, SPAN, [*base[:1], *(poll(n, root=b"s") for n in (3, 4, 5, 6, 7, 8, 9))], owed_from_ms=0,
                  known_ms=10 * DAY_MS)  # fmt: skip
    assert short.counts[Coverage.MISSED] == 2
    assert short.incomplete(SPAN) is None
