"""What the ledger proves to be gone, and what was only not told; written through the real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.assess import read
from agent.assess.findings import Deviation, deviations
from agent.canonical import canonical, digest
from agent.clock import DAY_MS
from agent.ledger import Ledger
from agent.model import (
    Item,
    Kind,
    PollStatus,
    Reason,
    Scope,
    Snapshot,
    Tape,
    Target,
    Verdict,
    failed,
    finding_body,
    passed,
    undecided,
)

TARGET = Target("mlflow.registry.versions", Scope("mlflow:main", "mlflow:main"), Kind.STATE, 86_400, "mlflow/1")
RULES = canonical({"v": 1})
FAIL, PASS = failed("no commit"), passed("a commit")
UNTOLD = undecided(Reason.DEPENDENCY, "the registry was not seen")
WHOLE = "0/run-git-commit/mlflow:main"
RECORD = "0/run-git-commit/churn/2"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger.open(f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "key", create=True, now_ms=0)
    made.declare([TARGET], 0)
    yield made
    made.close()


def judged(ledger: Ledger, day: int, findings: dict[str, Verdict]) -> None:
    at_ms = day * DAY_MS
    document = canonical({"facts": {"n": "x"}, "gaps": {}, "redacted": [], "v": 1})
    item = Item("churn/2", digest(document), len(document))
    ledger.append_poll(
        Snapshot(
            TARGET, PollStatus.COMPLETE, None, None, at_ms, 5, at_ms, [item], {item.digest: document}, {"v": 1}, Tape()
        )  # fmt: skip
    )
    found = {key: canonical(finding_body(key.split("/")[1], verdict)) for key, verdict in findings.items()}
    ledger.append_judged(1, at_ms, ledger.head().size - 1, RULES, found, [])


def lived(ledger: Ledger, key: str) -> list[Deviation]:
    target, check, record = key.split("/", 2)
    for subject, life in read(ledger, 99 * DAY_MS).lives():
        if (str(subject.target_id), subject.check, subject.key) == (target, check, record):
            return deviations(subject, life)
    return []


def test_a_derived_record_that_was_not_told_is_not_gone(ledger: Ledger) -> None:
    judged(ledger, 1, {RECORD: FAIL})
    judged(ledger, 2, {WHOLE: UNTOLD})
    (one,) = lived(ledger, RECORD)
    assert one.closed_ms is None
    assert one.last_fail_ms == DAY_MS
    judged(ledger, 3, {RECORD: FAIL})
    judged(ledger, 4, {RECORD: PASS})
    (one,) = lived(ledger, RECORD)
    assert (one.last_fail_ms, one.closed_ms, one.closed_by, one.flaps) == (3 * DAY_MS, 4 * DAY_MS, "passed", 0)


def test_it_is_gone_once_the_whole_was_told_without_it(ledger: Ledger) -> None:
    judged(ledger, 1, {RECORD: FAIL})
    judged(ledger, 2, {WHOLE: UNTOLD})
    judged(ledger, 3, {})
    (one,) = lived(ledger, RECORD)
    assert (one.closed_ms, one.closed_by) == (3 * DAY_MS, "removed")


def test_a_record_that_is_gone_at_once_is_removed(ledger: Ledger) -> None:
    judged(ledger, 1, {RECORD: FAIL})
    judged(ledger, 2, {})
    (one,) = lived(ledger, RECORD)
    assert (one.closed_ms, one.closed_by) == (2 * DAY_MS, "removed")


def test_a_target_that_left_the_scope_closes_nothing(ledger: Ledger) -> None:
    key = "1/model-signature-present/churn/2"
    judged(ledger, 1, {key: FAIL})
    ledger.retire([TARGET.name], "account closed", 2 * DAY_MS)
    ledger.append_judged(1, 3 * DAY_MS, ledger.head().size - 1, RULES, {}, [])
    (one,) = lived(ledger, key)
    assert one.closed_ms is None


def test_a_record_that_a_complete_poll_does_not_show_is_removed(ledger: Ledger) -> None:
    key = "1/model-signature-present/churn/2"
    judged(ledger, 1, {key: FAIL})
    judged(ledger, 2, {})
    (one,) = lived(ledger, key)
    assert (one.closed_ms, one.closed_by) == (2 * DAY_MS, "removed")


def test_slots_are_owed_from_the_first_start(ledger: Ledger) -> None:
    assert read(ledger, DAY_MS).owed_from_ms is None
    ledger.append_event("config", {"owed": False}, 5)
    ledger.append_event("start", {"host": "a"}, 7)
    ledger.append_event("start", {"host": "a"}, 9)
    assert read(ledger, DAY_MS).owed_from_ms == 7


def test_terms_follow_the_scope_events(ledger: Ledger) -> None:
    faster = Target(TARGET.stream, TARGET.scope, TARGET.kind, 3_600, TARGET.collector)
    ledger.declare([faster], DAY_MS)
    ledger.retire([faster.name], "over", 2 * DAY_MS)
    (past,) = read(ledger, 3 * DAY_MS).targets.values()
    assert [(term.from_ms, term.to_ms, term.every_s) for term in past.terms] == [
        (0, DAY_MS, 86_400),
        (DAY_MS, 2 * DAY_MS, 3_600),
    ]
