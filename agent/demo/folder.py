"""The folder of a demo: what lies where, and the configuration that a user finds in it."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from agent.demo.simulate import DAYS, first_day_ms
from agent.errors import UsageError

NEEDED = ("boto3", "moto", "time_machine", "mlflow", "sklearn", "pandas")
"""Modules that the demo cannot do without."""

_MARK = "# Written by `evidenced demo`"
_CONFIGURATION = (
    _MARK
    + """ for an invented company: nothing in this folder is evidence of anything.
# It has the form of any configuration. `evidenced --config {name}/evidenced.toml status` reads the ledger it made;
# `run` and `collect` refuse it. Intervals are longer than usual, so that thirty days fit into a minute.
version = 1

[entity]
name = "Example Models Inc. (invented)"
period = {{ first_day = {first}, last_day = {last}, timezone = "UTC" }}

[scope]
environments = {{ "aws:{account}" = "production", "mlflow:main" = "production" }}

[store]
url = "sqlite:///evidence.db"

[ledger]
origin = "example-models/demo"
sign_with = "file:signing_key"

[collect.aws]                        # an emulated account, in memory while the demo runs
role = "arn:aws:iam::{{account}}:role/evidence-reader"
accounts = ["{account}"]
regions = ["eu-central-1"]
every = {{ "s3.exposures" = "12h", "s3.account" = "12h", "s3.access_points" = "1d", "cloudtrail.events" = "1d", \
backup = "10d", compute = "10d", data = "10d", detect = "10d", ecr = "10d", network = "10d", organizations = "10d", \
sagemaker = "10d", sso = "10d" }}

[collect.mlflow]                     # a real MLflow store; its database is read directly
name = "main"
url = "sqlite:///company/mlflow.db"
every = {{ registry = "6h", tracking = "12h", artifacts = "12h", server = "1d" }}
production = {{ aliases = ["production"], stages = ["Production"] }}

[collect.trainlog]
name = "gpu-cluster-1"
path = "company/jobs"
every = {{ training = "12h" }}

[thresholds]
trusted_registries = ["registry.example-models.internal"]

[profiles.fraud-gate]
metrics = {{ auc = {{ min = 0.8 }} }}
required_params = ["strength"]
seed_required = "random_state"
inputs_required = true
tier = "high"

[profiles.churn-risk]
metrics = {{ auc = {{ min = 0.75 }} }}
seed_required = "random_state"
inputs_required = true
tier = "medium"

[profiles.price-fit]
metrics = {{ r2 = {{ min = 0.7 }} }}
inputs_required = true
tier = "medium"
"""
)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the parts of a demo lie."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, as a user would write it."""
        return self.path / "evidenced.toml"

    @property
    def company(self) -> Path:
        """The company's own systems: MLflow with its artifacts, and the job log."""
        return self.path / "company"

    @property
    def report(self) -> Path:
        """The report, taken out of the bundle."""
        return self.path / "report.html"

    def bundle(self, first: date, last: date) -> Path:
        """The bundle for a period."""
        return self.path / f"evidence_example-models_{first}_{last}.zip"


def prepare(path: Path, now_ms: int) -> Folder:
    """An empty demo folder with its configuration; an earlier demo in it is replaced.

    UsageError when the folder holds anything else, or when a library of the demo is missing.
    """
    from moto.core import DEFAULT_ACCOUNT_ID

    folder = Folder(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file", "name a folder:  evidenced demo --dir FOLDER")
    if path.is_dir() and any(path.iterdir()):
        if not _is_demo(folder):
            raise UsageError(
                f"{path} is not empty and holds no earlier demo", "name another folder:  evidenced demo --dir FOLDER"
            )
        _clear(folder)
    folder.company.mkdir(parents=True)
    first, last = period(now_ms)
    folder.config.write_text(
        _CONFIGURATION.format(name=path, first=first, last=last, account=DEFAULT_ACCOUNT_ID), encoding="utf-8"
    )
    return folder


def period(now_ms: int) -> tuple[date, date]:
    """First and last of the thirty days, both included: the last is yesterday (UTC)."""
    first = datetime.fromtimestamp(first_day_ms(now_ms) / 1000, UTC).date()
    return first, date.fromordinal(first.toordinal() + DAYS - 1)


def require_libraries() -> None:
    """UsageError naming the extra when a library of the demo is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the demo needs what is not installed here: {', '.join(missing)}", "pip install 'evidenced[demo]'"
        )


def _is_demo(folder: Folder) -> bool:
    return folder.config.is_file() and folder.config.read_text(encoding="utf-8").startswith(_MARK)


def _clear(folder: Folder) -> None:
    """Delete what an earlier demo wrote, and nothing else."""
    shutil.rmtree(folder.company, ignore_errors=True)
    ours = ("evidence.db*", "signing_key*", "evidence_example-models_*.zip", "report.html", "evidenced.toml")
    for pattern in ours:
        for file in folder.path.glob(pattern):
            file.unlink()
