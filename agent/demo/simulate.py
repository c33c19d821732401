"""Thirty days in a minute: the story happens, and the real daemon collects, judges and seals through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from agent import clock
from agent.clock import DAY_MS
from agent.demo.account import Account, emulated
from agent.demo.company import MINUTE_MS, Clock, Company, Host, midnight
from agent.demo.jobs import JobLog
from agent.demo.models import Models, quiet_mlflow
from agent.demo.story import PEOPLE, SERVICES, STORY, Event
from agent.schedule import slot_of

if TYPE_CHECKING:
    from agent.daemon import Daemon
    from agent.ledger import Ledger
    from agent.model import Source
    from agent.settings import Settings
    from agent.sweep import Planned

DAYS = 30
SEED = 20
HOUR_MS = 60 * MINUTE_MS
LOOK_MS = 5 * MINUTE_MS
INSTALLED_MS = 6 * HOUR_MS - 20 * MINUTE_MS
"""The agent starts on the evening before the first of the thirty days: what it finds then is the baseline."""

DayDone = Callable[[int, list[Event]], None]
"""Told after each day of the story: its number, and what happened on it."""


@dataclass
class Agent:
    """The daemon on its host: started, killed by a loss of power, restarted. It never knows that it is a demo."""

    settings: Settings
    clock: Clock
    random: Random = field(default_factory=lambda: Random(SEED))
    _ledger: Ledger | None = None
    _daemon: Daemon | None = None
    _sources: dict[str, Source] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._daemon is not None

    def start(self) -> None:
        """What `evidenced run` does: open the ledger, say so, collect the slots under way."""
        from agent.claims import Claims
        from agent.daemon import Daemon
        from agent.ledger import Ledger
        from agent.redact import Redactor
        from agent.registry import discover
        from agent.sweep import connect, plan

        registry, named = discover(), self.settings.ledger
        self._ledger = Ledger.open(
            self.settings.store.connection(),
            named.key_file,
            create=not named.key_file.exists(),
            demo=True,
            origin=named.origin,
            now_ms=clock.now_ms(),
        )
        self._sources = connect(registry, self.settings)
        for source in self._sources.values():
            if hasattr(source, "pause"):
                source.pause = _at_once  # an emulator allows any number of calls a second
        made = plan(registry, self.settings, self._sources, self._ledger)
        self._daemon = Daemon(
            self._ledger,
            registry,
            self.settings,
            made,
            Redactor(self._ledger.redaction_key, registry.kept_tags | set(self.settings.redact.keep_tags)),
            Claims(None),  # there is no other process
        )
        self._daemon.start()
        self._collect(made.targets)

    def hour(self) -> None:
        """What the scheduler does at a full hour: the slots that begin now, and a seal when one is due."""
        assert self._daemon is not None
        at_ms = clock.now_ms()
        due = [item for item in self._daemon.plan.targets if at_ms - slot_of(item.target.every_s, at_ms) < HOUR_MS]
        if due:
            self._collect(due)

    def look(self) -> None:
        """What the daemon does between the hours: seal, when a seal is due."""
        assert self._daemon is not None
        self._daemon.seal_when_due()

    def stop(self) -> None:
        """End cleanly."""
        assert self._daemon is not None
        self._daemon.stop()
        self.die()

    def die(self) -> None:
        """End without a word: nothing more is written."""
        assert self._ledger is not None
        for source in self._sources.values():
            source.close()
        self._ledger.close()
        self._daemon = self._ledger = None

    def _collect(self, due: Sequence[Planned]) -> None:
        """One sweep over the slots under way, judged at its end."""
        from agent.sweep import sweep

        assert self._daemon is not None
        assert self._ledger is not None
        at_ms = clock.now_ms()
        sweep(
            self._ledger,
            self._daemon.registry,
            self.settings,
            due,
            self._daemon.redactor,
            self._daemon.claims,
            slot_of=lambda target: slot_of(target.every_s, at_ms),
            seal=False,
        )


def simulate(settings: Settings, company_folder: Path, now_ms: int, day_done: DayDone) -> None:
    """Let the story happen from its first day up to `now_ms`, watched by the agent.

    The company's own systems go into `company_folder`, the agent's ledger where the settings say.
    The process clock is moved meanwhile, for every thread of the process.
    """
    import time_machine

    first_ms = first_day_ms(now_ms)
    with (
        sealed_environment(),
        quiet_mlflow(),
        time_machine.travel(_seconds(midnight(-900, first_ms)), tick=True) as traveller,
        emulated(SEED),
    ):
        company = Company(
            Account(), Models(company_folder), JobLog(company_folder / "jobs", SEED), Clock(traveller), Host()
        )
        for event in STORY:
            if event.day <= 0:
                company.clock.back_to(_when(event, first_ms))
                event.happen(company)
        _watch(company, Agent(settings, company.clock), first_ms, now_ms, day_done)


def first_day_ms(now_ms: int) -> int:
    """Midnight (UTC) with which the thirty days begin: the last of them is yesterday."""
    return now_ms // DAY_MS * DAY_MS - DAYS * DAY_MS


def _watch(company: Company, agent: Agent, first_ms: int, now_ms: int, day_done: DayDone) -> None:
    company.clock.to(first_ms - INSTALLED_MS)
    _everybody_works(company)
    agent.start()
    for day in range(DAYS + 2):
        events = [event for event in STORY if event.day == day]
        for at_ms, happen in _moments(day, events, company, agent, first_ms):
            if first_ms - INSTALLED_MS < at_ms <= now_ms:
                company.clock.to(at_ms)
                happen()
        if 0 < day <= DAYS:
            day_done(day, events)
    company.clock.to(now_ms)
    agent.stop()


def _moments(
    day: int, events: list[Event], company: Company, agent: Agent, first_ms: int
) -> Iterator[tuple[int, Callable[[], None]]]:
    """The full hours of a day and what happens between them, in the order of time."""

    def tell(event: Event) -> Callable[[], None]:
        def happen() -> None:
            event.happen(company)
            _host(company.host, agent)

        return happen

    def hour() -> None:
        if agent.running:
            agent.hour()

    def look() -> None:
        if agent.running:
            agent.look()

    start = midnight(day, first_ms)
    # The scheduler comes a little late, and never before the hour.
    hours = [(start + number * HOUR_MS + agent.random.randrange(2_000, 50_000), hour) for number in range(24)]
    looks = [(start + number * LOOK_MS, look) for number in range(DAY_MS // LOOK_MS)]
    told = [(_when(event, first_ms), tell(event)) for event in events]
    works = [(start + 8 * HOUR_MS + 17 * MINUTE_MS, lambda: _everybody_works(company))]
    yield from sorted([*hours, *looks, *told, *works], key=lambda moment: moment[0])


def _host(host: Host, agent: Agent) -> None:
    """What became of the machine becomes of the process on it."""
    if agent.running and not host.powered:
        agent.die()
    elif not agent.running and host.powered:
        agent.start()
    elif host.restart_wanted:
        host.restart_wanted = False
        agent.stop()
        agent.clock.later(3)
        agent.start()


def _everybody_works(company: Company) -> None:
    company.account.work(PEOPLE, SERVICES)


def _when(event: Event, first_ms: int) -> int:
    return midnight(event.day, first_ms) + event.minute * MINUTE_MS


def _seconds(ms: int) -> float:
    return ms / 1000


def _at_once(_seconds: float) -> None:
    """Wait for nothing."""


@contextmanager
def sealed_environment() -> Iterator[None]:
    """Let nothing of the user's own settings in: no profile, no endpoint, no tracking server; and nothing out."""
    foreign = ("AWS_", "EVIDENCED_", "MLFLOW_")
    before = {name: value for name, value in os.environ.items() if name.startswith(foreign)}
    ours = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(foreign)]:
            del os.environ[name]
        os.environ.update(before)
