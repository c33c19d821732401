"""The daemon: APScheduler over the slot grid. Every slot ends as collected, partial, failed or missed."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import gcd
from typing import TYPE_CHECKING

import structlog

from agent import clock
from agent.judge import judge
from agent.model import PollStatus, Snapshot, Target
from agent.registry import seconds
from agent.schedule import slot_of
from agent.sweep import Outcome, Plan, Planned, announce, retire_absent, sweep

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from agent.claims import Claims
    from agent.config import Settings
    from agent.ledger import Ledger
    from agent.redact import Redactor
    from agent.registry import Registry

log = structlog.get_logger()

SEAL_WHILE_BUSY_MS = 300_000
"""While polls arrive, the log is sealed at least this often."""


@dataclass
class Daemon:
    """One process that owes its slots from its first start on."""

    ledger: Ledger
    registry: Registry
    settings: Settings
    plan: Plan
    redactor: Redactor
    claims: Claims
    now: Callable[[], int] = clock.now_ms
    replan: Callable[[], Plan] | None = None
    """Plans anew: asked before each collection while a source has not named its scopes."""
    stopping: threading.Event = field(default_factory=threading.Event)
    _sealed_ms: int = 0
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; the exit code (143, 130) comes back, the ledger closed cleanly."""
        from apscheduler.schedulers.background import BackgroundScheduler

        caught: list[int] = []

        def stop(number: int, _frame: object) -> None:
            caught.append(number)
            self.stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        self.start()
        scheduler = BackgroundScheduler(timezone="UTC")
        self._schedule(scheduler)
        scheduler.start()
        notify("READY=1")
        while not self.stopping.wait(15):
            self.seal_when_due()
            notify("WATCHDOG=1")
        notify("STOPPING=1")
        scheduler.shutdown(wait=True)
        self.stop()
        return 128 + (caught[0] if caught else signal.SIGTERM)

    def start(self) -> None:
        """Say that the daemon is there, and for how long it was not; then judge what a crash left unjudged."""
        at_ms = self.now()
        self._outage(at_ms)
        announce(self.ledger, self.registry, self.settings, at_ms)
        self.ledger.declare([item.target for item in self.plan.targets], at_ms)
        retire_absent(self.ledger, self.registry, self.settings, self.plan, at_ms)
        self.ledger.append_event("start", {"host": socket.gethostname(), "process": os.getpid()}, at_ms)
        self._judge_left(at_ms)
        self.seal(at_ms)

    def _judge_left(self, at_ms: int) -> None:
        """Judge the scopes that have a poll which no judged line saw: the process before died in between."""
        judged, rows = self.ledger.last_judged(), self.ledger.targets()
        left = {
            rows[number].judging_id
            for number, poll in self.ledger.newest().items()
            if (line := judged.get(rows[number].judging_id)) is None or poll.idx > line.upto
        }
        judge(self.ledger, self.registry, self.settings.rule_settings(), at_ms, left)

    def stop(self) -> None:
        """Say that the daemon ended cleanly, and seal."""
        at_ms = self.now()
        self.ledger.append_event("stop", {"host": socket.gethostname(), "process": os.getpid()}, at_ms)
        self.seal(at_ms)
        log.info("stopped")

    def collect_due(self) -> Outcome | None:
        """Collect every target whose current slot has no poll yet, in one sweep; None when there is none."""
        at_ms = self.now()
        due = [] if self.stopping.is_set() else self._due(at_ms)
        if not due:
            return None
        outcome = sweep(
            self.ledger, self.registry, self.settings, due, self.redactor, self.claims,
            slot_of=lambda target: slot_of(target.every_s, at_ms), now=self.now, on_poll=_told, seal=False,
            stopping=self.stopping.is_set,
        )  # fmt: skip
        self.seal_when_due(SEAL_WHILE_BUSY_MS)
        return outcome

    def _due(self, at_ms: int) -> list[Planned]:
        """Targets whose current slot nothing covers yet; a complete manual collection in it does."""
        numbers = {row.target.name: number for number, row in self.ledger.targets().items()}
        newest = self.ledger.newest()

        def waits(target: Target) -> bool:
            slot, poll = slot_of(target.every_s, at_ms), newest.get(numbers.get(target.name, 0))
            if poll is None or poll.start_ms < slot:
                return True
            return poll.slot_ms is None and poll.status is not PollStatus.COMPLETE

        return [item for item in self.plan.targets if waits(item.target)]

    def seal_when_due(self, after_ms: int | None = None) -> None:
        """Seal when the newest note is older than this (default: `checkpoint_every`), even if idle."""
        at_ms = self.now()
        limit = seconds(self.settings.ledger.checkpoint_every) * 1000 if after_ms is None else after_ms
        if at_ms - self._sealed_ms >= limit:
            self.seal(at_ms)

    def seal(self, at_ms: int) -> None:
        """Sign the head of the log."""
        self.ledger.seal(at_ms)
        self._sealed_ms = at_ms

    def _schedule(self, scheduler: BackgroundScheduler) -> None:
        """Fire wherever a slot of the grid begins, and once now for the slots under way."""
        from apscheduler.triggers.interval import IntervalTrigger

        # of a source that has not named its scopes yet the intervals are not known
        step = gcd(*(item.target.every_s for item in self.plan.targets), 3600 if self.plan.unreached else 0)
        jitter = self.settings.schedule.jitter
        late_s = 0 if jitter == "0s" else min(seconds(jitter), step // 2)
        # The trigger's own jitter is not used: it counts each firing from the one before, so that
        # the delays add up and in the end step over a slot.
        grid = IntervalTrigger(seconds=step, start_date=datetime.fromtimestamp(0, UTC))
        scheduler.add_job(self._fire, args=[step, 0], misfire_grace_time=None)
        scheduler.add_job(
            self._fire, grid, args=[step, late_s], coalesce=True, max_instances=1, misfire_grace_time=step
        )

    def _fire(self, step: int, late_s: int) -> None:
        """Wait up to `late_s`, collect what is due, and again if slots began meanwhile; one at a time."""
        self.stopping.wait(random.uniform(0, late_s))
        with self._busy:
            began = None
            while not self.stopping.is_set() and began != slot_of(step, self.now()):
                began = slot_of(step, self.now())
                self.look_again()
                self.collect_due()

    def look_again(self) -> None:
        """Plan anew while there are sources that could not name their scopes, and say which."""
        if self.replan is not None and (self.plan.unreached or self.plan.blind):
            self.plan = self.replan()
        for name, gap in self.plan.unreached.items():
            log.warning("source not reached", source=name, why=gap.reason.value, op=gap.op, code=gap.code)

    def _outage(self, at_ms: int) -> None:
        """One event for the time since the last entry, when slots were owed and went by in it."""
        events = list(self.ledger.events())
        if not any(line["k"] == "start" for line in events):
            return
        last_poll = max((poll.start_ms + poll.dur_ms for poll in self.ledger.newest(None).values()), default=0)
        last_ms = max(last_poll, *(int(line["at"]) for line in events))
        shortest = min((item.target.every_s for item in self.plan.targets), default=0)
        if shortest and slot_of(shortest, at_ms) > slot_of(shortest, last_ms) + shortest * 1000:
            stopped = [line for line in events if line["k"] in ("start", "stop")][-1]["k"] == "stop"
            why = "stopped" if stopped else "no clean end before it"
            self.ledger.append_event("outage", {"from": last_ms, "to": at_ms, "why": why}, at_ms)


def _told(item: Planned, snapshot: Snapshot | None) -> None:
    if snapshot is None:
        log.info("slot already collected", target=item.target.name)
        return
    level = log.info if snapshot.status is PollStatus.COMPLETE else log.warning
    level("collected", target=item.target.name, status=snapshot.status.value, why=snapshot.why, n=len(snapshot.items))


def notify(state: str) -> None:
    """Tell the service manager (sd_notify: one datagram to $NOTIFY_SOCKET); nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.connect("\0" + address[1:] if address.startswith("@") else address)
        link.send(state.encode())
