"""Model artifacts: listed by prefix, capped, and compared with their first listing."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest

from agent.facts import Context, StreamView
from agent.history import History
from agent.ledger import Ledger
from agent.model import Record
from agent.world import World
from checks.joined import locations
from collectors.aws import s3_artifacts
from tests.aws.emulated import account, counted, facts, on_call, poll, refuse, source
from tests.judging import as_facts

NAME = "aws.s3.artifacts"
PREFIXES = ["s3://models/production/", "s3://models/production/1", "s3://elsewhere/x"]
HOUR_MS = 3_600_000


@pytest.fixture
def s3():
    with account():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        yield client


def put(s3, **objects):
    for name, body in objects.items():
        s3.put_object(Bucket="models", Key=name.replace("__", "/"), Body=body)


def test_what_lies_below_the_prefixes_is_listed_once(s3):
    put(s3, production__1__MLmodel=b"one", production__2=b"two", staging=b"three")
    told = facts(poll(NAME, source(artifacts=PREFIXES)))
    assert list(told) == ["arn:aws:s3:::models/production/1/MLmodel", "arn:aws:s3:::models/production/2"]
    first = told["arn:aws:s3:::models/production/1/MLmodel"]
    assert first.items() >= {"bucket": "models", "object": "production/1/MLmodel", "size": 3}.items()
    assert first["etag"].strip('"').isalnum()


def test_names_that_need_encoding(s3):
    s3.put_object(Bucket="models", Key="a b/ü+%.bin", Body=b"x")
    assert list(facts(poll(NAME, source(artifacts=["s3://models/a b"])))) == ["arn:aws:s3:::models/a b/ü+%.bin"]


def test_without_prefixes_nothing_is_asked(s3):
    calls = counted(of := source())
    assert facts(poll(NAME, of)) == {}
    assert not calls["ListBuckets"]


def test_an_empty_prefix_is_complete(s3):
    assert facts(poll(NAME, source(artifacts=["s3://models/production"]))) == {}


def test_all_pages_are_read(s3):
    of = source(artifacts=["s3://models"])

    def answer(params):
        asked = params["query_string"].get("continuation-token")
        listed = {None: ["a", "b"], "two": ["c"], "three": []}[asked]
        token = {None: "two", "two": "three"}.get(asked)
        page = {"KeyCount": len(listed), "IsTruncated": bool(token)}
        page |= {"Contents": [{"Key": name, "ETag": "1", "Size": 1} for name in listed]} if listed else {}
        return page | ({"NextContinuationToken": token} if token else {})

    on_call(of, "s3.ListObjectsV2", answer)
    snapshot = poll(NAME, of)
    assert [told["object"] for told in facts(snapshot).values()] == ["a", "b", "c"]


def test_more_than_the_most_is_partial(s3, monkeypatch):
    monkeypatch.setattr(s3_artifacts, "MOST", 2)
    put(s3, a=b"1", b=b"2", c=b"3")
    snapshot = poll(NAME, source(artifacts=["s3://models"]))
    assert (snapshot.status, len(snapshot.items)) == ("partial", 2)
    assert snapshot.receipt["gap"]["code"] == "TooManyObjects"


@pytest.mark.parametrize(
    "answer",
    [
        {"IsTruncated": False},
        {"IsTruncated": False, "KeyCount": 1},
        {"IsTruncated": True, "KeyCount": 0},
        {"KeyCount": 0},
    ],
)
def test_an_answer_that_does_not_add_up(s3, answer):
    on_call(of := source(artifacts=["s3://models"]), "s3.ListObjectsV2", lambda _: answer)
    snapshot = poll(NAME, of)
    assert (snapshot.status, snapshot.why) == ("failed", "partial")


def test_a_bucket_whose_region_is_not_told(s3):
    refuse(of := source(artifacts=["s3://models"]), "s3.GetBucketLocation", "AccessDenied")
    assert poll(NAME, of).why == "denied"


def test_a_refused_listing_names_the_permission(s3):
    refuse(of := source(artifacts=["s3://models"]), "s3.ListObjectsV2", "AccessDenied")
    assert poll(NAME, of).receipt["gap"]["need"] == "s3:ListBucket"


def folders(tmp_path, *snapshots):
    """What the derived stream tells after these polls."""
    at = snapshots[0].start_ms
    ledger = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=at)
    ledger.declare([snapshots[0].target], at)
    for number, snapshot in enumerate(snapshots):
        when = at + number * HOUR_MS
        ledger.append_poll(replace(snapshot, start_ms=when, asof_ms=when, slot_ms=None))
    (judging_id,) = ledger.judgings()
    history = History(World(ledger, ledger.head().size - 1, at + len(snapshots) * HOUR_MS), judging_id)
    told = {record.key: record.facts for record in locations.folders(history, None) if isinstance(record, Record)}
    ledger.close()
    return told


def test_a_folder_against_its_first_listing(s3, tmp_path):
    of = source(artifacts=["s3://models"])
    put(s3, m__same=b"1", m__other=b"1", m__gone=b"1", m__back=b"1")
    first = poll(NAME, of)
    put(s3, m__other=b"2", m__late=b"1", n__new=b"1")
    s3.delete_object(Bucket="models", Key="m/gone")
    s3.delete_object(Bucket="models", Key="m/back")
    second = poll(NAME, of)
    put(s3, m__back=b"1", m__other=b"1", m__late=b"2")
    told = folders(tmp_path, first, second, poll(NAME, of))
    m = told["models/m"]
    assert (m["objects"], m["seen_again"]) == (4, True)
    assert m["changed"] == ["models/m/back", "models/m/other"], "also what is again as it was"
    assert m["gone"] == ["models/m/gone"]
    assert m["added"] == ["models/m/late"]
    assert told["models/m/same"]["changed"] == []
    assert told["models/m/late"]["changed"] == ["models/m/late"]
    assert (told["models/n"]["seen_again"], told["models"]["objects"]) == (True, 5)


def test_a_folder_that_was_listed_once(s3, tmp_path):
    put(s3, m__a=b"1")
    told = folders(tmp_path, poll(NAME, source(artifacts=["s3://models"])))
    assert told["models/m"]["seen_again"] is False


def production(version, since, *, now, model="fraud", kind="model"):
    told = {"kind": kind, "model": model, "version": version, "holds_now": now, "source": f"s3://models/{version}"}
    return told | {"since": {"not_after": since}}


def test_the_version_before_is_the_one_that_held_production_last():
    held = {
        "fraud/1": production("1", "2026-01-01T00:00:00Z", now=False),
        "fraud/2": production("2", "2026-03-01T00:00:00Z", now=False),
        "fraud/3": production("3", "2026-02-01T00:00:00Z", now=False),
        "fraud/4": production("4", "2026-04-01T00:00:00Z", now=True),
        "churn/1": production("1", "2026-01-01T00:00:00Z", now=True, model="churn"),
        "prompt/1": production("1", "2026-01-01T00:00:00Z", now=True, model="prompt", kind="prompt"),
    }
    view = StreamView(lambda: (as_facts(facts, key) for key, facts in held.items()), None, "production")
    context = Context(0, {}, lambda _: view, lambda _: view, lambda _: True)
    told = {record.key: record.facts for record in locations.locations(None, context)}
    assert told == {
        "churn/1": {"model": "churn", "version": "1", "location": "s3://models/1", "previous": None},
        "fraud/4": {
            "model": "fraud",
            "version": "4",
            "location": "s3://models/4",
            "previous": {"version": "2", "location": "s3://models/2"},
        },
    }
