"""What the audit events tell over time: interruptions, use of root, holes in the windows, several regions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.clock import DAY_MS, iso
from agent.facts import Context
from agent.history import History
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Window
from agent.registry import discover
from agent.settings import Settings
from agent.world import World
from checks.aws.trail_events import destinations, interruptions, root_use
from collectors.aws.events import REACH_MS
from tests.aws.emulated import ACCOUNT, account, poll, refuse, source
from tests.aws.test_collect_events import showing
from tests.aws.worlds.cloudtrail import event

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000
STREAM = "aws.cloudtrail.events"
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}


@pytest.fixture
def ledger(tmp_path):
    with account():
        opened = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=NOW_MS)
        yield opened
        opened.close()


def stop(id="1", *, hours=1, **told):
    return event(
        id, "StopLogging", "cloudtrail.amazonaws.com", at=NOW - timedelta(hours=hours), request={"name": "main"}, **told
    )


def sign_in(id="9", *, hours=1, outcome="Success", **told):
    at, said = NOW - timedelta(hours=hours), {"ConsoleLogin": outcome}
    return event(id, "ConsoleLogin", "signin.amazonaws.com", identity=ROOT, at=at, response=said, **told)


def take(ledger, *events, from_ms=0, to_ms=NOW_MS, region="us-east-1", refused=False):
    """One poll of a region's events, kept."""
    of = showing(*events)
    if refused:
        of = source(regions=[region])
        refuse(of, "cloudtrail.LookupEvents", "AccessDeniedException", 400)
    of._settings.regions = [region]
    snapshot = poll(STREAM, of, Window(from_ms, to_ms))
    ledger.declare([snapshot.target], to_ms)
    ledger.append_poll(replace(snapshot, start_ms=to_ms, asof_ms=None if refused else to_ms))


def told(ledger, derive, at_ms=NOW_MS):
    """What a derived stream says, by key."""
    world = World(ledger, ledger.head().size - 1, at_ms)
    context = Context(at_ms, {}, None, None, None)
    return {record.key: record.facts for record in derive(History(world, 1), context)}


def judged(ledger, at_ms=NOW_MS):
    judge(ledger, discover(), Settings().rule_settings(), at_ms)
    return {f.key: f for f in findings(ledger, discover(), at_ms=at_ms) if f.check == "trail-interruptions"}


def test_a_successful_stop_is_an_interruption_and_a_refused_one_is_not(ledger):
    take(ledger, stop("1"), stop("2", errorCode="AccessDenied"))
    assert list(told(ledger, interruptions)) == ["1"]
    assert told(ledger, interruptions)["1"]["trail"] == "main"


def test_an_interruption_stays_as_judged_when_the_next_poll_is_refused(ledger):
    take(ledger, stop())
    assert judged(ledger)["1"].status == "fail"
    take(ledger, from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS + HOUR_MS, refused=True)
    after = judged(ledger, NOW_MS + HOUR_MS)
    assert after.pop("1").status == "fail"
    (whole,) = after.values()
    assert (whole.status, whole.need) == ("not_evaluated", ("cloudtrail:LookupEvents",))


def test_a_region_that_is_refused_hides_no_other(ledger):
    take(ledger, region="eu-west-1", refused=True)
    take(ledger, stop())
    found = judged(ledger)
    assert found.pop("1").status == "fail"
    assert [one.reason.value for one in found.values()] == ["denied"]


def test_no_interruption_after_a_whole_look_is_no_finding(ledger):
    take(ledger)
    assert judged(ledger) == {}


def test_use_of_root_is_told_with_the_reach_of_the_events(ledger):
    refused = sign_in("2", outcome="Failure")
    take(ledger, sign_in("1"), refused, stop("3"))
    seen = told(ledger, root_use)[ACCOUNT]
    assert [use["id"] for use in seen["uses"]] == ["1"]
    assert (seen["complete"], seen["since"]) == (True, iso(NOW_MS - REACH_MS))


def test_a_hole_between_two_windows_moves_the_reach(ledger):
    take(ledger, to_ms=NOW_MS - 10 * DAY_MS, from_ms=NOW_MS - 20 * DAY_MS)
    take(ledger, from_ms=NOW_MS - 5 * DAY_MS, to_ms=NOW_MS - HOUR_MS)
    take(ledger, from_ms=NOW_MS - 2 * HOUR_MS)
    assert told(ledger, root_use)[ACCOUNT]["since"] == iso(NOW_MS - 5 * DAY_MS)


def test_the_shortest_reach_of_the_regions_counts(ledger):
    take(ledger)
    take(ledger, from_ms=NOW_MS - DAY_MS, region="eu-west-1")
    assert told(ledger, root_use)[ACCOUNT]["since"] == iso(NOW_MS - DAY_MS)


@pytest.mark.parametrize(
    "polls",
    [
        [{"region": "eu-west-1"}],
        [{}, {"region": "eu-west-1", "refused": True}],
        [{"to_ms": NOW_MS - 4 * HOUR_MS}],
        [{"to_ms": NOW_MS - HOUR_MS}, {"refused": True}],
    ],
    ids=["without the region of identities", "a region refused", "too old", "the newest refused"],
)
def test_what_is_not_whole_says_so(ledger, polls):
    for one in polls:
        take(ledger, sign_in(), **one)
    assert told(ledger, root_use)[ACCOUNT] == {"complete": False, "since": None, "uses": []}


def test_destinations_join_the_prefixes_of_trails(ledger):
    import boto3

    boto3.client("s3").create_bucket(Bucket="trail-logs")
    trail = boto3.client("cloudtrail")
    for name, prefix in (("main", {}), ("second", {"S3KeyPrefix": "more/"})):
        trail.create_trail(Name=name, S3BucketName="trail-logs", **prefix)
        trail.put_event_selectors(
            TrailName=name, EventSelectors=[{"ReadWriteType": "All", "IncludeManagementEvents": True}]
        )
    for stream in ("aws.cloudtrail.trails", "aws.cloudtrail.shadows"):
        snapshot = poll(stream)
        ledger.declare([snapshot.target], NOW_MS)
        ledger.append_poll(replace(snapshot, start_ms=NOW_MS, asof_ms=NOW_MS))
    assert told(ledger, destinations) == {
        "trail-logs": {
            "carries": ["logs of the trail main", "logs of the trail second"],
            "places": ["AWSLogs/", "more/AWSLogs/"],
        }
    }


def test_what_was_told_of_a_poll_is_kept_and_new_polls_are_added(ledger):
    take(ledger, stop("1"), to_ms=NOW_MS - HOUR_MS)
    assert list(told(ledger, interruptions)) == []  # at the end of the window, which is left out
    take(ledger, stop("1"), stop("2", hours=0.5), from_ms=NOW_MS - 2 * HOUR_MS)
    assert list(told(ledger, interruptions)) == ["1", "2"]
    take(ledger, stop("2", hours=0.5), from_ms=NOW_MS - HOUR_MS, to_ms=NOW_MS + HOUR_MS)
    assert list(told(ledger, interruptions)) == ["1", "2"]
