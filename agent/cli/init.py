"""`evidenced init`: a commented configuration for what is found here, an empty store and its signing key."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.out import Output, OutputOption, lines, options

EPILOG = """Examples:

evidenced init

evidenced init --dir /etc/evidenced --providers aws,mlflow --yes

An existing configuration is kept unless --force is given; an existing store and its key are always kept.
"""
SCHEMA = "evidenced.init/1"

HEAD = """# evidenced.toml: the keys you are most likely to change. Unknown keys are errors; the repository's
# config.example.toml explains every key with its default. Relative paths start at this file's folder.
# Secrets are references, never values: "env:NAME", "file:PATH", "cred:NAME" (a systemd credential).
version = 1

[entity]
name = ""                              # shown in the report
# period = {{ first_day = 2026-01-01, last_day = 2026-06-30, timezone = "Europe/Berlin" }}   # both days included

[store]
url = "sqlite:///evidence.db"          # or "postgresql+psycopg://evidenced@db.internal/evidenced"

[ledger]
sign_with = "file:signing_key"         # never leaves this machine but in your own backup
anchors = []                           # none: every report says that the log is unanchored
"""
TABLES = {
    "aws": """
[collect.aws]
enabled = true
auth = "default-chain"                 # instance role, workload identity, sign-on session; long-lived keys work
# role = "arn:aws:iam::{{account}}:role/evidence-reader"   # default: the credentials as they are
accounts = []                          # default: the credentials' own account
regions = "all-enabled"                # or a list
""",
    "mlflow": """
[collect.mlflow]
enabled = {enabled}
name = "main"                          # the scope is mlflow:main, never the URL
url = "{url}"
{token}token = "env:MLFLOW_TRACKING_TOKEN"
production = {{ aliases = ["production", "champion"], stages = ["Production"] }}   # what makes a version the one in use
""",
    "trainlog": """
[collect.trainlog]                     # clusters of one's own: JSON lines, one object per job
enabled = true
path = "training-log/"
""",
}


def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where configuration and key go.")] = Path(),
    providers: Annotated[
        str, typer.Option("--providers", help="aws, mlflow, trainlog, with commas. Default: what is found here.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the configuration, never store or key.")] = False,
    output: OutputOption = Output.text,
) -> None:
    """Write a configuration, make the store and its key."""
    from agent import clock
    from agent.cli import opened
    from agent.config import FILE_NAME, load
    from agent.errors import UsageError
    from agent.ledger import Ledger

    chosen, found = _chosen(providers)
    target = options(ctx).config or folder / FILE_NAME
    if target.exists() and not force:
        raise UsageError(f"{target} exists already", "--force replaces it; the key and the store stay as they are")
    url = os.environ.get("MLFLOW_TRACKING_URI", "")
    asked = "mlflow" in chosen and not url and not yes and output is Output.text and sys.stdin.isatty()
    if asked:
        url = typer.prompt("Where does MLflow answer?", default="", show_default=False, err=True)
    text = HEAD.format() + "".join(
        TABLES[name].format(
            url=url or "https://mlflow.example.internal",
            enabled="true" if url else "false",
            token="" if os.environ.get("MLFLOW_TRACKING_TOKEN") else "# ",
        )
        for name in chosen
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    settings = load(target)
    key_file = settings.ledger.key_file
    ledger = Ledger.open(
        settings.store.connection(), key_file, create=True, origin=settings.ledger.origin, now_ms=clock.now_ms()
    )
    made, fingerprint = ledger.created, ledger.fingerprint
    ledger.close()
    if output is not Output.text:
        body = {
            "schema": SCHEMA,
            "config": str(target),
            "providers": chosen,
            "store": settings.store.url,
            "key": str(key_file),
            "made": made,
            "fingerprint": fingerprint,
        }
        opened.emit(body) if output is Output.json else lines([body])
        return
    for name, how in found.items():
        typer.echo(f"  {name:<9} {how}")
    typer.echo(f"Wrote    {target}")
    done = "Made" if made else "Kept"
    typer.echo(f"{done:<8} store {settings.store.url}")
    typer.echo(f"{done:<8} signing key {key_file}   {fingerprint}")
    typer.echo(
        "         Give this fingerprint to your auditor now, by letter or call: it makes later bundles checkable."
    )
    typer.echo(f"         Copy {key_file} and {key_file}.redact to a safe place; without them the store is lost.")
    if "mlflow" in chosen and not url:
        typer.echo("Mind     [collect.mlflow] is switched off until its url is filled in")
    where = "" if target == Path(FILE_NAME) else f"-c {target} "
    typer.echo(f"Next     evidenced {where}doctor           asks every API once and names each missing permission")
    typer.echo(f"         evidenced {where}collect --now    the first collection: a baseline")


def _chosen(providers: str) -> tuple[list[str], dict[str, str]]:
    """The providers to write tables for, and what was found of each."""
    from agent.errors import UsageError

    found = {name: how for name in TABLES if (how := _trace(name))}
    if not providers:
        return list(found) or ["aws"], found or {"aws": "nothing found here; written anyway, to be filled in"}
    named = [name.strip() for name in providers.split(",") if name.strip()]
    if unknown := [name for name in named if name not in TABLES]:
        raise UsageError(f"no provider {', '.join(unknown)}", f"there are {', '.join(TABLES)}")
    return named, {name: found.get(name, "no credentials found here") for name in named}


def _trace(provider: str) -> str:
    """What in this environment speaks for a provider, without asking anybody; empty when nothing does."""
    if provider == "aws":
        for variable in (
            "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ):  # fmt: skip
            if os.environ.get(variable):
                return f"credentials in the environment (${variable})"
        files = [Path.home() / ".aws" / name for name in ("credentials", "config")]
        return next((f"credentials in {file}" for file in files if file.is_file()), "")
    if provider == "mlflow":
        return "tracking server in $MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else ""
    return ""
