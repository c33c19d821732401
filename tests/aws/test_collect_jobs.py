"""Jobs as they are stored: the normal form, what a later poll asks for, jobs that go away, tags and logs not seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from agent import clock
from agent.model import Reason, Snapshot, Window
from collectors.aws.sagemaker_jobs import FOLLOWED_MS, LOG_LAG_MS
from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, refuse, source
from tests.aws.worlds.sagemaker_jobs import ENDED, KEY, TUNING, arn, listed_and_described, member, training, tuning

TRAINING, TUNED = "aws.sagemaker.training_jobs", "aws.sagemaker.tuning_jobs"
HF_TOKEN = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
OVER = round(ENDED.timestamp() * 1000) + FOLLOWED_MS + 1000
"""A time at which jobs that ended long ago are settled."""


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    with account():
        yield


def create(name: str, **given: Any) -> str:
    """A training job in the emulator; its ARN."""
    job: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/train",
        "AlgorithmSpecification": {"TrainingImage": "repo/train:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://out/x"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **given,
    }
    return str(boto3.client("sagemaker").create_training_job(**job)["TrainingJobArn"])


def emulated_job(name: str) -> Any:
    """The emulator's own record of a job, to be changed as AWS would."""
    jobs = sagemaker_backends[ACCOUNT]["us-east-1"].training_jobs
    return next(job for job in jobs.values() if job.training_job_name == name)


def told(source_: Any, jobs: dict[str, dict[str, Any]], noun: str = "TrainingJob") -> None:
    """Have these jobs listed and described, instead of the emulator's."""
    for operation, answer in listed_and_described(noun, jobs).items():
        on_call(source_, operation, answer)


def later(since: Snapshot, **given: Any) -> Window:
    """The window of the next poll."""
    now = clock.now_ms() + 1000
    return Window(now - 1000, given.pop("to", now), since.open_keys)


def test_a_job_of_the_emulator_in_the_normal_form() -> None:
    create(
        "train-1", HyperParameters={"lr": "0.1", "hub": HF_TOKEN}, EnableNetworkIsolation=True,
        VpcConfig={"Subnets": ["subnet-2", "subnet-1"], "SecurityGroupIds": ["sg-1"]},
        Tags=[{"Key": "environment", "Value": "production"}, {"Key": "note", "Value": "private"}],
        InputDataConfig=[{"ChannelName": "train", "DataSource": {
            "S3DataSource": {"S3Uri": "s3://data/x", "S3DataType": "ManifestFile"}}}],
    )  # fmt: skip
    (envelope,) = envelopes(poll(TRAINING)).values()
    job = envelope["facts"]
    assert (job["name"], job["kind"], job["status"], job["environment"]) == (
        "train-1", "training", "succeeded", "production",
    )  # fmt: skip
    assert job["network"]["private"]
    assert job["network"]["vpc_subnets"] == ["subnet-1", "subnet-2"]
    assert job["inputs"] == [
        {"name": "train", "uri": "s3://data/x", "manifest": True, "version_or_digest": None},
    ]  # fmt: skip
    assert job["log"] == {"group": "/aws/sagemaker/TrainingJobs", "streams": 0, "first_at": None, "last_at": None}
    assert [hit["at"] for hit in job["secrets"]] == ["/params/hub"]
    assert "note" not in job["tags"]
    assert "/tags/note" in envelope["redacted"]
    assert HF_TOKEN not in str(envelope)


def test_values_of_the_environment_are_searched_and_never_stored() -> None:
    of = source()
    job = training(good=True)["nightly-1"] | {"Environment": {"MODE": "fast", "HUB": HF_TOKEN}}
    told(of, {"nightly-1": job})
    (envelope,) = envelopes(poll(TRAINING, of)).values()
    assert (envelope["facts"]["env"], envelope["facts"]["env_names"]) == ({}, ["HUB", "MODE"])
    assert [(hit["at"], hit["pattern"]) for hit in envelope["facts"]["secrets"]] == [("/env/HUB", "hf-token")]
    assert "fast" not in str(envelope)


def test_two_polls_of_an_unchanged_account_give_the_same_bytes() -> None:
    create("train-1")
    first, second = poll(TRAINING), poll(TRAINING)
    assert [item.digest for item in first.items] == [item.digest for item in second.items]
    assert first.receipt == second.receipt


def test_pages_are_read_to_the_end() -> None:
    for number in range(120):
        create(f"train-{number:03}")
    of = source()
    calls = counted(of)
    assert len(facts(poll(TRAINING, of))) == 120
    assert calls["ListTrainingJobs"] == 2


def test_a_later_poll_asks_only_for_what_is_new_and_what_is_open() -> None:
    """Of many jobs, one still running: the next poll describes that one and the ten new ones."""
    of, known = source(), training(good=True)["nightly-1"]
    old = {f"old-{n}": _named(known, f"old-{n}") for n in range(60)}
    old["old-7"] |= {"TrainingJobStatus": "InProgress"}
    new = {f"new-{n}": _named(known, f"new-{n}") for n in range(10)}

    def listed(asked: Any) -> Any:
        since = member(asked, "CreationTimeAfter") if "CreationTimeAfter" in str(asked["body"]) else None
        some = [] if since is None else old.values() if since == 0 else new.values()
        return listed_and_described("TrainingJob", {job["TrainingJobName"]: job for job in some})[
            "sagemaker.ListTrainingJobs"
        ](asked)

    on_call(of, "sagemaker.ListTrainingJobs", listed)
    on_call(of, "sagemaker.DescribeTrainingJob", lambda asked: (old | new)[member(asked, "TrainingJobName")])
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    first = poll(TRAINING, of, Window(0, OVER))
    assert (len(first.items), first.open_keys) == (60, frozenset({arn("training", "old-7")}))
    second = poll(TRAINING, of, Window(OVER - 1000, OVER, first.open_keys))
    assert {item.key.rpartition("/")[2] for item in second.items} == {"old-7", *new}
    lists, described, tagged, logged = 2, 11, 11, 10
    assert second.tape.calls == lists + described + tagged + logged


def _named(job: dict[str, Any], name: str) -> dict[str, Any]:
    return job | {"TrainingJobName": name, "TrainingJobArn": arn("training", name)}


def test_an_open_job_is_read_again_until_it_has_ended() -> None:
    create("train-1")
    job = emulated_job("train-1")
    job.training_job_status = "InProgress"
    first = poll(TRAINING)
    assert facts(first)[arn("training", "train-1")]["log"] is None
    job.training_job_status, job.failure_reason = "Failed", "AlgorithmError: out of memory"
    second = poll(TRAINING, window=later(first))
    (found,) = facts(second).values()
    assert (found["status"], found["failure_reason"]) == ("failed", "AlgorithmError: out of memory")


@pytest.mark.parametrize(
    ("status", "after_ms", "settled"),
    [
        ("Completed", LOG_LAG_MS - 1000, False),
        ("Completed", LOG_LAG_MS + 1000, True),
        ("Failed", LOG_LAG_MS + 1000, False),
        ("Failed", FOLLOWED_MS + 1000, True),
        ("InProgress", FOLLOWED_MS + 1000, False),
    ],
)
def test_when_a_job_is_settled(status: str, after_ms: int, settled: bool) -> None:
    """Logs come late, and whoever follows a failure up tags it later."""
    of = source()
    told(of, {"j": _named(training(good=True)["nightly-1"], "j") | {"TrainingJobStatus": status}})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    snapshot = poll(TRAINING, of, Window(0, round(ENDED.timestamp() * 1000) + after_ms))
    assert (snapshot.open_keys == frozenset()) is settled


def test_a_job_that_is_gone_keeps_what_was_known_of_it() -> None:
    gone = arn("training", "gone")
    snapshot = poll(TRAINING, window=Window(clock.now_ms(), clock.now_ms() + 1, frozenset({gone})))
    assert (snapshot.status.value, list(snapshot.items)) == ("complete", [])


def test_a_job_being_deleted_keeps_its_last_status() -> None:
    of = source()
    steps = [{"Status": status, "StartTime": ENDED} for status in ("Starting", "Training", "Failed")]
    job = training(good=True)["nightly-1"] | {"TrainingJobStatus": "Deleting", "SecondaryStatusTransitions": steps}
    told(of, {"nightly-1": job})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    (found,) = facts(poll(TRAINING, of)).values()
    assert (found["status"], found["status_said"]) == ("failed", "Deleting")


def test_of_an_open_job_whose_last_status_is_not_told_nothing_is_said() -> None:
    of, name = source(), "nightly-1"
    told(of, {name: training(good=True)[name] | {"TrainingJobStatus": "Deleting"}})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    window = Window(0, OVER, frozenset({arn("training", name)}))
    assert list(poll(TRAINING, of, window).items) == []
    assert len(poll(TRAINING, of, Window(0, OVER)).items) == 1, "a new one is told as unknown"


def test_the_name_comes_from_the_listing_not_from_the_arn() -> None:
    """An ARN may hold the name in small letters."""
    of = source()
    job = training(good=True)["nightly-1"] | {"TrainingJobName": "Nightly-1", "TrainingJobStatus": "InProgress"}
    told(of, {"Nightly-1": job})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    first = poll(TRAINING, of)
    assert first.open_keys == {arn("training", "nightly-1")}
    (found,) = facts(poll(TRAINING, of, later(first))).values()
    assert found["name"] == "Nightly-1"


def test_streams_of_the_log_tell_when_it_was_written() -> None:
    of = source()
    told(of, {"nightly-1": training(good=True)["nightly-1"]})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    asked: list[Any] = []
    streams = [{"logStreamName": "a", "firstEventTimestamp": 2000, "lastEventTimestamp": 9000}, {"logStreamName": "b"}]

    def answer(params: Any) -> Any:
        asked.append((member(params, "logGroupName"), member(params, "logStreamNamePrefix")))
        return {"logStreams": streams}

    on_call(of, "logs.DescribeLogStreams", answer)
    (found,) = facts(poll(TRAINING, of)).values()
    assert found["log"] == {
        "group": "/aws/sagemaker/TrainingJobs", "streams": 2, "first_at": "1970-01-01T00:00:02Z",
        "last_at": "1970-01-01T00:00:09Z",
    }  # fmt: skip
    assert asked == [("/aws/sagemaker/TrainingJobs", "nightly-1/")]


@pytest.mark.parametrize(
    ("operation", "hidden"),
    [
        ("sagemaker.ListTags", {"/tags", "/environment", "/group", "/mlflow_run_id", "/code/commit", "/code/repo"}),
        ("logs.DescribeLogStreams", {"/log"}),
    ],
)
def test_parts_that_were_refused_are_gaps_and_asked_for_again(operation: str, hidden: set[str]) -> None:
    create("train-1")
    of = source()
    refuse(of, operation, "AccessDenied")
    snapshot = poll(TRAINING, of, Window(0, clock.now_ms() + FOLLOWED_MS * 2))
    (envelope,) = envelopes(snapshot).values()
    assert set(envelope["gaps"]) == hidden
    assert len(snapshot.open_keys) == 1, "not settled while a part of it was not seen"


def test_an_answer_without_what_every_job_has_is_a_gap() -> None:
    create("train-1")
    of = source()
    on_call(of, "sagemaker.DescribeTrainingJob", lambda _asked: {}, well_formed=False)
    snapshot = poll(TRAINING, of)
    assert (snapshot.why, list(envelopes(snapshot).values())[0].keys()) == (Reason.MALFORMED, {"gap", "v"})


def test_a_tuning_job_and_its_children() -> None:
    of = source()
    told(of, training(good=True))
    told(of, tuning(good=True), TUNING)
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    jobs, parents = facts(poll(TRAINING, of)), facts(poll(TUNED, of))
    (parent,) = parents
    assert jobs[arn("training", "sweep-1-001")]["parent"] == parent
    assert parents[parent]["params"] == {"lr": "0.1"}


def test_own_key_network_and_limit_are_taken_from_where_each_kind_has_them() -> None:
    of = source()
    job = training(good=True)["nightly-1"]
    job["StoppingCondition"] = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90, "MaxPendingTimeInSeconds": 7200}
    job["ResourceConfig"] = {
        "InstanceGroups": [
            {"InstanceGroupName": "a", "InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2},
            {"InstanceGroupName": "b", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        ],
        "VolumeSizeInGB": 1,
        "VolumeKmsKeyId": KEY,
    }
    told(of, {"nightly-1": job})
    on_call(of, "sagemaker.ListTags", lambda _asked: {"Tags": []})
    (found,) = facts(poll(TRAINING, of)).values()
    assert (found["nodes"], found["instance_types"]) == (3, ["ml.m5.large", "ml.p4d.24xlarge"])
    assert (found["volume_kms"], found["stopping_limit_s"]) == (KEY, 90 + 7200)


LOGS = "aws.sagemaker.job_logs"


def searched(asked_for: list[Any] | None = None, **jobs: dict[str, Any]) -> Any:
    """A source that searches logs, with these jobs and a line that holds a secret twice."""
    of = source(scan_job_logs=True)
    told(of, dict(jobs))
    for noun in ("ProcessingJob", "TransformJob"):
        told(of, {}, noun)

    def answer(asked: Any) -> Any:
        if asked_for is not None:
            asked_for.append(asked)
        lines = ["epoch 1", f"token {HF_TOKEN}", f"again {HF_TOKEN}"]
        return {"events": [{"eventId": str(n), "timestamp": n, "message": text} for n, text in enumerate(lines)]}

    on_call(of, "logs.FilterLogEvents", answer)
    return of


def test_of_a_log_only_counts_and_hits_are_kept() -> None:
    of = searched(**{"nightly-1": training(good=True)["nightly-1"]})
    snapshot = poll(LOGS, of)
    (envelope,) = envelopes(snapshot).values()
    (hit,) = envelope["facts"]["text"]["hits"]
    assert (envelope["facts"]["text"]["lines"], hit["pattern"], hit["lines"]) == (3, "hf-token", 2)
    assert HF_TOKEN not in str(envelope)
    assert "epoch" not in str(envelope)
    assert snapshot.open_keys == frozenset()
    assert snapshot.tape.calls == 3 + 3, "a listing for each kind; first, last and telling lines of the one job"


def test_no_log_is_read_unless_it_is_asked_for() -> None:
    of = searched(asked := [], **{"nightly-1": training(good=True)["nightly-1"]})
    of._settings.scan_job_logs = False
    snapshot = poll(LOGS, of)
    assert (snapshot.status.value, list(snapshot.items), asked, snapshot.tape.calls) == ("complete", [], [], 0)


def test_a_log_is_searched_once_its_job_has_ended() -> None:
    name, asked = "nightly-1", list[Any]()
    of = searched(asked, **{name: training(good=True)[name] | {"TrainingJobStatus": "InProgress"}})
    first = poll(LOGS, of)
    assert (facts(first)[arn("training", name)]["text"], asked) == (None, [])
    assert first.open_keys == {arn("training", name)}
    again = poll(LOGS, searched(asked, **{name: training(good=True)[name]}), later(first))
    assert (len(asked), again.open_keys) == (3, frozenset())
    assert list(poll(LOGS, of, later(again)).items) == [], "searched once"


def test_a_log_that_may_not_be_read_is_a_gap() -> None:
    of = source(scan_job_logs=True)
    told(of, {"nightly-1": training(good=True)["nightly-1"]})
    for noun in ("ProcessingJob", "TransformJob"):
        told(of, {}, noun)
    refuse(of, "logs.FilterLogEvents", "AccessDeniedException")
    snapshot = poll(LOGS, of)
    (envelope,) = envelopes(snapshot).values()
    assert envelope["gaps"]["/text"]["need"] == "logs:FilterLogEvents"
    assert len(snapshot.open_keys) == 1
