"""Audit events as they are stored: the ones that rules read, without what a request may hold."""

from __future__ import annotations

import json
import resource
from datetime import UTC, datetime, timedelta

import pytest

from agent import clock
from agent.clock import DAY_MS
from agent.ledger import Ledger
from agent.model import Window
from collectors.aws.events import REACH_MS, WANTED
from tests.aws.emulated import ACCOUNT, account, envelopes, facts, on_call, poll, refuse, source
from tests.aws.worlds.cloudtrail import event

STREAM = "aws.cloudtrail.events"
NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
WINDOW = Window(NOW_MS - DAY_MS, NOW_MS)
HOUR_AGO = NOW - timedelta(hours=1)
NAMES = sorted({name for names in WANTED.values() for name in names})
ROLE = f"arn:aws:iam::{ACCOUNT}:role/trainer"
SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture(autouse=True)
def emulator():
    with account():
        yield


def showing(*events, pauses=None, size=50):
    """A source whose look-ups show these events, in pages."""
    of = source(pauses)

    def answer(params):
        body = json.loads(params["body"])
        (asked,) = body["LookupAttributes"]
        found = [one for one in events if one[asked["AttributeKey"]] == asked["AttributeValue"]]
        begin = int(body.get("NextToken", 0))
        more = {"NextToken": str(begin + size)} if begin + size < len(found) else {}
        return {"Events": found[begin : begin + size], **more}

    on_call(of, "cloudtrail.LookupEvents", answer)
    return of


def sagemaker(id, name, *, at=HOUR_AGO, **told):
    return event(id, name, "sagemaker.amazonaws.com", at=at, **told)


def test_a_job_that_a_role_started():
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/churn"
    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/ada@example.com",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE}},
    }
    request = {"trainingJobName": "churn", "environment": {"DB_PASSWORD": SECRET}, "hyperParameters": {"key": SECRET}}
    of = showing(
        sagemaker("1", "CreateTrainingJob", identity=identity, request=request, response={"trainingJobArn": arn})
    )
    snapshot = poll(STREAM, of, WINDOW)
    assert facts(snapshot) == {
        "1": {
            "name": "CreateTrainingJob",
            "source": "sagemaker.amazonaws.com",
            "time": "2027-01-15T07:00:00Z",
            "region": "us-east-1",
            "account": ACCOUNT,
            "error": None,
            "service_event": False,
            "actor": {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/ada@example.com",
                "account": ACCOUNT,
                "session_name": "ada@example.com",
                "issuer_arn": ROLE,
                "invoked_by": None,
                "root": False,
            },
            "resources": [],
            "request": {"trainingJobName": "churn"},
            "response": {"trainingJobArn": arn},
        }
    }


def test_no_parameter_outside_the_list_reaches_the_store():
    request = {"trainingJobName": {"nested": SECRET}, "containers": [{"environment": {"A": SECRET}}], "x": SECRET}
    snapshot = poll(STREAM, showing(sagemaker("1", "CreateTrainingJob", request=request)), WINDOW)
    (item,) = snapshot.items
    assert SECRET.encode() not in snapshot.documents[item.digest]
    assert facts(snapshot)["1"]["request"] == {}


def test_a_child_of_a_tuning_job_is_a_service_event():
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/tune-001"
    parent = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:hyper-parameter-tuning-job/tune"
    child = sagemaker(
        "1",
        "CreateTrainingJob",
        identity={"accountId": ACCOUNT, "invokedBy": "sagemaker.amazonaws.com"},
        eventType="AwsServiceEvent",
        serviceEventDetails={"trainingJobArn": arn, "hyperParameterTuningJobArn": parent, "other": SECRET},
        resources=[{"ARN": arn, "type": "AWS::SageMaker::TrainingJob", "accountId": ACCOUNT}],
    )
    (told,) = facts(poll(STREAM, showing(child), WINDOW)).values()
    assert told["service_event"] is True
    assert told["actor"]["invoked_by"] == "sagemaker.amazonaws.com"
    assert told["response"] == {"trainingJobArn": arn, "hyperParameterTuningJobArn": parent}
    assert told["resources"] == [{"type": "AWS::SageMaker::TrainingJob", "name": arn}]


def test_a_refused_call_keeps_its_code():
    of = showing(sagemaker("1", "UpdateModelPackage", errorCode="AccessDenied", errorMessage="no"))
    (told,) = facts(poll(STREAM, of, WINDOW)).values()
    assert (told["error"], "no" in json.dumps(told).split('"')) == ("AccessDenied", False)


def test_an_event_of_the_same_name_from_another_service_is_left_out():
    of = showing(event("1", "CreateEndpoint", "dms.amazonaws.com", at=HOUR_AGO))
    assert facts(poll(STREAM, of, WINDOW)) == {}


def test_every_event_of_root_is_kept_and_what_services_do_in_its_name_is_not():
    root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    service, in_ = root | {"invokedBy": "s3.amazonaws.com"}, {"ConsoleLogin": "Success"}
    of = showing(
        event("1", "ConsoleLogin", "signin.amazonaws.com", identity=root, at=HOUR_AGO, response=in_),
        event("2", "ListBuckets", "s3.amazonaws.com", identity=root, at=HOUR_AGO),
        event("3", "GenerateDataKey", "kms.amazonaws.com", identity=service, at=HOUR_AGO),
    )
    told = facts(poll(STREAM, of, WINDOW))
    assert sorted(told) == ["1", "2"]
    assert told["1"]["response"] == {"ConsoleLogin": "Success"}


def test_the_window_is_half_open_and_goes_out_as_asked():
    edges = {"from": NOW - timedelta(days=1), "to": NOW, "before": NOW - timedelta(days=1, seconds=1)}
    asked = []
    of = showing(*(sagemaker(id, "CreateTrainingJob", at=at) for id, at in edges.items()))
    session = of._access("").session
    session.register("provide-client-params.cloudtrail.LookupEvents", lambda params, **_: asked.append(dict(params)))
    assert list(facts(poll(STREAM, of, WINDOW))) == ["from"]
    assert {(one["StartTime"], one["EndTime"]) for one in asked} == {(NOW - timedelta(days=1), NOW)}
    assert sorted(one["LookupAttributes"][0]["AttributeValue"] for one in asked) == sorted([*NAMES, "root"])


def test_a_window_beyond_the_reach_says_where_it_begins():
    snapshot = poll(STREAM, showing(), Window(0, NOW_MS))
    assert (snapshot.window.from_ms, snapshot.window.to_ms) == (NOW_MS - REACH_MS, NOW_MS)
    assert poll(STREAM, showing(), WINDOW).window == WINDOW


def test_there_is_one_look_up_a_name_at_two_a_second():
    pauses = []
    of = showing(*(sagemaker(str(number), "CreateTrainingJob") for number in range(120)), pauses=pauses)
    snapshot = poll(STREAM, of, WINDOW)
    assert len(facts(snapshot)) == 120
    assert snapshot.tape.calls == len(NAMES) + 1 + 2
    # nothing really waited, so that the last call stands behind all others
    assert max(pauses) > 0.4 * snapshot.tape.calls


def test_a_look_up_that_breaks_off_makes_the_poll_partial():
    of = source()

    def answer(params):
        body = json.loads(params["body"])
        if body.get("NextToken"):
            return {"Error": {"Code": "InvalidNextTokenException", "Message": "no"}}
        asked = body["LookupAttributes"][0]["AttributeValue"]
        found = [sagemaker("1", "CreateTrainingJob")] if asked == "CreateTrainingJob" else []
        return {"Events": found, **({"NextToken": "more"} if found else {})}

    on_call(of, "cloudtrail.LookupEvents", answer)
    snapshot = poll(STREAM, of, WINDOW)
    assert (snapshot.status.value, len(snapshot.items)) == ("partial", 1)


def test_a_refusal_names_the_permission():
    of = source()
    refuse(of, "cloudtrail.LookupEvents", "AccessDeniedException", 400)
    snapshot = poll(STREAM, of, WINDOW)
    assert snapshot.status.value == "failed"
    assert {gap.need for gap in snapshot.unseen} == {"cloudtrail:LookupEvents"}


@pytest.mark.parametrize("text", ["{", "[]", "null", ""])
def test_an_event_that_does_not_parse_is_a_gap_and_read_again(text, tmp_path):
    bad = sagemaker("1", "CreateTrainingJob") | {"CloudTrailEvent": text}
    good = sagemaker("2", "CreateTrainingJob")
    snapshot = poll(STREAM, showing(bad, good), WINDOW)
    assert snapshot.status.value == "partial"
    assert envelopes(snapshot)["1"]["gap"]["code"] == "NotAnEvent"
    with_ledger = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=NOW_MS)
    with_ledger.declare([snapshot.target], NOW_MS)
    with_ledger.append_poll(snapshot)
    again = poll(STREAM, showing(sagemaker("1", "CreateTrainingJob"), good), WINDOW)
    with_ledger.append_poll(again)
    kept = [stored.key for stored in with_ledger.kept(1)]
    with_ledger.close()
    assert kept == ["2", "1"]


def test_events_seen_twice_in_the_overlap_are_kept_once(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=NOW_MS)
    first = poll(STREAM, showing(sagemaker("1", "CreateTrainingJob")), WINDOW)
    later = Window(NOW_MS - 3_600_000, NOW_MS + 3_600_000)
    second = poll(STREAM, showing(sagemaker("1", "CreateTrainingJob"), sagemaker("2", "StopLogging"),
                                  sagemaker("3", "CreateTrainingJob", at=NOW)), later)  # fmt: skip
    ledger.declare([first.target], NOW_MS)
    indices = [ledger.append_poll(snapshot) for snapshot in (first, second)]
    kept = [(stored.key, stored.idx) for stored in ledger.kept(1)]
    until_first = [stored.key for stored in ledger.kept(1, indices[0])]
    ledger.close()
    assert kept == [("1", indices[0]), ("3", indices[1])]
    assert until_first == ["1"]


def test_a_hundred_thousand_events_stay_small_and_quick():
    of = source()
    pages = 2_000
    template = sagemaker("ID", "CreateTrainingJob", request={"trainingJobName": "job-ID"})

    def answer(params):
        body = json.loads(params["body"])
        if body["LookupAttributes"][0]["AttributeValue"] != "CreateTrainingJob":
            return {"Events": []}
        number = int(body.get("NextToken", 0))
        more = {"NextToken": str(number + 1)} if number + 1 < pages else {}
        return {"Events": [numbered(template, f"{number}-{one}") for one in range(50)], **more}

    on_call(of, "cloudtrail.LookupEvents", answer, well_formed=False)
    poll(STREAM, showing(), WINDOW)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, clock.monotonic()
    snapshot = poll(STREAM, of, WINDOW)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (snapshot.status.value, len(snapshot.items)) == ("complete", 100_000)
    assert grown < 150 * 1024, f"{grown} KiB"
    assert clock.monotonic() - began < 60


def numbered(template, id):
    return template | {"EventId": id, "CloudTrailEvent": template["CloudTrailEvent"].replace("ID", id)}
