"""Whether the tracking server lets in whoever comes: one request without a credential."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from agent.model import Json, Record, SourceError
from agent.registry import stream
from collectors.mlflow.client import MlflowServer, timeout_s
from collectors.mlflow.failures import gap_of_error, gap_of_status

_PATH = "/api/2.0/mlflow/experiments/search"
_READ = 4096
"""Bytes of the answer that are looked at: enough for an error code."""
_BUSY = (429, 503, 504)
"""Statuses that say nothing of who may come in."""


@stream("mlflow.server.access", per="server", every="1h", needs={"ProbeWithoutCredential": "none"})
def access(server: MlflowServer) -> Iterator[Record]:
    """What the tracking server answers to a request without credentials."""
    how = server.access
    parts = urlsplit(how.url)
    facts: dict[str, Any] = {"kind": how.kind, "scheme": parts.scheme, "declared_private": how.private}
    if how.kind == "server":
        facts |= {"host": parts.hostname, "host_is": _reach(parts.hostname or ""), "answer": _probe(server)}
    yield Record(server.scope.name, facts)


def _probe(server: MlflowServer) -> dict[str, Json]:
    """Status, MLflow's error code and the host of a redirect; SourceError when nobody answers."""
    import requests
    from urllib3.exceptions import HTTPError

    server.look("ProbeWithoutCredential")
    with requests.Session() as session:
        # without this a .netrc file would sign us in
        session.auth = _nobody
        try:
            with session.get(
                _bare(server.access.url) + _PATH, params={"max_results": "1"}, timeout=timeout_s(), stream=True,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                server.take_time(answer.headers.get("Date"))
                body = answer.raw.read(_READ, decode_content=True) or b""
        except (requests.RequestException, HTTPError) as error:
            raise SourceError(gap_of_error(error, "ProbeWithoutCredential", None)) from None
    if answer.status_code in _BUSY:
        raise SourceError(gap_of_status(answer.status_code, "ProbeWithoutCredential", None))
    location = answer.headers.get("Location")
    return {
        "status": answer.status_code,
        "error_code": _error_code(body),
        "is_mlflow": _is_mlflow(body),
        "redirects_to": urlsplit(location).hostname if location else None,
    }


def _bare(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _nobody(request: Any) -> Any:
    return request


def _error_code(body: bytes) -> str | None:
    answer = _json(body)
    code = answer.get("error_code") if isinstance(answer, dict) else None
    return str(code) if code is not None else None


def _is_mlflow(body: bytes) -> bool:
    """Whether the body is what MLflow answers: experiments, an empty list of them, or an error code of its own."""
    if body.lstrip().startswith(b'{"experiments"') or b'"experiments"' in body[:200]:
        return True
    answer = _json(body)
    return isinstance(answer, dict) and (not answer or "error_code" in answer)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _reach(host: str) -> str:
    """`loopback`, `private` or `public`, from the name alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return "loopback"
        return "private" if "." not in host or host.endswith((".internal", ".local", ".lan")) else "public"
    if address.is_loopback:
        return "loopback"
    return "private" if address.is_private else "public"
