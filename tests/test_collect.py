"""The engine around collectors: gaps beside facts, stable bytes, honest ends."""

import json

import pytest

from agent.collect import collect, facet, json_text, spread
from agent.model import AsOf, Gap, Kind, PollStatus, Reason, Record, Scope, SourceError, Target
from agent.redact import Redactor
from agent.registry import StreamSpec

DENIED = Gap(Reason.DENIED, "GetX", "AccessDenied", "x:GetX")


class Fake:
    """A source that opens to whatever it was given."""

    name = "fake"

    def __init__(self, opened=None):
        self.opened = opened

    def scopes(self, per):
        return [Scope("fake:1", "fake:1")]

    def open(self, scope, needs, tape):
        return self.opened

    def close(self):
        pass


def spec(look, **more):
    given = {"volatile": (), "unordered": (), "tags": (), "is_open": None} | more
    return StreamSpec(
        "fake.thing.items", Kind.STATE, "account", 3600, {}, look, "1", given["volatile"], given["unordered"],
        given["tags"], False, (), given["is_open"], None,
    )  # fmt: skip


def poll(look, **more):
    target = Target("fake.thing.items", Scope("fake:1", "fake:1"), Kind.STATE, 3600, "fake.thing/1")
    return collect(target, spec(look, **more), Fake(), Redactor(b"k" * 32, ()), now=lambda: 1_700_000_000_000)


def bodies(snapshot):
    return {item.key: json.loads(snapshot.documents[item.digest]) for item in snapshot.items}


def denied(**_):
    raise SourceError(DENIED)


def test_a_denied_facet_is_a_gap_beside_and_the_poll_is_complete():
    def look(_):
        yield Record("a", {"name": "a", "policy": facet(denied, pick="Policy"), "deep": {"er": facet(denied)}})

    snapshot = poll(look)
    assert snapshot.status is PollStatus.COMPLETE
    assert bodies(snapshot)["a"]["facts"] == {"name": "a", "deep": {}}
    assert set(bodies(snapshot)["a"]["gaps"]) == {"/policy", "/deep/er"}
    assert (snapshot.gaps, dict(snapshot.unseen)) == (2, {DENIED: 2})


def test_only_declared_codes_mean_not_set():
    gone = Gap(Reason.MALFORMED, "GetX", "NoSuchX", None)

    def missing(**_):
        raise SourceError(gone)

    assert facet(missing, absent="NoSuchX") is None
    assert facet(missing, absent=["Other"]) == gone


def test_an_answer_without_its_member_is_malformed_not_absent():
    assert facet(lambda: {}, pick="Policy").reason is Reason.MALFORMED
    assert facet(lambda: {"Status": "Enabled"}, pick=["Status", "MFADelete"]) == {
        "Status": "Enabled",
        "MFADelete": None,
    }
    assert json_text("{not json").reason is Reason.MALFORMED
    assert json_text('{"a": 1.5}') == {"a": 1.5}


@pytest.mark.parametrize(
    ("error", "why"),
    [(SourceError(DENIED), Reason.DENIED), (ValueError("AKIASECRET"), Reason.CRASHED)],
)
def test_a_listing_that_breaks_at_once_fails_and_later_is_partial(error, why):
    def at_once(_):
        raise error
        yield

    def later(_):
        yield Record("a", {})
        raise error

    assert (poll(at_once).status, poll(at_once).why) == (PollStatus.FAILED, why)
    assert (poll(later).status, poll(later).why) == (PollStatus.PARTIAL, why)
    assert list(bodies(poll(later))) == ["a"]
    assert "AKIASECRET" not in json.dumps(poll(later).receipt)
    assert poll(at_once).asof_ms is None


def test_a_resource_that_cannot_be_described_makes_the_poll_partial_but_breaks_no_list():
    def look(_):
        yield Record("a", {})
        yield Gap(Reason.THROTTLED, "DescribeX", "Slow", None, key="b")

    snapshot = poll(look)
    assert snapshot.status is PollStatus.PARTIAL
    assert snapshot.receipt["gap"] is None
    assert bodies(snapshot)["b"] == {
        "gap": {"code": "Slow", "need": None, "op": "DescribeX", "reason": "throttled"},
        "v": 1,
    }


@pytest.mark.parametrize("key", ["", "a\x00b", "x" * 1025, "\ud800"])
def test_keys_that_break_the_rules_make_the_poll_partial(key):
    snapshot = poll(lambda _: iter([Record("good", {}), Record(key, {})]))
    assert (snapshot.status, snapshot.why) == (PollStatus.PARTIAL, Reason.MALFORMED)
    assert [item.key for item in snapshot.items] == ["good"]


def test_the_same_key_twice_counts_once_when_equal():
    twice = poll(lambda _: iter([Record("a", {"n": 1}), Record("a", {"n": 1})]))
    differ = poll(lambda _: iter([Record("a", {"n": 1}), Record("a", {"n": 2})]))
    assert (twice.status, len(twice.items)) == (PollStatus.COMPLETE, 1)
    assert differ.status is PollStatus.PARTIAL
    assert bodies(differ)["a"]["facts"] == {"n": 2}


def test_volatile_parts_and_the_order_of_lists_change_no_digest():
    def look(stamp, order):
        return lambda _: iter([Record("a", {"at": stamp, "tags": order, "in": {"x": {"used": stamp}}})])

    pointers = {"volatile": ("/at", "/in/*/used"), "unordered": ("/tags",)}
    first, second = poll(look(1, ["b", "a"]), **pointers), poll(look(2, ["a", "b"]), **pointers)
    assert [item.digest for item in first.items] == [item.digest for item in second.items]


def test_the_source_may_say_when_it_observed():
    assert poll(lambda _: iter([AsOf(5), Record("a", {})])).asof_ms == 5


def test_spread_keeps_the_order_and_passes_errors_on():
    assert list(spread(lambda n: n * n, range(500))) == [n * n for n in range(500)]
    with pytest.raises(ZeroDivisionError):
        list(spread(lambda n: 1 // (n - 3), range(100)))
