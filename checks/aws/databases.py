"""Databases and their snapshots are encrypted, and so is the one behind MLflow."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check

MANAGED = {
    "databricks": "MLflow on Databricks",
    "sagemaker": "MLflow on SageMaker",
    "azureml": "MLflow on Azure Machine Learning",
}
"""Managed services whose backend store is the provider's and encrypted by it, by the name in the configuration."""


@check("db-encryption", over="aws.data.instances")
def instance_encryption(instance: Facts, ctx: Context) -> Verdict:
    """The storage of the database instance is encrypted; its key is listed."""
    return _encrypted(instance)


@check("db-encryption", over="aws.data.clusters")
def cluster_encryption(cluster: Facts, ctx: Context) -> Verdict:
    """The storage of the database cluster is encrypted; its key is listed."""
    return _encrypted(cluster)


@check("db-encryption", over="aws.data.snapshots")
def snapshot_encryption(snapshot: Facts, ctx: Context) -> Verdict:
    """The snapshot of a database is encrypted; its key is listed."""
    return _encrypted(snapshot)


def _encrypted(holder: Facts) -> Verdict:
    if holder["encrypted"] is True:
        return passed(f"encrypted with {holder['kms_key'] or 'a key of AWS'}", kms_key=holder["kms_key"])
    return failed("storage is not encrypted", encrypted=holder["encrypted"])


@check("mlflow-backend-encrypted", once="mlflow.registry.models")
def mlflow_backend_encrypted(ctx: Context) -> Verdict:
    """The database behind the MLflow server is encrypted, or a listed provider's.

    Judged once per server. Which database it is, no server says: the setting `collect.mlflow.backend` does.
    """
    backend = ctx.thresholds["mlflow_backend"]
    if not backend:
        return undecided(Reason.DEPENDENCY, "the configuration does not say which database is behind the server")
    if backend.lower() in MANAGED:
        return passed(f"{MANAGED[backend.lower()]}: encrypted by the provider", backend=backend)
    for stream in ("aws.data.instances", "aws.data.clusters"):
        found = ctx.everywhere(stream).one(backend) if ctx.configured(stream) else None
        if found is not None:
            said = _encrypted(found)
            return Verdict(said.status, f"{backend}: {said.message}", {**said.facts, "backend": backend})
    return undecided(Reason.DEPENDENCY, f"{backend} is no database that was collected", backend=backend)
