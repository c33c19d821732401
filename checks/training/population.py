"""Which training jobs a rule is about, and what fed production.

Two populations (the catalogue's): *inventory*, all jobs; *tested*, those that fed a version which ever
held production and those labelled production. A job without any label counts as production.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record, Verdict, inapplicable, undecided
from agent.registry import derived
from checks.classes import PRODUCTION, in_production

JOBS = "trainlog.training.jobs"
RUNS = "mlflow.tracking.runs"
TRAINING = "aws.sagemaker.training_jobs"
PROCESSING = "aws.sagemaker.processing_jobs"
TRANSFORM = "aws.sagemaker.transform_jobs"
TUNING = "aws.sagemaker.tuning_jobs"

DONE = ("succeeded", "failed", "stopped")
"""Statuses that are the last."""

_ENDPOINTS, _COMPONENTS = "aws.sagemaker.endpoints", "aws.sagemaker.inference_components"
_PACKAGES = "aws.sagemaker.model_packages"
_REGISTRY = (
    "mlflow.registry.models", "mlflow.registry.prompts", "mlflow.registry.versions", "mlflow.registry.prompt_versions",
)  # fmt: skip


@derived("mlflow.registry.production_runs", kind="state", of=_REGISTRY)
def production_runs(history: History, ctx: Context) -> Iterator[Record]:
    """Runs behind versions that hold production or ever held it, by run id."""
    del history
    versions: dict[str, list[str]] = {}
    for version in ctx.here("mlflow.registry.production"):
        if version["run_id"]:
            versions.setdefault(version["run_id"], []).append(version.key)
    for run_id, names in sorted(versions.items()):
        yield Record(run_id, {"versions": names, "models": sorted({name.rpartition("/")[0] for name in names})})


@derived("aws.sagemaker.served", kind="state", of=(_ENDPOINTS, _COMPONENTS, _PACKAGES))
def served(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Artifacts and packages that a production endpoint ran or that were approved.

    Now or at any earlier poll. Key: URI of the artifact, or ARN of the package.
    """
    found: dict[str, str] = {}
    packaged: dict[str, list[str]] = {}
    for version in history.versions(_PACKAGES):
        if version.facts is not None:
            urls = _data_urls(version.facts.seen("containers", []))
            packaged.setdefault(version.key, []).extend(urls)
            if _approved(version.facts):
                found |= dict.fromkeys([version.key, *urls], f"model package {version.facts.key}")
    for stream, part in ((_ENDPOINTS, "variants"), (_COMPONENTS, "models")):
        for version in history.versions(stream):
            facts = version.facts
            if facts is not None and not facts.unseen_at("tags") and in_production(facts, ctx):
                for container in _containers(facts.seen(part, [])):
                    package = container.get("package")
                    ran = [container.get("data_url"), package, *packaged.get(package or "", [])]
                    found |= {one: f"{_NOUNS[stream]} {facts.key}" for one in ran if one}
    for key, by in sorted(found.items()):
        yield Record(key, {"by": by})
    for stream, parts in _READ.items():
        for facts in history.now(stream):
            for part in parts:
                if gap := facts.unseen_at(part):
                    yield gap
                    return


_NOUNS = {_ENDPOINTS: "endpoint", _COMPONENTS: "inference component"}
_READ = {
    _ENDPOINTS: ("variants", "tags"), _COMPONENTS: ("models", "tags"), _PACKAGES: ("containers", "approval_status"),
}  # fmt: skip


def outside_tested(job: Facts, ctx: Context) -> Verdict | None:
    """Why a job is inventory only; None when it is of the tested population."""
    label = label_of(job, ctx)
    if label == "production":
        return None
    if label is None:
        if ctx.thresholds.get("default_data_class", "restricted"):
            return None
        return undecided(Reason.NOT_CONFIGURED, "unlabelled: no environment or group says whether it feeds production")
    if fed_production(job, ctx):
        return None
    return inapplicable(f"inventory: {label}, and it fed no version that held production")


def fed_production(job: Facts, ctx: Context) -> str | None:
    """What production got from a job: by its run's versions, or by its artifact on an endpoint; None for nothing."""
    run_id = job.get("mlflow_run_id")
    if run_id and (run := ctx.everywhere("mlflow.registry.production_runs").one(run_id)):
        return ", ".join(run["versions"])
    names = job.names()
    for out in ("package_out", "model_out"):
        made = job[out] if out in names else None
        if made and (where := ctx.everywhere("aws.sagemaker.served").one(made)):
            return str(where["by"])
    return None


def label_of(job: Facts, ctx: Context) -> str | None:
    """`production`, or what else the job is labelled; None when it is not labelled at all.

    By its own group or environment, else, on a cloud account, by the account's environment.
    """
    declared = ctx.thresholds.get("job_production") or {}
    groups = declared.get("groups") or []
    environments = {name.casefold() for name in declared.get("environments") or PRODUCTION}
    group, environment = job.get("group"), environment_of(job, ctx)
    if (group and group in groups) or (environment and environment in environments):
        return "production"
    if environment:
        return f"environment {environment}"
    return f"group {group}" if group and groups else None


def environment_of(job: Facts, ctx: Context) -> str | None:
    """Environment of a job, case-folded: its own, else that of the cloud account; None where nothing says.

    A tracking server or a job log serves all environments: what it is itself says nothing of its jobs.
    """
    said = job.get("environment")
    if not said and job.scope.startswith("aws:"):
        declared = ctx.thresholds.get("environments") or {}
        said = declared.get(job.scope) or declared.get(job.scope.rpartition(":")[0])
    return str(said).strip().casefold() or None if said else None


def _approved(package: Facts) -> bool:
    stage = (package.seen("life_cycle", None) or {}).get("stage") or ""
    return package.seen("approval_status", None) == "Approved" or stage.casefold() in PRODUCTION


def _containers(parts: Any) -> Iterator[Mapping[str, Any]]:
    """Containers of the models in variants, or of models."""
    for part in parts or ():
        if isinstance(part, Mapping):
            yield from part.get("containers") or ()
            yield from _containers(part.get("models"))


def _data_urls(containers: Any) -> list[str]:
    return [one["data_url"] for one in containers or () if one.get("data_url")]
