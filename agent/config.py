"""The configuration: a TOML file, the environment over it, everything checked before anything runs."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from agent.config_errors import describe, place, read_toml, suggestion
from agent.errors import UsageError
from agent.references import secret as secrets
from agent.settings import Settings

__all__ = ["FILE_NAME", "Settings", "find", "load", "require_libraries", "search_order", "secrets"]

FILE_NAME = "evidenced.toml"
LIBRARIES = {"aws": "boto3", "identity": "requests", "mlflow": "mlflow"}
"""Provider -> the module without which nothing of it can be collected; the extra has the provider's name."""


def search_order() -> Iterator[Path]:
    """Where the file is looked for when neither --config nor $EVIDENCED_CONFIG names it."""
    from platformdirs import site_config_path, user_config_path

    yield Path(FILE_NAME)
    yield user_config_path("evidenced") / FILE_NAME
    if folder := os.environ.get("CONFIGURATION_DIRECTORY"):
        yield Path(folder) / FILE_NAME
    yield Path("/etc/evidenced") / FILE_NAME
    yield site_config_path("evidenced") / FILE_NAME


def find(path: Path | None = None) -> Path | None:
    """The file that counts, or None; UsageError when one is named and is not there."""
    named = path or (Path(os.environ["EVIDENCED_CONFIG"]) if os.environ.get("EVIDENCED_CONFIG") else None)
    if named is None:
        return next((file for file in search_order() if file.is_file()), None)
    if not named.is_file():
        raise UsageError(f"{named}: there is no such file", "evidenced init  writes one")
    return named


def load(path: Path | None = None) -> Settings:
    """The settings; without any file those of the environment's own AWS credentials.

    UsageError names file, line and key of everything that is wrong.
    """
    file = find(path)
    text, data = read_toml(file) if file else ("", {"collect": {"aws": {}}})
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise UsageError("\n".join(describe(error, Settings, file, text))) from None
    _anchor(settings, file.resolve().parent if file else Path.cwd())
    _known_streams(settings, file, text)
    return settings


def require_libraries(settings: Settings) -> None:
    """UsageError when the library of an enabled source is not installed."""
    for provider in settings.collect.enabled():
        module = LIBRARIES.get(provider)
        if module and importlib.util.find_spec(module) is None:
            raise UsageError(
                f"collect.{provider} is enabled, but {module} is not installed",
                f"pip install 'evidenced[{provider}]'",
            )


def _anchor(settings: Settings, folder: Path) -> None:
    """Make relative paths start at the file's folder."""
    store = settings.store.url
    settings.store.url = _path_url(store if "://" in store else f"sqlite:///{store}", folder)
    settings.ledger.sign_with = _path_reference(settings.ledger.sign_with, folder)
    sources = settings.collect
    sources.mlflow.url = _path_url(sources.mlflow.url, folder)
    if sources.trainlog.path and "://" not in sources.trainlog.path:
        sources.trainlog.path = str(folder / sources.trainlog.path)
    if settings.store.password:
        settings.store.password = _path_reference(settings.store.password, folder)
    if sources.mlflow.token:
        sources.mlflow.token = _path_reference(sources.mlflow.token, folder)
    if sources.aws.external_id:
        sources.aws.external_id = _path_reference(sources.aws.external_id, folder)
    if sources.google_workspace.credentials:
        sources.google_workspace.credentials = _path_reference(sources.google_workspace.credentials, folder)
    if sources.okta.token:
        sources.okta.token = _path_reference(sources.okta.token, folder)


def _path_url(url: str, folder: Path) -> str:
    """`sqlite:///evidence.db` with its path made absolute; any other URL as it is."""
    match = re.fullmatch(r"(sqlite(?:\+\w+)?:///)(?![/:])(.+)", url)
    return f"{match[1]}{folder / match[2]}" if match else url


def _path_reference(reference: str, folder: Path) -> str:
    kind, _, name = reference.partition(":")
    return f"file:{folder / name}" if kind == "file" else reference


def _known_streams(settings: Settings, file: Path | None, text: str) -> None:
    """Refuse intervals for streams that do not exist."""
    from agent.registry import discover

    for provider, source in settings.collect.enabled().items():
        if not source.every:
            continue
        short = [name.partition(".")[2] for name in discover().streams if name.startswith(f"{provider}.")]
        known = {part for name in short for part in (name, *name.split(".", 1))}
        for key in source.every:
            if key not in known:
                where = place(("collect", provider, "every", key), file, text)
                raise UsageError(f"{where}: no stream of {provider} has this name{suggestion(key, known)}")
