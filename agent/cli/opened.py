"""What verbs open: the settings, the ledger, the claims on targets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from agent.claims import Claims
    from agent.ledger import Ledger
    from agent.redact import Redactor
    from agent.registry import Registry
    from agent.settings import Settings


def settings(ctx: typer.Context) -> Settings:
    """The configuration that --config, the environment or the search order names; UsageError says what is wrong."""
    import logging

    from agent.cli import logs
    from agent.cli.out import options
    from agent.config import load

    logs.start(options(ctx), level=logging.INFO if ctx.command.name == "run" else logging.WARNING)
    return load(options(ctx).config)


def ledger(settings: Settings, *, create: bool = False, writing: bool = False) -> Ledger:
    """The store of the configuration.

    `create` makes store and key when neither exists, and says so; `writing` refuses a demo store.
    Raises StoreError (exit code 7) for a store that is not there, locked, foreign or without its key.
    """
    from agent import clock
    from agent.errors import UsageError
    from agent.ledger import Ledger

    path = database_file(settings)
    new = create and path is not None and not path.exists()
    opened = Ledger.open(
        settings.store.connection(),
        settings.ledger.key_file,
        create=create,
        origin=settings.ledger.origin,
        now_ms=clock.now_ms(),
    )
    if writing and opened.demo:
        opened.close()
        raise UsageError(
            "this store holds the invented evidence of a demo", "name another store for real evidence: [store] url"
        )
    if new:
        say(f"Made a new store {path} and signing key {settings.ledger.key_file}, fingerprint {opened.fingerprint}")
        say("Give this fingerprint to your auditor now, by letter or call: it is what makes later bundles checkable.")
    return opened


def database_file(settings: Settings) -> Path | None:
    """The SQLite file of the store, None for another engine."""
    from sqlalchemy.engine import make_url

    url = make_url(settings.store.url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def claims(settings: Settings) -> Claims:
    """Claims on targets, a file beside the SQLite store."""
    from agent.claims import Claims

    path = database_file(settings)
    return Claims(path.with_name(path.name + ".claims") if path else None)


def redactor(settings: Settings, registry: Registry) -> Redactor:
    """Redaction with the store's own key, keeping the tags that checks read and the configured ones."""
    from agent.ledger.sign import read_redaction_key
    from agent.redact import Redactor

    mlflow = settings.collect.mlflow
    by_rules = {*mlflow.production.tag, *mlflow.approval.model_dump().values()}
    return Redactor(
        read_redaction_key(settings.ledger.key_file), registry.kept_tags | set(settings.redact.keep_tags) | by_rules
    )


def say(text: str) -> None:
    """A message for people, on standard error."""
    typer.echo(text, err=True)


def emit(value: Any) -> None:
    """One JSON object on standard output, on a line of its own."""
    import json

    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
