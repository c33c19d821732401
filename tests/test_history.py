"""What history tells of kept events that a rule wants: each of them, and never silence about a gap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.facts import Unseen
from agent.history import History
from agent.model import Gap, Reason
from agent.world import World
from tests.mlflow.telling import Telling

EVENTS, JOBS = "aws.cloudtrail.events", "trainlog.training.jobs"
TIME = "2027-01-15T08:00:00Z"


def _history(told: Telling) -> History:
    (judging,) = told.ledger.judgings()
    return History(World(told.ledger, told.ledger.head().size - 1, told.at_ms), judging)


def _stops(event: Mapping[str, Any]) -> bool:
    return bool(event["name"] == "StopLogging")


def test_events_with_the_same_document_are_each_told_in_their_order(tmp_path: Path) -> None:
    told = Telling(tmp_path)
    stopped, other = {"name": "StopLogging", "time": TIME}, {"name": "StartLogging", "time": TIME}
    told.poll(EVENTS, {"1": stopped, "2": other, "3": stopped})
    told.at_ms += 3_600_000
    told.poll(EVENTS, {"3": stopped, "4": stopped})
    assert [event.key for event in _history(told).kept(EVENTS, _stops)] == ["1", "3", "4"]
    assert [event.key for event in _history(told).kept(EVENTS)] == ["1", "2", "3", "4"]


def test_a_record_that_could_not_be_described_is_told_and_cannot_be_read(tmp_path: Path) -> None:
    told = Telling(tmp_path)
    unread = Gap(Reason.MALFORMED, op="ReadLog", code="1", key="2")
    told.poll(JOBS, {"1": {"name": "StopLogging"}, "3": {"name": "x"}}, broken=unread)
    first, second = _history(told).kept(JOBS, _stops)
    assert (first.key, second.key) == ("1", "2")
    with pytest.raises(Unseen):
        second["name"]
