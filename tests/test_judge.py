"""Judging over a real ledger: one finding per check and subject, nothing unseen definite, replay the same."""

from __future__ import annotations

import json

import pytest

from agent import registry as registry_module
from agent.collect import collect
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Gap, Kind, Reason, Record, Scope, SourceError, Status, Target, failed, passed
from agent.redact import Redactor
from agent.registry import Registry, check, derived, stream

HOUR = 3_600_000
START = 1_800_000_000_000
DENIED = Gap(Reason.DENIED, "GetBox", "AccessDenied", "box:Get")


class World:
    """A source whose content a test sets, with the ledger it is collected into."""

    name = "toy"

    def __init__(self, path, registry):
        self.registry, self.boxes, self.error = registry, {}, None
        self.ledger = Ledger.open(f"sqlite:///{path}/e.db", path / "key", create=True, now_ms=START)
        self.at = START

    def scopes(self, per):
        return [Scope("toy:1", "toy:1")]

    def open(self, scope, needs, tape):
        return self

    def close(self):
        pass

    def poll(self, name="toy.box.boxes", after=HOUR):
        self.at += after
        spec = self.registry.streams[name]
        target = Target(name, Scope("toy:1", "toy:1"), spec.kind, spec.every_s, spec.collector)
        self.ledger.declare([target], self.at)
        snapshot = collect(target, spec, self, Redactor(b"k" * 32, ()), now=lambda: self.at)
        self.ledger.append_poll(snapshot)

    def judge(self, **settings):
        judge(self.ledger, self.registry, settings, self.at)
        return self.found()

    def found(self, **at):
        return {(f.check, f.key): f for f in findings(self.ledger, self.registry, **at)}


@pytest.fixture
def registry(monkeypatch):
    """A registry of its own, with a stream, two checks and a derived stream."""
    made = Registry()
    monkeypatch.setattr(registry_module, "REGISTRY", made)

    @stream("toy.box.boxes", per="one", every="1h", needs={"GetBox": "box:Get"})
    def boxes(world):
        """Boxes."""
        for key, facts in world.boxes.items():
            yield facts if isinstance(facts, Gap) else Record(key, facts)
        if world.error:
            raise SourceError(world.error)

    @check("box-shut", over="toy.box.boxes")
    def shut(box, ctx):
        """The box is shut."""
        return passed("shut") if box["shut"] else failed("open", shut=False)

    @check("some-box-red", once="toy.box.boxes")
    def red(ctx):
        """At least one box is red."""
        if any(box["colour"] == "red" for box in ctx.here("toy.box.boxes")):
            return passed("there is a red box")
        return failed("no red box, list complete")

    @check("crashes", over="toy.box.boxes")
    def crashes(box, ctx):
        """A check with a mistake in it."""
        return passed("ok") if 1 // (box["size"] - 7) else failed("no")

    @derived("toy.box.openings", kind="events", of=("toy.box.boxes",))
    def openings(history, ctx):
        """Each time a box that was shut was seen open."""
        for change in history.changes("toy.box.boxes", "shut"):
            if change.before is True and change.after is False:
                facts = {"box": change.key, "from": change.not_before_ms, "to": change.not_after_ms}
                yield Record(f"opening:{change.key}:{change.idx}", facts)

    @check("opening-known", over="toy.box.openings")
    def known(opening, ctx):
        """The opening was announced in the box now."""
        box = ctx.here("toy.box.boxes").one(opening["box"])
        return passed("announced") if box and box["why"] else failed("not announced")

    @derived("toy.box.reds", kind="state", of=("toy.box.boxes",))
    def reds(history, ctx):
        """Boxes that are red."""
        for box in history.now("toy.box.boxes"):
            if box["colour"] == "red":
                yield Record(box.key, {"shut": box["shut"]})

    @check("red-shut", over="toy.box.reds")
    def red_shut(box, ctx):
        """A red box is shut."""
        return passed("shut") if box["shut"] else failed("open")

    return made


@pytest.fixture
def world(tmp_path, registry):
    made = World(tmp_path, registry)
    yield made
    made.ledger.close()


def box(shut=True, colour="red", size=1, why=None):
    return {"shut": shut, "colour": colour, "size": size, "why": why}


def test_one_finding_per_check_and_subject(world):
    world.boxes = {"a": box(), "b": box(shut=False), "c": box(size=7)}
    world.poll()
    found = world.judge()
    assert {key: f.status.value for key, f in found.items()} == {
        ("box-shut", "a"): "pass",
        ("box-shut", "b"): "fail",
        ("box-shut", "c"): "pass",
        ("crashes", "a"): "pass",
        ("crashes", "b"): "pass",
        ("crashes", "c"): "not_evaluated",
        ("red-shut", "a"): "pass",
        ("red-shut", "b"): "fail",
        ("red-shut", "c"): "pass",
        ("some-box-red", "toy:1"): "pass",
    }
    assert found["crashes", "c"].reason is Reason.CRASHED
    assert found["box-shut", "b"].evidence[0] is not None


def test_a_denied_facet_blinds_only_what_reads_it(world):
    world.boxes = {"a": box() | {"shut": DENIED}}
    world.poll()
    found = world.judge()
    assert (found["box-shut", "a"].status, found["box-shut", "a"].need) == (Status.NOT_EVALUATED, ("box:Get",))
    assert found["some-box-red", "toy:1"].status is Status.PASS


def test_from_a_partial_list_a_hit_counts_and_absence_does_not(world):
    world.boxes = {"a": box(colour="red")}
    world.error = DENIED
    world.poll()
    found = world.judge()
    assert found["box-shut", "a"].status is Status.PASS
    assert found["some-box-red", "toy:1"].status is Status.PASS
    assert found["box-shut", "toy.box.boxes@toy:1"].need == ("box:Get",)
    world.boxes = {"a": box(colour="blue")}
    world.poll()
    whole = world.judge()["some-box-red", "toy:1"]
    assert (whole.status, whole.reason, whole.need) == (Status.NOT_EVALUATED, Reason.PARTIAL, ("box:Get",))


def test_an_unseen_target_makes_its_findings_not_evaluated_without_storing_any(world):
    world.boxes = {"a": box(), "b": box()}
    world.poll()
    world.judge()
    before = {s.key: s.digest for s in world.ledger.state(-1, None)}
    world.boxes, world.error = {}, DENIED
    world.poll()
    found = world.judge()
    assert {f.status for key, f in found.items()} == {Status.NOT_EVALUATED}
    assert {f.need for f in found.values()} == {("box:Get",)}
    after = {s.key: s.digest for s in world.ledger.state(-1, None)}
    assert {key for key in after if after[key] != before.get(key)} <= {
        "0/some-box-red/toy:1",
        "0/opening-known/toy:1",
        "0/red-shut/a",
        "0/red-shut/b",
    }


def test_never_seen_at_all_is_said_for_every_check(world):
    world.error = DENIED
    world.poll()
    found = world.judge()
    assert {(check, f.status, f.reason) for (check, _), f in found.items()} == {
        (name, Status.NOT_EVALUATED, Reason.DENIED)
        for name in ("box-shut", "crashes", "some-box-red", "opening-known", "red-shut")
    }


def test_too_old_is_stale(world):
    world.boxes = {"a": box()}
    world.poll()
    world.judge()
    world.at += 4 * HOUR
    assert world.judge()["box-shut", "a"].reason is Reason.STALE


def test_too_old_when_read_is_said_by_the_reader(world):
    world.boxes = {"a": box()}
    world.poll()
    world.judge()
    assert world.found(at_ms=world.at)["box-shut", "a"].status is Status.PASS
    assert world.found(at_ms=world.at + 4 * HOUR)["box-shut", "a"].reason is Reason.STALE


@pytest.mark.parametrize(
    ("check", "key", "before", "after"),
    [
        ("some-box-red", "toy:1", Status.PASS, Status.NOT_EVALUATED),
        ("red-shut", "a", Status.PASS, Status.NOT_EVALUATED),
        ("opening-known", "opening:b:5", Status.FAIL, Status.FAIL),
    ],
)
def test_how_things_stand_does_not_outlive_what_it_was_read_from(world, check, key, before, after):
    world.boxes = {"a": box(colour="red"), "b": box()}
    world.poll()
    world.judge()
    world.boxes["b"] = box(shut=False)
    world.poll()
    judged = world.judge()
    key = next((name for known, name in judged if known == check and name.startswith(key[:9])), key)
    assert judged[check, key].status is before
    late = world.found(at_ms=world.at + 4 * HOUR)[check, key]
    assert (late.status, late.reason) == (after, Reason.STALE if after is Status.NOT_EVALUATED else None)


def test_a_resource_that_is_gone_has_no_finding(world):
    world.boxes = {"a": box(), "b": box()}
    world.poll()
    world.judge()
    del world.boxes["b"]
    world.poll()
    assert ("box-shut", "b") not in world.judge()


def test_the_first_definite_status_of_an_event_stays(world):
    world.boxes = {"a": box()}
    world.poll()
    world.judge()
    world.boxes = {"a": box(shut=False)}
    world.poll()
    found = world.judge()
    (key,) = [key for key in found if key[0] == "opening-known"]
    assert found[key].status is Status.FAIL
    world.boxes = {"a": box(shut=False, why="for a reason, later")}
    world.poll()
    assert world.judge()[key].status is Status.FAIL
    world.boxes, world.error = {}, DENIED
    world.poll()
    assert world.judge()[key].status is Status.FAIL


def test_an_event_not_decided_is_decided_later(world):
    world.boxes = {"a": box()}
    world.poll()
    world.boxes = {"a": box(shut=False) | {"why": DENIED}}
    world.poll()
    found = world.judge()
    (key,) = [key for key in found if key[0] == "opening-known"]
    assert found[key].status is Status.NOT_EVALUATED
    world.boxes = {"a": box(shut=False, why="planned")}
    world.poll()
    assert world.judge()[key].status is Status.PASS


def test_the_bounds_of_a_change_widen_over_a_gap(world, registry):
    world.boxes = {"a": box()}
    world.poll()
    seen = world.at
    world.boxes = {"a": Gap(Reason.TIMEOUT, "GetBox", key="a")}
    world.poll()
    world.boxes = {"a": box(shut=False)}
    world.poll()
    from agent.history import History
    from agent.world import World as Seen

    history = History(Seen(world.ledger, world.ledger.head().size - 1, world.at), 1)
    (opening,) = [r for r in registry.derived["toy.box.openings"].derive(history, None)]
    assert opening.facts["from"] == seen
    assert opening.facts["to"] >= world.at


def test_subjects_that_cannot_be_told_now_are_not_gone(world):
    world.boxes = {"a": box(shut=False), "b": box(colour="blue")}
    world.poll()
    assert world.judge()["red-shut", "a"].status is Status.FAIL
    world.boxes, world.error = {}, DENIED
    world.poll()
    told = [f for f in world.judge().values() if f.check == "red-shut"]
    assert [(f.key, f.status, f.need) for f in told] == [("a", Status.NOT_EVALUATED, ("box:Get",))]
    world.boxes, world.error = {"a": box(shut=False)}, None
    world.poll()
    assert world.judge()["red-shut", "a"].status is Status.FAIL
    world.boxes = {"a": box(colour="blue")}
    world.poll()
    assert ("red-shut", "a") not in world.judge()


def test_an_unchanged_hour_writes_no_finding_and_replay_gives_the_same(world):
    world.boxes = {"a": box(), "b": box(shut=False)}
    world.poll()
    first = world.judge()
    world.poll()
    world.judge()
    lines = list(world.ledger.judged())
    assert lines[0].froot == lines[1].froot
    again = {key: json.dumps(f.body, default=str) for key, f in world.found(upto=lines[0].idx).items()}
    assert again == {key: json.dumps(f.body, default=str) for key, f in first.items()}


def test_a_kind_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="not a valid Kind"):
        stream("x.y.z", kind="other", per="one", every="1h", needs={})(lambda world: iter(()))
    assert Kind.LIFE.number == 1
