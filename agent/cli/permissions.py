"""`evidenced permissions`: the least-privilege policy of a reader, from what the collectors declare."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

EPILOG = """Examples:

evidenced permissions aws > reader.json

evidenced permissions aws --format terraform --account management > evidence_reader.tf

Every action only reads. The policy of a member account is enough for all but the organisation itself and IAM Identity
Center, which the management account, or one it delegates to, can read. Streams that are switched off with --without
are left out, and so is their evidence.
"""


class Account(StrEnum):
    """Whose policy."""

    MEMBER = "member"
    MANAGEMENT = "management"


def permissions(
    provider: Annotated[str, typer.Argument(help="aws")],
    format: Annotated[str, typer.Option("--format", help="json, terraform or cloudformation.")] = "json",
    account: Annotated[Account, typer.Option("--account", help="The account that the role is for.")] = Account.MEMBER,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Leave out a collector or stream: aws.ecr …; may be repeated.")
    ] = None,
) -> None:
    """Print the policy that lets the agent read what it collects, and nothing else."""
    from agent.errors import UsageError
    from agent.registry import discover

    registry = discover()
    if provider not in registry.permissions:
        known = ", ".join(sorted(registry.permissions))
        raise UsageError(f"no policy is known for {provider}", f"known: {known}")
    streams = [spec for spec in registry.streams.values() if spec.provider == provider]
    for name in without or ():
        left = [spec for spec in streams if not f"{spec.name}.".startswith(f"{name}.")]
        if len(left) == len(streams):
            raise UsageError(f"no collector {name}", "evidenced doctor  lists them")
        streams = left
    typer.echo(registry.permissions[provider](streams, format, account is Account.MANAGEMENT))
