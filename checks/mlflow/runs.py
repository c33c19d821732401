"""What must hang on the run behind a version that holds production, or held it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

PRODUCTION = "mlflow.registry.production"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FAILED = ("FAILED", "KILLED")


@check("source-run-retained", over=PRODUCTION, tags=["external_source"])
def source_run_retained(version: Facts, ctx: Context) -> Verdict:
    """The run behind a production version is there, finished, with its files.

    Source: mlflow.tracking.source_runs, mlflow.artifacts.models. A run still marked RUNNING is said, not failed.
    """
    run = _run(version, ctx)
    if isinstance(run, Verdict):
        return run
    stage = run["lifecycle_stage"]
    facts = {"run_id": version["run_id"], "lifecycle_stage": stage}
    if stage == "gone":
        return failed(f"run {version['run_id']} exists no more", **facts)
    facts["status"] = run["run_status"]
    if stage != "active":
        return failed(f"run {version['run_id']} is {stage}", **facts)
    if run["run_status"] not in ("FINISHED", "RUNNING"):
        return failed(f"run {version['run_id']} ended as {run['run_status']}", **facts)
    if not version["version_gone"]:
        files = ctx.here("mlflow.artifacts.models").one(version.key)
        if files is None:
            return undecided(Reason.DEPENDENCY, "the files of the version were not looked at yet", **facts)
        if files["mlmodel"] is None:
            return failed("the artifact folder of the version has no MLmodel file", **facts)
    said = "; the run is still marked RUNNING" if run["run_status"] == "RUNNING" else ""
    return passed(f"run {version['run_id']} is active{said}", **facts)


@check("run-git-commit", over=PRODUCTION, tags=["mlflow.source.git.commit", "mlflow.source.git.dirty", "git_commit"])
def run_git_commit(version: Facts, ctx: Context) -> Verdict:
    """The run behind a production version names the full commit of its code.

    Source: run tags `mlflow.source.git.commit` or `git_commit`, `mlflow.source.git.dirty`.
    """
    run = _present_run(version, ctx)
    if isinstance(run, Verdict):
        return run
    tags = run["tags"]
    commit, dirty = tags.get("mlflow.source.git.commit") or tags.get("git_commit"), tags.get("mlflow.source.git.dirty")
    facts = {"run_id": version["run_id"], "commit": commit, "dirty": dirty}
    if not commit:
        return failed("the run has no commit", **facts)
    if not _COMMIT.fullmatch(commit):
        return failed(f"{commit} is no full commit id of 40 or 64 hexadecimal digits", **facts)
    if str(dirty).lower() == "true":
        return failed(f"commit {commit} was run with changes that were not committed", **facts)
    return passed(f"commit {commit}" + ("" if dirty else "; whether the checkout was clean is not known"), **facts)


@check("run-params-logged", over=PRODUCTION)
def run_params_logged(version: Facts, ctx: Context) -> Verdict:
    """The run behind a production version has its parameters.

    At least one, and those that the acceptance profile names.
    Source: run parameters; `required_params` and `seed_required` of the model's profile.
    """
    run = _present_run(version, ctx)
    if isinstance(run, Verdict):
        return run
    given = run["params"].names()
    profile = _profile(version, ctx)
    seed = profile.get("seed_required")
    wanted = [*(profile.get("required_params") or []), *([seed] if seed else [])]
    missing = sorted(name for name in wanted if name not in given)
    facts = {"run_id": version["run_id"], "parameters": len(given), "missing": missing}
    if not given:
        return failed("the run has no parameters", **facts)
    if missing:
        return failed(f"the run lacks parameters of the acceptance profile: {', '.join(missing)}", **facts)
    return passed(f"{len(given)} parameters", **facts)


@check("run-dataset-inputs", over=PRODUCTION)
def run_dataset_inputs(version: Facts, ctx: Context) -> Verdict:
    """The run behind a production version names its training data with digest.

    Judged where the acceptance profile demands it.
    Source: dataset inputs of the run, context `training`; `inputs_required` of the model's profile.
    """
    if not _profile(version, ctx).get("inputs_required"):
        return inapplicable("the acceptance profile of the model does not demand dataset inputs")
    run = _present_run(version, ctx)
    if isinstance(run, Verdict):
        return run
    training = [dataset for dataset in run.list("datasets") if dataset["context"] == "training"]
    whole = [dataset for dataset in training if dataset["digest"] and dataset["source_type"] and dataset["source"]]
    facts = {"run_id": version["run_id"], "training_inputs": [dataset["name"] for dataset in training]}
    if whole:
        digests = ", ".join(f"{dataset['name']} {dataset['digest']}" for dataset in whole)
        return passed(f"training data: {digests}", **facts)
    if training:
        return failed("no training input has digest, source type and source", **facts)
    return failed("the run has no dataset input with context training", **facts)


@check("failed-job-not-promoted", over=PRODUCTION)
def failed_job_not_promoted(version: Facts, ctx: Context) -> Verdict:
    """No production version comes from a run that failed or was killed.

    Source: run status. A run still marked RUNNING is said, not failed.
    """
    run = _present_run(version, ctx)
    if isinstance(run, Verdict):
        return run
    status = run["run_status"]
    facts = {"run_id": version["run_id"], "status": status}
    if status in _FAILED:
        return failed(f"run {version['run_id']} ended as {status}", **facts)
    return passed(f"run {version['run_id']} has status {status}", **facts)


def _present_run(version: Facts, ctx: Context) -> Facts | Verdict:
    """The run, unless it is gone for good: then nothing is known of it."""
    run = _run(version, ctx)
    if isinstance(run, Facts) and run["lifecycle_stage"] == "gone":
        return undecided(Reason.DEPENDENCY, f"run {version['run_id']} exists no more", run_id=version["run_id"])
    return run


def _run(version: Facts, ctx: Context) -> Facts | Verdict:
    """The run behind a version, or what follows from there being none to look at."""
    if version["kind"] == "prompt":
        return inapplicable("a prompt comes from no run")
    run_id = version["run_id"]
    if not run_id and version["external_source"]:
        return undecided(
            Reason.NOT_CONFIGURED,
            "the version comes from outside (tag external_source); the register of such models is not read",
            external_source=version["external_source"],
        )
    if not run_id:
        return failed("the version names no run", run_id=None)
    run = ctx.here("mlflow.tracking.source_runs").one(run_id)
    # a deleted version takes its run out of that list; what was seen of the run stays in the other
    run = run or ctx.here("mlflow.tracking.runs").one(run_id)
    return run or undecided(Reason.DEPENDENCY, f"run {run_id} was not collected", run_id=run_id)


def _profile(version: Facts, ctx: Context) -> Mapping[str, Any]:
    profiles = ctx.thresholds.get("profiles") or {}
    return profiles.get(version["model"]) or {}
