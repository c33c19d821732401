"""The model files behind each version: what they say of themselves. No model is ever loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record, SourceError
from agent.registry import stream
from collectors.files import reason_of
from collectors.mlflow.client import MlflowServer
from collectors.mlflow.registry import listed_versions, version_key

_READ = "READ on registered models"
_LIMIT = 1_048_576
_FLAVOR_FACTS = ("loader_module", "python_version", "serialization_format", "env")
"""Of a flavor's settings only these and the library versions are kept."""


@stream(
    "mlflow.artifacts.models", per="server", every="6h", after=["mlflow.registry.versions"],
    needs={"SearchModelVersions": _READ, "GetModelVersionArtifact": _READ, "GetModelVersionDownloadUri": _READ},
)  # fmt: skip
def models(server: MlflowServer) -> Iterator[Record]:
    """Signature, flavors and requirements in the files of each model version."""

    def describe(version: Any) -> Record:
        files = _Files(server, version.name, str(version.version))
        return Record(
            version_key(files.name, files.version),
            {
                "model": files.name,
                "version": files.version,
                "mlmodel": facet(files.read, path="MLmodel", pick="text", absent=_NO_FILE, parse=_mlmodel),
                "requirements": facet(
                    files.read, path="requirements.txt", pick="text", absent=_NO_FILE, parse=requirement_lines
                ),
            },
        )

    return spread(describe, listed_versions(server))


_NO_FILE = "NoSuchFile"


class _Files:
    """The files of one version: by way of the server, or in place where the database was read directly."""

    operation = "GetModelVersionArtifact"

    def __init__(self, server: MlflowServer, name: str, version: str) -> None:
        self.name, self.version = name, version
        self._server = server

    def read(self, path: str) -> Mapping[str, str]:
        """The text of one file as {"text": …}; SourceError when it cannot be had."""
        if self._server.access.kind == "server":
            body = self._server.get(
                self.operation, "/model-versions/get-artifact", name=self.name, version=self.version, path=path
            )
        else:
            body = self._in_place(path)
        try:
            return {"text": body.decode()}
        except UnicodeDecodeError:
            raise _unread(Reason.MALFORMED, "NotUTF8") from None

    def _in_place(self, path: str) -> bytes:
        location = self._server.call("GetModelVersionDownloadUri", self.name, self.version)
        if not location:
            raise SourceError(Gap(Reason.MALFORMED, op="GetModelVersionDownloadUri", code="NoLocation"))
        parts = urlsplit(location)
        if parts.scheme not in ("", "file"):
            raise _unread(Reason.UNSUPPORTED, f"ArtifactStore:{parts.scheme}")
        folder = Path(unquote(parts.path) if parts.scheme else location)
        if not folder.is_absolute():
            # relative to where the client stood that logged the model
            raise _unread(Reason.UNREACHABLE, "RelativeFolder")
        try:
            with (folder / path).open("rb") as file:
                body = file.read(_LIMIT + 1)
        except FileNotFoundError:
            # the users of a database server share no disk with it: a folder not there may be on another machine
            here = folder.is_dir() or self._server.access.url.startswith("sqlite")
            raise _unread(Reason.UNREACHABLE, _NO_FILE if here else "NoSuchFolder") from None
        except OSError as error:
            raise _unread(reason_of(error), type(error).__name__) from None
        if len(body) > _LIMIT:
            raise _unread(Reason.MALFORMED, "TooLarge")
        return body


def _unread(reason: Reason, code: str) -> SourceError:
    need = "read access to the artifact folder" if reason is Reason.DENIED else None
    return SourceError(Gap(reason, op=_Files.operation, code=code, need=need))


def _mlmodel(text: str) -> Json | Gap:
    """The facts of an MLmodel file: signature, flavors, versions."""
    import yaml

    try:
        model = yaml.safe_load(text)
        if not isinstance(model, dict):
            raise ValueError("no mapping")
        signature = model.get("signature") or {}
        return {
            "signature": {part: json.loads(signature.get(part) or "null") for part in ("inputs", "outputs")},
            "flavors": {str(name): _flavor(kept or {}) for name, kept in (model.get("flavors") or {}).items()},
            "mlflow_version": model.get("mlflow_version"),
            "run_id": model.get("run_id"),
            "model_id": model.get("model_id"),
        }
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError):
        return Gap(Reason.MALFORMED, op=_Files.operation, code="NotMLmodel")


def _flavor(settings: Mapping[str, Any]) -> dict[str, Json]:
    return {
        name: value
        for name, value in settings.items()
        if (name in _FLAVOR_FACTS or name.endswith("_version")) and isinstance(value, (str, dict))
    }


def requirement_lines(text: str) -> list[str]:
    """The lines of a requirements file that mean something, continued ones joined."""
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    lines = (line.split(" #")[0].strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
