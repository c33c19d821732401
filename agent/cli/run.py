"""`evidenced run`: the daemon."""

from __future__ import annotations

import typer

EPILOG = """Examples:

evidenced run

evidenced --config /etc/evidenced/evidenced.toml --log-format json run

Ends cleanly on SIGTERM (exit code 143) and SIGINT (130): what is under way is finished, the log is sealed.
"""


def run(ctx: typer.Context) -> None:
    """Collect on schedule until told to stop; every slot is accounted for."""
    from agent.cli import opened
    from agent.daemon import Daemon
    from agent.errors import MissingCredential, UsageError
    from agent.registry import discover
    from agent.sweep import connect, plan
    from agent.thrift import be_thrifty

    settings, registry = opened.settings(ctx), discover()
    sources = connect(registry, settings)
    if not sources:
        raise UsageError(
            "no collector is enabled", "enable one in the configuration, e.g. [collect.aws] enabled = true"
        )
    ledger = opened.ledger(settings, create=True, writing=True)
    made = plan(registry, settings, sources, ledger)
    if made.unreached and not made.targets:
        name = next(iter(made.unreached))
        raise MissingCredential(f"{name} could not be reached: {made.detail[name]}", "evidenced doctor  says more")
    be_thrifty()
    with opened.claims(settings) as claims:
        code = Daemon(
            ledger, registry, settings, made, opened.redactor(settings, registry), claims,
            replan=lambda: plan(registry, settings, sources, ledger),
        ).run()  # fmt: skip
    ledger.close()
    raise typer.Exit(code)
