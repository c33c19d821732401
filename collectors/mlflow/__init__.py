"""MLflow: a tracking and registry server, a managed one, or its database read directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.errors import UsageError
from agent.model import Scope, Tape
from agent.registry import source
from collectors.mlflow.client import Access, MlflowServer, library
from collectors.mlflow.database import Database, is_database

if TYPE_CHECKING:
    from agent.settings import Mlflow

MANAGED_HOSTS = (".cloud.databricks.com", ".azuredatabricks.net", ".gcp.databricks.com", ".api.azureml.ms")
"""Hosts where the provider signs every caller in."""

PLUGINS = {"arn": "sagemaker-mlflow", "azureml": "azureml-mlflow", "databricks": "databricks-sdk"}
"""Scheme of a managed server's URI -> the package that MLflow needs for it."""


class MlflowSource:
    """One configured MLflow; its only scope is `mlflow:<name>`."""

    name = "mlflow"

    def __init__(self, settings: Mlflow, access: Access) -> None:
        self._settings, self._access = settings, access
        self._database = Database(access.url) if access.kind == "database" else None

    def scopes(self, per: str) -> Sequence[Scope]:
        """The server, which is also its judging scope."""
        if per != "server":
            raise ValueError(f"MLflow has no scope per {per}")
        name = f"mlflow:{self._settings.name}"
        return [Scope(name, name, {"kind": self._access.kind})]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> MlflowServer:
        """A client that knows only the operations in `needs`; SourceError when a database is not as it must be."""
        url = self._database.read_only_url() if self._database else self._access.url
        return MlflowServer(
            self._access, url, scope, needs, tape, list(self._settings.models), list(self._settings.experiments)
        )

    def close(self) -> None:
        """Delete what was copied."""
        if self._database:
            self._database.close()


@source("mlflow")
def connect(settings: Mlflow, secrets: Callable[[str], str]) -> MlflowSource:
    """The source for [collect.mlflow]; UsageError for a URI that cannot be read."""
    token = secrets(settings.token) if settings.token else ""
    return MlflowSource(settings, Access(_kind(settings.url), settings.url, token, settings.private))


def _kind(url: str) -> str:
    """What a tracking URI names: `server`, `managed`, `database` or `plugin`."""
    scheme = urlsplit(url).scheme if "://" in url or ":" in url else url
    if scheme in ("http", "https"):
        host = (urlsplit(url).hostname or "").lower()
        return "managed" if host.endswith(MANAGED_HOSTS) else "server"
    if is_database(url):
        return "database"
    if scheme in ("", "file") or url.startswith((".", "/")):
        raise UsageError(
            "MLflow no longer reads a folder as a tracking store",
            "give the server's address, or its database as sqlite:///…",
        )
    library()
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    if scheme not in _tracking_store_registry._registry:
        package = PLUGINS.get(scheme, "an MLflow plug-in")
        raise UsageError(f"MLflow plug-in missing: nothing installed reads {scheme}: URIs", f"install {package}")
    return "managed" if scheme in PLUGINS else "plugin"
