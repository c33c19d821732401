"""`evidenced key`: the signing key, told by its fingerprint."""

from __future__ import annotations

import typer

from agent.cli.out import Output, OutputOption, lines

EPILOG = """Examples:

evidenced key show

evidenced key show --output json
"""
app = typer.Typer(
    help="The key that signs the ledger and its bundles.", rich_markup_mode=None, no_args_is_help=True, epilog=EPILOG
)


@app.callback()
def group() -> None:
    """Keep `show` a verb of its own."""


@app.command("show", epilog=EPILOG)
def show(ctx: typer.Context, output: OutputOption = Output.text) -> None:
    """Print the fingerprint and the public key; the private key never leaves its file."""
    from agent.cli import opened
    from agent.ledger.sign import fingerprint, openssh_line, read_key

    file = opened.settings(ctx).ledger.key_file
    public = read_key(file).public_key
    body = {
        "schema": "evidenced.key/1",
        "fingerprint": fingerprint(public),
        "public_key": openssh_line(public, "evidenced"),
        "file": str(file),
    }
    if output is Output.json:
        opened.emit(body)
    elif output is Output.jsonl:
        lines([body])
    else:
        typer.echo(f"{body['fingerprint']}\n{body['public_key']}\nkept in {file}")
