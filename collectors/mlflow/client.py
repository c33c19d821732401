"""What the MLflow collectors are given: read operations only, counted, with gaps instead of exceptions."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agent import clock
from agent.errors import UsageError
from agent.model import Gap, Reason, Scope, SourceError, Tape
from collectors.mlflow.failures import gap_of_error, gap_of_status

METHODS = {
    "SearchRegisteredModels": "search_registered_models",
    "SearchModelVersions": "search_model_versions",
    "SearchExperiments": "search_experiments",
    "SearchRuns": "search_runs",
    "GetRun": "get_run",
    "GetModelVersionDownloadUri": "get_model_version_download_uri",
}
"""Operation -> method of MlflowClient; nothing that writes is among them."""

_NOTED = ("max_results", "order_by", "view_type", "run_view_type")
"""Parameters that the receipt keeps: those that are the same from poll to poll."""

_TIMEOUT_S = 60
_ARTIFACT_LIMIT = 1_048_576
_authorization: ContextVar[str] = ContextVar("mlflow authorization", default="")


@dataclass(frozen=True, slots=True)
class Access:
    """How a tracking URI is reached."""

    kind: str
    """`server`, `database`, `managed` (the provider signs callers in), or `plugin`."""
    url: str
    token: str = ""
    """A bearer token, or `user:password`."""
    private: bool = False
    """The configuration says that the server is on a private network."""

    @property
    def header(self) -> str:
        """The Authorization header; empty without a token."""
        if not self.token:
            return ""
        if ":" in self.token:
            return "Basic " + base64.b64encode(self.token.encode()).decode()
        return f"Bearer {self.token}"

    @property
    def identity(self) -> str:
        """Who asks, as far as the configuration says; never the secret."""
        if ":" in self.token:
            return self.token.partition(":")[0]
        return "bearer token" if self.token else "no credential"

    @property
    def endpoint(self) -> str:
        """The URI without user, password and query."""
        parts = urlsplit(self.url)
        if self.kind == "database":
            return parts.scheme
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class MlflowServer:
    """One tracking and registry server, as one poll sees it."""

    def __init__(
        self, access: Access, url: str, scope: Scope, needs: Mapping[str, str], tape: Tape,
        models: list[str], experiments: list[str],
    ) -> None:  # fmt: skip
        self.access, self.scope = access, scope
        self._needs, self._tape, self._lock = needs, tape, Lock()
        self._models, self._experiments = models, experiments
        self._url = url
        tape.endpoint, tape.identity = access.endpoint, access.identity
        self._client: Any = None

    def wants_model(self, name: str) -> bool:
        """Whether a model or prompt is in scope."""
        return any(fnmatchcase(name, pattern) for pattern in self._models)

    def wants_experiment(self, name: str) -> bool:
        """Whether an experiment is in scope."""
        return any(fnmatchcase(name, pattern) for pattern in self._experiments)

    def call(self, operation: str, *arguments: Any, **parameters: Any) -> Any:
        """The answer of one operation; SourceError where there is none."""
        self._note(operation, {name: parameters[name] for name in _NOTED if name in parameters})
        token = _authorization.set(self.access.header)
        try:
            return getattr(self._connected(), METHODS[operation])(*arguments, **parameters)
        except _exceptions() as error:
            raise SourceError(gap_of_error(error, operation, self._needs[operation])) from None
        finally:
            _authorization.reset(token)

    def pages(self, operation: str, **parameters: Any) -> Iterator[Any]:
        """The members of every page of a listing."""
        page_token = None
        while True:
            page = self.call(operation, page_token=page_token, **parameters)
            with self._lock:
                self._tape.pages += 1
            yield from page
            page_token = page.token
            if not page_token:
                return

    def get(self, operation: str, route: str, **query: str) -> bytes:
        """The body of a GET outside MlflowClient; SourceError for anything but success and for more than 1 MiB."""
        import requests
        from urllib3.exceptions import HTTPError

        self._note(operation, {})
        need = self._needs[operation]
        headers = {"Authorization": self.access.header} if self.access.header else {}
        try:
            with requests.get(
                self.access.url.rstrip("/") + route, params=query, headers=headers, timeout=timeout_s(), stream=True,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                self.take_time(answer.headers.get("Date"))
                if answer.status_code != 200:
                    raise SourceError(gap_of_status(answer.status_code, operation, need))
                body = answer.raw.read(_ARTIFACT_LIMIT + 1, decode_content=True) or b""
        except (requests.RequestException, HTTPError) as error:
            raise SourceError(gap_of_error(error, operation, need)) from None
        if len(body) > _ARTIFACT_LIMIT:
            raise SourceError(Gap(Reason.MALFORMED, op=operation, code="TooLarge"))
        return bytes(body)

    def look(self, operation: str) -> None:
        """Count a call that a collector makes in its own way (the probe without credentials)."""
        self._note(operation, {})

    def take_time(self, date: str | None) -> None:
        """Note by how much the server's clock differs, from the first answer that says its time."""
        if date and not self._tape.skew_ms:
            try:
                self._tape.skew_ms = round(parsedate_to_datetime(date).timestamp() * 1000) - clock.now_ms()
            except (TypeError, ValueError):
                return

    def _note(self, operation: str, parameters: Mapping[str, Any]) -> None:
        if operation not in self._needs:
            raise RuntimeError(f"{operation} is not declared in needs")
        with self._lock:
            self._tape.calls += 1
            self._tape.operations.setdefault(operation, dict(parameters))

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                _quiet()
                self._client = library().MlflowClient(tracking_uri=self._url, registry_uri=self._url)
            return self._client


def timeout_s() -> float:
    """Seconds an answer may take; MLflow's own setting."""
    return float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", _TIMEOUT_S))


def _quiet() -> None:
    """MLflow's own settings: no telemetry, few retries, no connection that outlives its query."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_TIMEOUT_S))
    # a database file may be replaced between two polls
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")


@cache
def library() -> Any:
    """The `mlflow` module, without its log lines; UsageError when it is missing."""
    _quiet()
    try:
        import mlflow
        from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
        from mlflow.tracking.request_header.registry import _request_header_provider_registry
    except ModuleNotFoundError as error:
        hint = "pip install 'evidenced[mlflow]'"
        raise UsageError(f"MLflow cannot be read: {error.name} is not installed", hint) from None

    class Authorization(RequestHeaderProvider):  # type: ignore[misc]
        """The token of the call under way: no environment variable, so other clients of the process have none."""

        def in_context(self) -> bool:
            """Whether one of our calls is under way in this thread."""
            return bool(_authorization.get())

        def request_headers(self) -> dict[str, str]:
            """The header that signs us in."""
            return {"Authorization": _authorization.get()}

    _request_header_provider_registry.register(Authorization)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return mlflow


@cache
def _exceptions() -> tuple[type[Exception], ...]:
    """What a call may raise because the server or the database did not answer as it should."""
    import requests

    library()
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, requests.RequestException, ParseError, SQLAlchemyError, OSError
