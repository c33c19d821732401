"""The command `evidenced`: global options, the verbs, and what every error becomes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import collect, controls, demo, doctor, export, findings, init, key, permissions, status, verify, version
from agent.cli import run as daemon
from agent.cli.out import Globals, LogFormat
from agent.errors import EvidencedError
from agent.guard import attempt

HELP = """Collect evidence for SOC 2 continuously, judge it, and export it so that an auditor can check it alone.

It says what was observed and which rule held. It gives no opinion.

Start with `evidenced doctor`, which needs no configuration, or `evidenced demo`, which needs no cloud.
"""
EPILOG = """Exit codes: 0 done; 1 unforeseen error; 2 usage or configuration; 3 a rule does not hold; 4 every shortfall
is a missing credential or permission; 5 incomplete; 6 integrity; 7 store. Treat any other as a failure.
"""

app = typer.Typer(
    name="evidenced",
    help=HELP,
    epilog=EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, verb, epilog in (
    ("init", init.init, init.EPILOG),
    ("doctor", doctor.doctor, doctor.EPILOG),
    ("collect", collect.collect, collect.EPILOG),
    ("run", daemon.run, daemon.EPILOG),
    ("status", status.status, status.EPILOG),
    ("findings", findings.findings, findings.EPILOG),
    ("export", export.export, export.EPILOG),
    ("verify", verify.verify, verify.EPILOG),
    ("permissions", permissions.permissions, permissions.EPILOG),
    ("demo", demo.demo, demo.EPILOG),
    ("version", version.version, version.EPILOG),
):
    app.command(name, epilog=epilog)(verb)
app.add_typer(controls.app, name="controls")
app.add_typer(key.app, name="key")


@app.callback()
def main(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration; default: ./evidenced.toml …")
    ] = None,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv: everything.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but the answer and errors.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; the same as NO_COLOR=1.")] = False,
    log_format: Annotated[LogFormat | None, typer.Option("--log-format", help="How the log is written.")] = None,
) -> None:
    """Take the options before the verb."""
    ctx.obj = Globals(config, verbose, quiet, not no_color, log_format)


def run() -> None:
    """The entry point: run the command line of this process and exit with its code."""
    sys.exit(answer(sys.argv[1:]))


def answer(arguments: list[str]) -> int:
    """Run one command line; the exit code comes back, errors are told on standard error."""

    def command() -> Any:
        code = app(args=arguments, prog_name="evidenced", standalone_mode=False)
        sys.stdout.flush()
        return code

    code: Any = 1
    error: Exception | None
    try:
        code, error = attempt(command)
    except KeyboardInterrupt:
        return 130
    except SystemExit as left:
        # how the libraries below answer a reader of our output that has gone
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        error = left.__context__
    if error is None:
        return code if isinstance(code, int) else 0
    return _told(error, loud=_loud(arguments))


def _told(error: Exception, *, loud: bool) -> int:
    """Say on standard error what went wrong, cause and next step; the exit code comes back."""
    if isinstance(error, EvidencedError):
        typer.echo(f"evidenced: {error.message}", err=True)
        if error.hint:
            typer.echo(f"next: {error.hint}", err=True)
        return error.exit_code
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        # keep the interpreter from saying so again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    show = getattr(error, "show", None)
    if callable(show):
        show()
        return int(getattr(error, "exit_code", 2))
    if loud:
        import traceback

        traceback.print_exception(error)
    typer.echo(f"evidenced: unforeseen error ({type(error).__name__}); this is a bug", err=True)
    if not loud:
        typer.echo("next: run again with -v before the verb for the traceback", err=True)
    return 1


def _loud(arguments: list[str]) -> bool:
    """Whether -v was given; read from the arguments, since the error may come before they are parsed."""
    return any(given == "--verbose" or (given.startswith("-v") and set(given[1:]) == {"v"}) for given in arguments)
