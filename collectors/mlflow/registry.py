"""The model registry: models, versions, prompts and their aliases and tags."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from agent import clock
from agent.model import Record
from agent.registry import stream
from collectors.mlflow.client import MlflowServer

PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
"""Without this filter the registry leaves prompts out of every listing."""

_PROMPT_TEXT = "mlflow.prompt.text"
_MODEL_PAGE = 1000
_VERSION_PAGE = 10_000
_MODELS = {"SearchRegisteredModels": "READ on registered models"}
_VERSIONS = {"SearchModelVersions": "READ on registered models"}
_PROMPTS = {"SearchRegisteredModels": "READ on prompts"}
_PROMPT_VERSIONS = {"SearchModelVersions": "READ on prompts"}


@stream("mlflow.registry.models", per="server", every="15m", needs=_MODELS, tags=["/tags"])
def models(server: MlflowServer) -> Iterator[Record]:
    """Registered models with the aliases that point into them."""
    return _models(server, "")


@stream("mlflow.registry.prompts", per="server", every="15m", needs=_PROMPTS, tags=["/tags"])
def prompts(server: MlflowServer) -> Iterator[Record]:
    """Registered prompts with the aliases that point into them."""
    return _models(server, PROMPTS)


# Models before versions: a version that an alias names and the later, complete list lacks is really gone.
@stream(
    "mlflow.registry.versions", per="server", every="15m", needs=_VERSIONS, tags=["/tags"],
    after=["mlflow.registry.models"],
)  # fmt: skip
def versions(server: MlflowServer) -> Iterator[Record]:
    """Versions of the registered models."""
    return _versions(server, "", "model")


@stream(
    "mlflow.registry.prompt_versions", per="server", every="15m", needs=_PROMPT_VERSIONS, tags=["/tags"],
    after=["mlflow.registry.prompts"],
)  # fmt: skip
def prompt_versions(server: MlflowServer) -> Iterator[Record]:
    """Versions of the registered prompts."""
    return _versions(server, PROMPTS, "prompt")


def version_key(model: str, version: str) -> str:
    """Key of a version's record."""
    return f"{model}/{version}"


def listed_versions(server: MlflowServer) -> Iterator[Any]:
    """Every model version in scope, as MlflowClient gives it."""
    found = server.pages("SearchModelVersions", filter_string="", max_results=_VERSION_PAGE)
    return (version for version in found if server.wants_model(version.name))


def _models(server: MlflowServer, only: str) -> Iterator[Record]:
    for model in server.pages("SearchRegisteredModels", filter_string=only, max_results=_MODEL_PAGE):
        if server.wants_model(model.name):
            yield Record(
                model.name,
                {
                    "name": model.name,
                    "description": model.description or None,
                    "tags": dict(model.tags),
                    "aliases": {alias: str(version) for alias, version in model.aliases.items()},
                    "creation_timestamp": time_of(model.creation_timestamp),
                    "last_updated_timestamp": time_of(model.last_updated_timestamp),
                },
            )


def _versions(server: MlflowServer, only: str, kind: str) -> Iterator[Record]:
    for version in server.pages("SearchModelVersions", filter_string=only, max_results=_VERSION_PAGE):
        if server.wants_model(version.name):
            yield Record(
                version_key(version.name, str(version.version)),
                {
                    "kind": kind,
                    "model": version.name,
                    "version": str(version.version),
                    "creation_timestamp": time_of(version.creation_timestamp),
                    "last_updated_timestamp": time_of(version.last_updated_timestamp),
                    "current_stage": version.current_stage,
                    "status": version.status,
                    "source": version.source or None,
                    "run_id": version.run_id or None,
                    "model_id": getattr(version, "model_id", None) or None,
                    "tags": dict(version.tags),
                    "description": version.description or None,
                    "template_digest": _digest(version.tags.get(_PROMPT_TEXT)),
                },
            )


def _digest(text: str | None) -> str | None:
    """SHA-256 (hex) of a prompt's template: whether it was changed, without keeping it."""
    return None if text is None else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def time_of(ms: int | None) -> str | None:
    """MLflow's milliseconds since 1970 as RFC 3339 in UTC."""
    return None if ms is None else clock.iso(int(ms))
