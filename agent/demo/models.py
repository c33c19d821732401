"""The company's models: small, but really trained, into a real MLflow store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from agent.clock import iso, now_ms

PINNED = ("scikit-learn", "numpy", "pandas", "scipy")
ROWS = 1_500


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained: on which data, to which end."""

    model: str
    purpose: str
    data: str
    """Where the training data is said to be; the rows are made up."""
    columns: tuple[str, ...]
    target: str
    metric: str


RECIPES = {
    recipe.model: recipe
    for recipe in (
        Recipe(
            "fraud-gate", "Holds back card payments that look like fraud.", "s3://example-models-training-data/payments",
            ("amount", "country_risk", "hour", "card_age", "attempts", "distance"), "fraud", "auc",
        ),
        Recipe(
            "churn-risk", "Tells which customers are about to leave.", "s3://example-models-training-data/subscriptions",
            ("tenure", "seats", "logins", "tickets", "discount"), "left", "auc",
        ),
        Recipe(
            "price-fit", "Suggests a price for a new offer.", "s3://example-models-training-data/offers",
            ("size", "region", "season", "stock"), "price", "r2",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of a training."""

    recipe: Recipe
    run_id: str
    model_uri: str
    digest: str
    """Of the training data, as MLflow computed it."""
    metric: float
    commit: str | None
    params: Mapping[str, Any] = field(default_factory=dict)


class Models:
    """MLflow's tracking store and registry on a SQLite file, artifacts beside it."""

    def __init__(self, folder: Path) -> None:
        import mlflow

        self.database = folder / "mlflow.db"
        uri = f"sqlite:///{self.database}"
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        self._client = mlflow.MlflowClient(uri, uri)
        self._artifacts = folder / "artifacts"
        self._experiments: dict[str, str] = {}

    def train(
        self,
        model: str,
        number: int,
        by: str,
        *,
        committed: bool = True,
        pinned: bool = True,
        strength: float = 1.0,
        source: str = "train.py",
    ) -> Trained:
        """Fit a model on made-up data and log it with parameters, metrics, data sets and signature.

        `number` is the seed of data and training; the run carries no commit when not `committed`,
        and an open version range of a library when not `pinned`.
        """
        import mlflow

        recipe = RECIPES[model]
        commit = hashlib.sha1(f"{model} {number}".encode(), usedforsecurity=False).hexdigest() if committed else None
        training, held_out = _frames(recipe, number)
        tags = {"mlflow.user": by, "mlflow.source.name": source, "mlflow.source.type": "JOB"}
        if commit:
            tags["mlflow.source.git.commit"] = commit
        # A run made by the client has these tags and no others: nothing of the machine the demo runs on.
        run = self._client.create_run(self._experiment(model), tags=tags, run_name=f"{model} {number}")
        params = {"strength": strength, "random_state": number, "rows": len(training)}
        with mlflow.start_run(run_id=run.info.run_id):
            data = [
                mlflow.data.from_pandas(
                    frame, source=f"{recipe.data}/{name}-{number}.parquet", name=name, targets=recipe.target
                )
                for name, frame in (("training", training), ("evaluation", held_out))
            ]
            for dataset in data:
                mlflow.log_input(dataset, context=dataset.name)
            mlflow.log_params(params)
            fitted = _fit(recipe, training, strength, number)
            metric = _score(recipe, fitted, held_out)
            mlflow.log_metric(recipe.metric, metric)
            uri = _log(fitted, held_out.drop(columns=recipe.target), pinned=pinned)
        return Trained(recipe, run.info.run_id, uri, data[0].digest, metric, commit, params)

    def crash(self, model: str, number: int, by: str) -> str:
        """A run that broke off: parameters, no model; its id comes back."""
        run = self._client.create_run(
            self._experiment(model),
            tags={"mlflow.user": by, "mlflow.source.name": "train.py"},
            run_name=f"{model} {number}",
        )
        self._client.log_param(run.info.run_id, "random_state", number)
        self._client.set_terminated(run.info.run_id, "FAILED")
        return str(run.info.run_id)

    def register(self, trained: Trained) -> str:
        """Register what was trained as the next version of its model; the version's number comes back."""
        recipe = trained.recipe
        known = {model.name for model in self._client.search_registered_models()}
        if recipe.model not in known:
            tags = {"owner": "ml@example-models.com", "data_class": "confidential"}
            self._client.create_registered_model(recipe.model, tags, recipe.purpose)
        made = self._client.create_model_version(
            recipe.model,
            source=trained.model_uri,
            run_id=trained.run_id,
            description=f"{recipe.metric} {trained.metric:.3f}",
        )
        return str(made.version)

    def approve(self, model: str, version: str, by: str, reference: str) -> None:
        """Write down who approved a version, when, and where it was discussed."""
        for name, value in (("approved_by", by), ("approved_on", iso(now_ms())), ("approval_ref", reference)):
            self._client.set_model_version_tag(model, version, name, value)

    def promote(self, model: str, version: str) -> None:
        """Let the alias `production` name this version."""
        self._client.set_registered_model_alias(model, "production", version)

    def delete(self, model: str, version: str) -> None:
        """Delete a version from the registry."""
        self._client.delete_model_version(model, version)

    def _experiment(self, model: str) -> str:
        if model not in self._experiments:
            place = (self._artifacts / model).as_uri()
            self._experiments[model] = self._client.create_experiment(model, artifact_location=place)
        return self._experiments[model]


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Keep MLflow's notes about its database and about types off the terminal."""
    import logging
    import warnings

    import mlflow  # noqa: F401 - sets its own levels while it is imported

    names = ("mlflow", "alembic")
    before = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    for name, level in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(level)


def _frames(recipe: Recipe, seed: int) -> Sequence[Any]:
    """Rows for training and for evaluation, made up from the seed."""
    import numpy
    import pandas

    dice = numpy.random.default_rng(seed)
    values = dice.normal(size=(2 * ROWS, len(recipe.columns)))
    truth = values @ dice.uniform(0.5, 2.0, size=len(recipe.columns))
    noisy = truth + dice.logistic(size=2 * ROWS)
    frame = pandas.DataFrame(values, columns=list(recipe.columns))
    frame[recipe.target] = (noisy > 0).astype(float) if recipe.metric == "auc" else noisy
    return frame.iloc[:ROWS], frame.iloc[ROWS:]


def _fit(recipe: Recipe, frame: Any, strength: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    last = LogisticRegression(C=strength, random_state=seed) if recipe.metric == "auc" else Ridge(alpha=strength)
    return make_pipeline(StandardScaler(), last).fit(frame.drop(columns=recipe.target), frame[recipe.target])


def _score(recipe: Recipe, fitted: Any, frame: Any) -> float:
    from sklearn.metrics import r2_score, roc_auc_score

    seen, truth = frame.drop(columns=recipe.target), frame[recipe.target]
    if recipe.metric == "auc":
        return float(roc_auc_score(truth, fitted.predict_proba(seen)[:, 1]))
    return float(r2_score(truth, fitted.predict(seen)))


def _log(fitted: Any, seen: Any, *, pinned: bool) -> str:
    """Log the model with its signature; where it is comes back.

    The requirements are given: MLflow would find them out by starting interpreters.
    """
    import mlflow
    from mlflow.models import infer_signature

    needed = [f"{name}=={installed(name)}" for name in PINNED]
    info = mlflow.sklearn.log_model(
        fitted,
        name="model",
        signature=infer_signature(seen, fitted.predict(seen)),
        pip_requirements=needed if pinned else [*needed[1:], "scikit-learn>=1.4"],
    )
    return str(info.model_uri)
