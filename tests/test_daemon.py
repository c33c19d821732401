"""The daemon on a simulated clock: every slot ends as something, an absence is one event, nothing is polled twice."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from agent import registry as registry_module
from agent.claims import Claims
from agent.collect import collect
from agent.daemon import Daemon
from agent.judge import findings
from agent.ledger import Ledger
from agent.model import Gap, PollStatus, Reason, Record, Scope, SourceError, Target, passed
from agent.redact import Redactor
from agent.registry import Registry, check, stream
from agent.schedule import Coverage, Term, classify, slot_of
from agent.settings import Settings
from agent.sweep import Plan, Planned, window

HOUR = 3_600_000
START = 1_800_000_000_000 // (24 * HOUR) * 24 * HOUR


class Toy:
    """A source with an hourly and a daily stream, which a test can break."""

    name = "toy"

    def __init__(self):
        self.broken, self.asked = False, []

    def scopes(self, per):
        return [Scope("toy:1", "toy:1")]

    def open(self, scope, needs, tape):
        if self.broken:
            raise SourceError(Gap(Reason.UNREACHABLE, "Open"))
        return self

    def close(self):
        pass


@pytest.fixture
def registry(monkeypatch):
    made = Registry()
    monkeypatch.setattr(registry_module, "REGISTRY", made)
    for name, every in (("toy.fast.things", "1h"), ("toy.slow.things", "1d")):

        @stream(name, per="one", every=every, needs={"Open": "open"})
        def things(toy, name=name):
            """Things."""
            toy.asked.append(name)
            yield Record("thing", {"name": name})

    @check("thing-there", over="toy.fast.things")
    def there(thing, ctx):
        """The thing is there."""
        return passed("there")

    @check("slow-thing-there", over="toy.slow.things")
    def slow(thing, ctx):
        """The slow thing is there."""
        return passed("there")

    return made


class Life:
    """One ledger over the lives of several daemon processes."""

    def __init__(self, folder, registry):
        self.registry, self.toy, self.at = registry, Toy(), START
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=START)
        scope = Scope("toy:1", "toy:1")
        self.plan = Plan(
            [
                Planned(spec, self.toy, Target(spec.name, scope, spec.kind, spec.every_s, spec.collector))
                for spec in registry.streams.values()
            ]
        )

    def daemon(self):
        return Daemon(
            self.ledger,
            self.registry,
            Settings(),
            self.plan,
            Redactor(b"k" * 32, ()),
            Claims(None),
            now=lambda: self.at,
        )

    def run(self, daemon, hours):
        for _ in range(hours):
            daemon.collect_due()
            daemon.seal_when_due()
            self.at += HOUR

    def kinds(self):
        return [line["k"] for line in self.ledger.events()]


@pytest.fixture
def life(tmp_path, registry):
    made = Life(tmp_path, registry)
    yield made
    made.ledger.close()


def test_each_slot_is_polled_once_and_never_again(life):
    daemon = life.daemon()
    daemon.start()
    life.run(daemon, 3)
    daemon.collect_due()
    again = life.daemon()
    again.start()
    again.collect_due()
    assert life.toy.asked.count("toy.slow.things") == 1
    assert life.toy.asked.count("toy.fast.things") == 4
    slots = [(poll.target_id, poll.slot_ms) for poll in life.ledger.polls()]
    assert len(set(slots)) == len(slots) == 5


def test_every_slot_ends_as_collected_failed_or_missed_and_an_outage_is_one_event(life):
    daemon = life.daemon()
    daemon.start()
    life.run(daemon, 2)
    life.toy.broken = True
    life.run(daemon, 2)
    life.toy.broken = False
    life.run(daemon, 1)
    daemon.stop()
    life.at += 5 * HOUR
    back = life.daemon()
    back.start()
    life.run(back, 2)
    assert life.kinds().count("outage") == 1
    (outage,) = life.ledger.events("outage")
    assert (outage["to"], outage["why"]) == (START + 10 * HOUR, "stopped")
    (row,) = [row for row in life.ledger.targets().values() if row.target.stream == "toy.fast.things"]
    polls = list(life.ledger.polls(row.id))
    found = classify(row.target.kind, Term(START, life.at, row.target.every_s), polls)
    assert [slot.coverage for slot in found] == (
        [Coverage.COVERED] * 2
        + [Coverage.BRIDGED] * 2
        + [Coverage.COVERED]
        + [Coverage.BRIDGED] * 5
        + [Coverage.COVERED] * 2
    )
    assert [poll.status for poll in polls].count(PollStatus.FAILED) == 2


def test_a_daemon_that_was_killed_left_no_clean_end(life):
    daemon = life.daemon()
    daemon.start()
    life.run(daemon, 1)
    life.at += 30 * HOUR
    life.daemon().start()
    (outage,) = life.ledger.events("outage")
    assert outage["why"] == "no clean end before it"


def test_a_manual_collection_covers_the_slot_it_lies_in(life):
    daemon = life.daemon()
    daemon.start()
    for item in life.plan.targets:
        life.ledger.append_poll(collect(item.target, item.spec, life.toy, Redactor(b"k" * 32, ()), now=lambda: life.at))
    assert daemon.collect_due() is None


def test_what_a_crash_left_unjudged_is_judged_at_the_next_start(life):
    daemon = life.daemon()
    daemon.start()
    for item in life.plan.targets:
        life.ledger.append_poll(collect(item.target, item.spec, life.toy, Redactor(b"k" * 32, ()), now=lambda: life.at))
    assert not life.ledger.last_judged()
    life.daemon().start()
    (line,) = life.ledger.last_judged().values()
    life.daemon().start()
    assert list(life.ledger.judged()) == [line]


def test_it_fires_where_slots_begin_and_delays_do_not_add_up(life):
    class Scheduler:
        triggers: ClassVar[list] = []

        def add_job(self, fire, trigger=None, **_):
            self.triggers.append(trigger)

    life.daemon()._schedule(Scheduler())
    (grid,) = [trigger for trigger in Scheduler.triggers if trigger]
    fired = [grid.get_next_fire_time(None, datetime.fromtimestamp(START / 1000 + 1, UTC))]
    for _ in range(500):
        fired.append(grid.get_next_fire_time(fired[-1], fired[-1]))
    assert [round(at.timestamp() * 1000) for at in fired] == [START + n * HOUR for n in range(1, 502)]


def test_a_slot_that_begins_during_a_sweep_is_collected_after_it(life):
    daemon = life.daemon()
    daemon.start()
    asked = []

    def collect_due():
        asked.append(life.at)
        life.at += HOUR if len(asked) == 1 else 0

    daemon.collect_due = collect_due
    daemon._fire(3600, 0)
    assert asked == [START, START + HOUR]


def test_a_stop_during_a_sweep_begins_no_further_target_and_judges_what_there_is(life):
    daemon = life.daemon()
    daemon.settings.schedule.max_parallel = 1
    daemon.start()
    daemon.stopping = type("Stopping", (), {"is_set": lambda _: bool(life.toy.asked)})()
    outcome = daemon.collect_due()
    assert len(outcome.polls) == len(life.toy.asked) == 1
    assert life.ledger.last_judged()


def test_a_source_that_could_not_name_its_scopes_is_asked_again(life):
    whole, life.plan = life.plan, Plan(unreached={"toy": Gap(Reason.DENIED, "WhoAmI")})
    answers = [life.plan, whole]
    daemon = life.daemon()
    daemon.replan = lambda: answers.pop(0)
    daemon.start()
    daemon._fire(3600, 0)
    assert not life.toy.asked
    daemon._fire(3600, 0)
    assert len(life.toy.asked) == 2
    daemon._fire(3600, 0)
    assert not answers


def test_two_processes_may_wait_for_each_others_claims(tmp_path):
    """Threads of one hold what threads of the other wait for: no deadlock, each gives its claim back."""
    work = (
        "import sys, threading, time, pathlib\n"
        "from agent.claims import Claims\n"
        "claims, failed = Claims(pathlib.Path(sys.argv[1])), []\n"
        "threading.excepthook = failed.append\n"
        "def hold(number, wait_s, hold_s):\n"
        "    time.sleep(wait_s)\n"
        "    with claims.claim(number):\n"
        "        time.sleep(hold_s)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "first, second = map(int, sys.argv[2:])\n"
        "both = [threading.Thread(target=hold, args=a) for a in ((first, 0, 1.2), (second, 0.4, 0))]\n"
        "[one.start() for one in both], [one.join() for one in both]\n"
        "sys.exit(bool(failed))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", work, str(tmp_path / "claims"), *pair],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for pair in (("1", "2"), ("2", "1"))
    ]  # fmt: skip
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ends = []
    for process in processes:
        process.communicate(timeout=60)
        ends.append(process.returncode)
    assert ends == [0, 0]


def test_it_seals_when_idle_too(life):
    daemon = life.daemon()
    daemon.start()
    notes = len(life.ledger.notes())
    life.at += 2 * HOUR
    daemon.seal_when_due()
    assert len(life.ledger.notes()) == notes + 1
    daemon.seal_when_due()
    assert len(life.ledger.notes()) == notes + 1


def test_a_target_no_longer_configured_is_retired_with_its_findings(life):
    daemon = life.daemon()
    daemon.start()
    daemon.collect_due()
    assert {finding.check for finding in findings(life.ledger, life.registry)} == {"thing-there", "slow-thing-there"}
    life.plan.targets.pop()
    life.daemon().start()
    ended = [row.target.stream for row in life.ledger.targets().values() if row.ended]
    assert ended == ["toy.slow.things"]
    assert {finding.check for finding in findings(life.ledger, life.registry)} == {"thing-there"}
    assert json.dumps(life.kinds()).count("scope") == 3


def test_what_collects_and_judges_is_said_when_it_changes_and_only_then(life):
    life.daemon().start()
    life.daemon().start()
    said = {kind: life.kinds().count(kind) for kind in ("software", "config", "catalogue", "threshold")}
    assert said == {"software": 1, "config": 1, "catalogue": 1, "threshold": 1}


def test_jobs_that_were_not_seen_are_all_read_again(life, registry):
    """Jobs share a document when they are alike, or were missed alike; none may be forgotten for that."""

    @stream("toy.job.jobs", kind="life", per="one", every="1h", needs={"Open": "open"}, is_open=lambda job: job["open"])
    def jobs(toy, window):
        """Jobs."""
        yield from (Record(key, {"open": key != "done"}) for key in toy.jobs)
        if len(toy.jobs) < 3:
            raise SourceError(Gap(Reason.TIMEOUT, "Open"))

    spec, daemon = registry.streams["toy.job.jobs"], life.daemon()
    life.plan.targets[:] = [
        Planned(spec, life.toy, Target(spec.name, Scope("toy:1", "toy:1"), spec.kind, 3600, spec.collector))
    ]
    daemon.start()

    def still_open():
        (number,) = [n for n, row in life.ledger.targets().items() if row.target.stream == spec.name]
        return window(life.ledger, spec, number, life.at).open_keys

    for seen, left in ((["a", "b", "done"], {"a", "b"}), ([], {"a", "b"}), (["done"], {"a", "b"})):
        life.toy.jobs = seen
        daemon.collect_due()
        life.at += HOUR
        assert still_open() == left


def test_the_grid_is_the_same_for_everybody():
    assert slot_of(3600, START + 5) == START
