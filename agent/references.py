"""Secrets are references in the configuration; here they are looked up, when they are needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.errors import MissingCredential

REFERENCE = re.compile(r"(env|file|cred):(.+)", re.DOTALL)
"""`env:NAME`, `file:PATH`, `cred:NAME` (a systemd credential)."""


def secret(reference: str) -> str:
    """The secret that a reference names, without its closing newline.

    MissingCredential says which reference has nothing behind it, never what it holds.
    """
    match = REFERENCE.fullmatch(reference)
    if not match:
        raise MissingCredential("a secret must be a reference: env:NAME, file:PATH or cred:NAME")
    kind, name = match.groups()
    if kind == "env":
        value = os.environ.get(name, "")
        if not value:
            raise MissingCredential(f"the environment variable {name} is not set", f"export {name}=…")
        return value
    if kind == "file":
        return _read(Path(name), f"file {name}")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise MissingCredential(
            f"credential {name}: $CREDENTIALS_DIRECTORY is not set", f"add LoadCredential={name} to the systemd unit"
        )
    return _read(Path(folder) / name, f"credential {name}")


def _read(path: Path, what: str) -> str:
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingCredential(f"{what}: {_why(error)}") from None
    if not value:
        raise MissingCredential(f"{what} is empty")
    return value


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "is not UTF-8 text"
