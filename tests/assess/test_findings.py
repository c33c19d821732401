"""Deviations of one subject, with both bounds, from versions written by hand."""

from __future__ import annotations

import pytest

from agent.assess.findings import Result, Sightings, Subject, deviations, pieces
from agent.clock import DAY_MS
from agent.model import Reason, Status

PASS, FAIL, NOT_SEEN, OTHER = 1, 2, 3, 4
RESULTS = {
    PASS: Result(Status.PASS, None),
    FAIL: Result(Status.FAIL, None),
    NOT_SEEN: Result(Status.NOT_EVALUATED, Reason.DENIED),
    OTHER: Result(Status.NOT_APPLICABLE, None),
}
SUBJECT = Subject(1, 1, "check", "key")


def life(*days: int | None, unseen: tuple[int, ...] = ()) -> tuple[list[tuple[int, int | None]], Sightings]:
    """One judged line a day, index = 10 x day, observed at noon; only changes are versions, as in the ledger."""
    seen, versions, last = Sightings(), [], object()
    for day, status in enumerate(days):
        if day in unseen:
            continue
        seen.add(day * 10, day * DAY_MS + DAY_MS // 2, day * 10 - 1)
        if status is not last:
            versions.append((day * 10, status))
        last = status
    return versions, seen


def noon(day: int) -> int:
    return day * DAY_MS + DAY_MS // 2


def found(*days: int | None, unseen: tuple[int, ...] = (), event: bool = False):  # type: ignore[no-untyped-def]
    versions, seen = life(*days, unseen=unseen)
    return deviations(SUBJECT, pieces(versions, RESULTS, seen), event=event)


def test_both_bounds_of_a_deviation() -> None:
    (one,) = found(PASS, PASS, FAIL, FAIL, PASS)
    assert (one.last_good_ms, one.opened_ms, one.last_fail_ms, one.closed_ms) == (noon(1), noon(2), noon(3), noon(4))
    assert one.closed_by == "passed"
    assert one.bounds_ms(noon(9)) == (DAY_MS, 3 * DAY_MS)
    assert one.remediation_ms(noon(9)) == 2 * DAY_MS
    assert not one.open_at(noon(9))
    assert one.open_at(noon(3))


def test_a_subject_that_failed_at_once_has_no_upper_bound() -> None:
    (one,) = found(FAIL, FAIL, PASS)
    assert one.last_good_ms is None
    assert one.bounds_ms(noon(9)) == (DAY_MS, None)


def test_an_open_one_counts_to_the_end_of_the_span() -> None:
    (one,) = found(PASS, FAIL, FAIL)
    assert one.open_at(noon(5))
    assert one.remediation_ms(noon(5)) == 4 * DAY_MS
    assert one.bounds_ms(noon(5)) == (DAY_MS, 5 * DAY_MS)


@pytest.mark.parametrize("between", [(NOT_SEEN,), (NOT_SEEN, NOT_SEEN)])
def test_not_evaluated_between_fails_keeps_it_open(between: tuple[int, ...]) -> None:
    (one,) = found(PASS, FAIL, *between, FAIL, PASS)
    assert one.last_fail_ms == noon(2 + len(between))
    assert one.flaps == 0


def test_not_evaluated_before_the_pass_keeps_it_open_until_the_pass() -> None:
    (one,) = found(PASS, FAIL, NOT_SEEN, PASS)
    assert one.last_fail_ms == noon(1)
    assert one.closed_ms == noon(3)


def test_a_day_on_which_the_target_was_unseen_is_no_observation() -> None:
    (one,) = found(PASS, FAIL, FAIL, FAIL, PASS, unseen=(2, 3))
    assert one.last_fail_ms == noon(1)
    assert one.bounds_ms(noon(9)) == (0, 4 * DAY_MS)


def test_removal_and_no_longer_applicable_close_it() -> None:
    (gone,) = found(FAIL, None)
    (other,) = found(FAIL, OTHER)
    assert (gone.closed_ms, gone.closed_by) == (noon(1), "removed")
    assert (other.closed_ms, other.closed_by) == (noon(1), "no longer applicable")


def test_opening_again_within_seven_days_is_the_same_one() -> None:
    (one,) = found(PASS, FAIL, PASS, PASS, FAIL, PASS)
    assert (one.opened_ms, one.closed_ms, one.flaps) == (noon(1), noon(5), 1)
    two = found(PASS, FAIL, *[PASS] * 7, FAIL, PASS)
    assert [(one.opened_ms, one.closed_ms, one.flaps) for one in two] == [(noon(1), noon(2), 0), (noon(9), noon(10), 0)]


def test_a_later_fix_does_not_undo_an_event() -> None:
    (one,) = found(FAIL, PASS, event=True)
    assert one.event
    assert one.closed_ms is None
    assert not one.open_at(noon(9))
    assert one.remediation_ms(noon(9)) == 0


def test_a_rule_that_changed_while_the_record_did_not() -> None:
    """Judged again on the same poll: the same observation passed by the old rule and failed by the new one."""
    seen = Sightings()
    seen.add(10, noon(1), 9)
    seen.add(20, noon(1), 9)
    (one,) = deviations(SUBJECT, pieces([(10, PASS), (20, FAIL)], RESULTS, seen))
    assert one.opened_ms == one.last_good_ms == noon(1)
