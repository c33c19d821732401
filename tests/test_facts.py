"""Nothing unseen can be read: not by subscript, not by `in`, not by iterating, not by catching Exception."""

from collections.abc import Mapping

import pytest

from agent.facts import Facts, StreamView, Unseen
from agent.model import Gap, Reason

DENIED = Gap(Reason.DENIED, "GetX", "AccessDenied", "x:GetX")


def record(facts, **gaps):
    body = {"facts": facts, "gaps": {p: g.body for p, g in gaps.items()}, "redacted": [], "v": 1}
    return Facts.of(body, key="k")


def with_gap(facts, pointer):
    return Facts.of({"facts": facts, "gaps": {pointer: DENIED.body}, "redacted": [], "v": 1}, key="k")


def test_facts_is_no_mapping_and_unseen_no_exception():
    assert not isinstance(record({}), Mapping)
    assert not hasattr(record({}), "items")
    assert not issubclass(Unseen, Exception)


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r["a"]["b"],
        lambda r: "b" in r["a"],
        lambda r: r["a"].get("b"),
        lambda r: r["a"].text("b"),
        lambda r: r["a"].list("b"),
        lambda r: r["a"].plain("b"),
        lambda r: r["a"].names(),
        lambda r: "a" in r,
        lambda r: r.plain("a"),
        lambda r: r["a"]["b"]["c"],
    ],
)
def test_every_way_to_read_raises_on_a_gap_at_or_below(read):
    subject = with_gap({"a": {"x": 1}}, "/a/b")
    with pytest.raises(Unseen) as caught:
        read(subject)
    assert caught.value.gap == DENIED
    assert caught.value.where == "/a/b"


def test_beside_a_gap_everything_can_be_read():
    subject = with_gap({"a": {"x": 1}, "l": [{"y": None}, 2]}, "/a/b")
    assert subject["a"]["x"] == 1
    assert "x" in subject["a"]
    first, second = subject.list("l")
    assert (first.text("y", "unset"), second) == ("unset", 2)


def test_a_gap_inside_a_list_hides_the_list():
    with pytest.raises(Unseen):
        with_gap({"l": [1, None]}, "/l/1").list("l")


def test_a_name_never_collected_is_unsupported_and_null_is_an_answer():
    subject = record({"set": None})
    assert subject["set"] is None
    assert list(subject.list("set")) == []
    with pytest.raises(Unseen) as caught:
        subject["other"]
    assert caught.value.gap.reason is Reason.UNSUPPORTED


def test_a_gap_document_refuses_every_read():
    subject = Facts.of({"gap": DENIED.body, "v": 1}, key="k")
    for read in (lambda: subject["a"], lambda: "a" in subject, lambda: subject.get("a")):
        with pytest.raises(Unseen):
            read()


def test_a_tag_whose_value_was_not_kept_is_unseen_not_absent():
    subject = Facts.of({"facts": {"tags": {"env": "prod"}}, "gaps": {}, "redacted": ["/tags/owner"], "v": 1})
    assert subject["tags"].get("env") == "prod"
    assert subject["tags"].get("team") is None
    with pytest.raises(Unseen):
        subject["tags"].get("owner")


def test_an_incomplete_stream_gives_what_it_has_and_then_raises():
    records = [record({"n": 1}), record({"n": 2})]
    view = StreamView(lambda: iter(records), Gap(Reason.PARTIAL), "s")
    assert any(r["n"] == 2 for r in view)
    with pytest.raises(Unseen):
        any(r["n"] == 3 for r in view)
    with pytest.raises(Unseen):
        view.count()
    with pytest.raises(Unseen):
        view.one("missing")
    assert view.one("k") is records[0]


def test_a_complete_stream_says_none():
    view = StreamView(lambda: iter([record({"n": 1})]), None, "s")
    assert view.count() == 1
    assert view.one("missing") is None
    assert not any(r["n"] == 3 for r in view)
