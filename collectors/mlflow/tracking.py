"""Tracking: the runs behind registered versions, and every run as a training job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from agent.model import Gap, Json, Reason, Record, SourceError, Window
from agent.registry import stream
from collectors.mlflow.client import MlflowServer
from collectors.mlflow.failures import ABSENT
from collectors.mlflow.registry import listed_versions, time_of
from collectors.training.normal import job_status

_READ_RUNS = "READ on experiments"
_READ_MODELS = "READ on registered models"
_ALL = 3
"""ViewType.ALL: deleted runs and experiments too, which the default leaves out."""
_RUN_PAGE = 1000
_IDS_A_QUERY = 100
_EXPERIMENTS_A_QUERY = 500
_CONTEXT = "mlflow.data.context"


@stream(
    "mlflow.tracking.source_runs", per="server", every="1h", tags=["/tags"], unordered=["/datasets", "/inputs"],
    after=["mlflow.registry.versions"],
    needs={"SearchModelVersions": _READ_MODELS, "SearchExperiments": _READ_RUNS, "SearchRuns": _READ_RUNS,
           "GetRun": _READ_RUNS},
)  # fmt: skip
def source_runs(server: MlflowServer) -> Iterator[Record | Gap]:
    """Runs behind registered model versions, deleted ones included."""
    wanted = sorted({version.run_id for version in listed_versions(server) if version.run_id})
    experiments = _experiments(server)
    found = set()
    for run in _by_id(server, wanted, experiments):
        found.add(run.info.run_id)
        yield _record(server, run, experiments)
    for run_id in wanted:
        if run_id not in found:
            yield _sought(server, run_id, experiments)


@stream(
    "mlflow.tracking.runs", kind="life", per="server", every="1h", tags=["/tags"], unordered=["/datasets", "/inputs"],
    is_open=lambda facts: facts.get("status") in ("running", "unknown"),
    needs={"SearchExperiments": _READ_RUNS, "SearchRuns": _READ_RUNS},
)  # fmt: skip
def runs(server: MlflowServer, window: Window) -> Iterator[Record]:
    """Runs of the configured experiments, as training jobs."""
    experiments = _experiments(server)
    wanted = {id: name for id, name in experiments.items() if server.wants_experiment(name)}
    started = f"attributes.start_time >= {window.from_ms} AND attributes.start_time < {window.to_ms}"
    # page tokens are offsets: in the order of starting, what is added meanwhile shifts nothing already read
    seen = set()
    for run in _search(server, wanted, started, order_by=["attributes.start_time ASC"]):
        seen.add(run.info.run_id)
        yield _record(server, run, experiments)
    for run in _by_id(server, sorted(window.open_keys - seen), wanted):
        yield _record(server, run, experiments)


def _experiments(server: MlflowServer) -> dict[str, str]:
    """Name of every experiment by its id."""
    found = server.pages("SearchExperiments", view_type=_ALL, max_results=_RUN_PAGE)
    return {experiment.experiment_id: experiment.name for experiment in found}


def _search(server: MlflowServer, experiments: Iterable[str], only: str, **order: Any) -> Iterator[Any]:
    for some in _batches(experiments, _EXPERIMENTS_A_QUERY):
        yield from server.pages(
            "SearchRuns", experiment_ids=some, filter_string=only, run_view_type=_ALL, max_results=_RUN_PAGE, **order
        )


def _by_id(server: MlflowServer, run_ids: Iterable[str], experiments: Iterable[str]) -> Iterator[Any]:
    for some in _batches(run_ids, _IDS_A_QUERY):
        quoted = ", ".join(f"'{run_id}'" for run_id in some if run_id.isalnum())
        if quoted:
            yield from _search(server, experiments, f"attributes.run_id IN ({quoted})")


def _sought(server: MlflowServer, run_id: str, experiments: Mapping[str, str]) -> Record | Gap:
    """A run that the search did not show: gone for good, or only hidden from this caller."""
    try:
        run = server.call("GetRun", run_id)
    except SourceError as error:
        if error.gap.code in ABSENT:
            return Record(run_id, {"run_id": run_id, "lifecycle_stage": "gone"})
        gap = error.gap
        return Gap(gap.reason, gap.op, gap.code, gap.need, key=run_id)
    if run.info.run_id != run_id:
        return Gap(Reason.MALFORMED, "GetRun", "OtherRun", key=run_id)
    return _record(server, run, experiments)


def _record(server: MlflowServer, run: Any, experiments: Mapping[str, str]) -> Record:
    info, tags = run.info, dict(run.data.tags)
    datasets = [_dataset(given) for given in getattr(run.inputs, "dataset_inputs", None) or []]
    return Record(
        info.run_id,
        {
            "job_id": info.run_id,
            "run_id": info.run_id,
            "mlflow_run_id": info.run_id,
            "provider": "mlflow",
            "scope": server.scope.name,
            "name": info.run_name,
            "group": experiments.get(info.experiment_id),
            "environment": tags.get("environment"),
            "experiment_id": info.experiment_id,
            "created_at": time_of(info.start_time),
            "started_at": time_of(info.start_time),
            "ended_at": time_of(info.end_time),
            "status": job_status(info.status),
            "run_status": info.status,
            "lifecycle_stage": info.lifecycle_stage,
            "started_by": {
                "principal": tags.get("mlflow.user") or info.user_id or None,
                "source": "mlflow.user",
                "assurance": "self_asserted",
            },
            "code": {"repo": tags.get("mlflow.source.git.repoURL"), "commit": tags.get("mlflow.source.git.commit")},
            "inputs": [
                {"uri": dataset["source"], "version_or_digest": dataset["digest"], "data_class": None}
                for dataset in datasets
            ],
            "datasets": datasets,
            "params": dict(run.data.params),
            "tags": tags,
            "artifact_uri": info.artifact_uri,
        },
    )


def _dataset(given: Any) -> dict[str, Json]:
    """A dataset input; its source is the place, taken out of the JSON text MLflow keeps."""
    dataset = given.dataset
    contexts = [tag.value for tag in given.tags if tag.key == _CONTEXT]
    return {
        "name": dataset.name,
        "digest": dataset.digest or None,
        "source_type": dataset.source_type or None,
        "source": _place(dataset.source),
        "context": contexts[0] if contexts else None,
    }


def _place(source: str | None) -> str | None:
    try:
        kept = json.loads(source or "null")
    except ValueError:
        return source
    if not isinstance(kept, dict):
        return source
    places = (kept.get(name) for name in ("uri", "url", "path", "table_name"))
    return next((place for place in places if isinstance(place, str)), source)


def _batches(things: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some
