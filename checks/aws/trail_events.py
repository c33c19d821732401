"""What the audit events tell: interruptions of the trail, and use of root, with how far back they were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.clock import iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Poll, PollStatus, Record
from agent.registry import derived
from agent.schedule import stale_after_ms

EVENTS = "aws.cloudtrail.events"
TRAILS, SHADOWS = "aws.cloudtrail.trails", "aws.cloudtrail.shadows"
INTERRUPTIONS, ROOT_USE = "aws.cloudtrail.interruptions", "aws.cloudtrail.root_use"
DESTINATIONS = "aws.cloudtrail.destinations"

_INTERRUPTING = frozenset({"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"})
_GLOBAL = frozenset({"us-east-1", "us-gov-west-1", "cn-north-1"})
"""The region of each partition in which the events of identities and of root are."""


@derived(DESTINATIONS, kind="state", of=(TRAILS, SHADOWS))
def destinations(history: History, ctx: Context) -> Iterator[Record]:
    """Each bucket that trails deliver to, with the prefixes of their logs."""
    found: dict[str, dict[str, str]] = {}
    for trail in (*history.now(TRAILS), *history.now(SHADOWS)):
        if trail["bucket"]:
            prefix = trail.text("prefix").rstrip("/")
            found.setdefault(trail["bucket"], {})[trail["name"]] = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    for bucket, places in found.items():
        carries = sorted(f"logs of the trail {name}" for name in places)
        yield Record(bucket, {"carries": carries, "places": sorted(set(places.values()))})


@derived(INTERRUPTIONS, of=(EVENTS,))
def interruptions(history: History, ctx: Context) -> Iterator[Record]:
    """Successful calls that stopped, deleted or changed a trail."""
    for event in history.kept(EVENTS, _interrupts):
        asked = event["request"]
        yield Record(
            event.key,
            {
                "name": event["name"],
                "time": event["time"],
                "region": event["region"],
                "trail": asked.get("name") or asked.get("trailName"),
                "actor": event["actor"]["arn"],
            },
        )


# Of kind `events` because it tells something also where the newest poll of a region failed.
@derived(ROOT_USE, of=(EVENTS,))
def root_use(history: History, ctx: Context) -> Iterator[Record]:
    """Each account's use of root, and since when its events are known without a hole.

    Key: the account's number. `complete` means that the newest poll of every region saw everything and
    that the region of the partition's identity events is among them; only then are there `uses`.
    """
    read = [(row, polls) for row, polls, _ in history.targets(EVENTS)]
    if not read:
        return
    regions = {row.target.scope.detail.get("region") for row, _ in read}
    since = [_joined_since(polls) for _, polls in read]
    complete = bool(regions & _GLOBAL) and all(
        polls
        and polls[-1].status is PollStatus.COMPLETE
        and ctx.now - polls[-1].start_ms <= stale_after_ms(row.target.every_s)
        for row, polls in read
    )
    yield Record(
        read[0][0].target.scope.detail["account"],
        {
            "complete": complete,
            "since": iso(max(since)) if complete else None,  # a complete newest poll: none of them is without one
            "uses": [_use(event) for event in history.kept(EVENTS, _uses_root)] if complete else [],
        },
    )


def _joined_since(polls: Sequence[Poll]) -> int:
    """Start of the windows of complete polls that join without a hole up to the newest."""
    since, until = 0, -1
    for poll in polls:
        if poll.status is PollStatus.COMPLETE and poll.from_ms is not None and poll.to_ms is not None:
            if poll.from_ms > until:
                since = poll.from_ms
            until = poll.to_ms
    return since


def _interrupts(event: Mapping[str, Any]) -> bool:
    return event["name"] in _INTERRUPTING and event["error"] is None


def _uses_root(event: Mapping[str, Any]) -> bool:
    """Whether root did something, a sign-in that was refused left out."""
    if not event["actor"]["root"] or event["service_event"]:
        return False
    return event["name"] != "ConsoleLogin" or (
        event["error"] is None and event["response"].get("ConsoleLogin") != "Failure"
    )


def _use(event: Facts) -> dict[str, str]:
    return {"id": event.key, "name": event["name"], "source": event["source"], "time": event["time"]}
