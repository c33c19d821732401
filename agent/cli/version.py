"""`evidenced version`: what is installed, as an auditor would note it down."""

from __future__ import annotations

import platform

import typer

from agent import __version__
from agent.cli.out import Output, OutputOption, lines

EPILOG = """Examples:

evidenced version

evidenced version --output json
"""


def version(output: OutputOption = Output.text) -> None:
    """Show the version of product, rules and Python."""
    from agent.catalogue import load_catalogue
    from agent.cli.opened import emit
    from agent.registry import discover

    registry = discover()
    body = {
        "schema": "evidenced.version/1",
        "version": __version__,
        "catalogue": load_catalogue().digest,
        "checks": len(registry.checks),
        "streams": len(registry.streams),
        "plugins": dict(registry.plugins),
        "python": platform.python_version(),
    }
    if output is Output.json:
        emit(body)
    elif output is Output.jsonl:
        lines([body])
    else:
        typer.echo(f"evidenced {__version__}, catalogue {str(body['catalogue'])[:16]}, Python {body['python']}")
        typer.echo(f"{body['checks']} checks over {body['streams']} streams")
        for name, plugin in registry.plugins.items():
            typer.echo(f"plug-in {name}: {plugin}")
