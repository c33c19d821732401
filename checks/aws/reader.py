"""The agent's own identity in AWS: it may read what collectors declare, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check, discover
from checks.aws.policy import members, statements

_READS = re.compile(r"(?i)[\w-]+:(batchget|check|describe|get|list|lookup|query|scan|search|select|view)")
_DATA = frozenset(
    {
        "athena:getqueryresults",
        "dynamodb:batchgetitem",
        "dynamodb:getitem",
        "dynamodb:query",
        "dynamodb:scan",
        "kms:decrypt",
        "logs:getlogevents",
        "s3:getobject",
        "secretsmanager:batchgetsecretvalue",
        "secretsmanager:getsecretvalue",
        "ssm:getparameter",
        "ssm:getparameters",
        "ssm:getparametersbypath",
    }
)
"""Reads of data and secrets, whatever their verb."""

_ALWAYS = frozenset({"sts:getcalleridentity"})
"""Allowed to everybody, declared or not."""


@check("agent-identity-read-only", over="aws.iam.caller")
def identity_reads_only(caller: Facts, ctx: Context) -> Verdict:
    """The agent's identity may do only what its collectors declare.

    Source: the texts of its own, its groups' and its attached policies. An action pattern of an Allow that
    no collector declares is surplus, `NotAction` is all of it; what an unconditional Deny names word for word
    is taken away. Permission boundaries and organisation guardrails are not counted on.
    """
    kind, name = caller["kind"], caller["name"]
    if kind not in ("role", "user"):
        return failed(f"the agent signs in as {kind}, which may do everything", kind=kind)
    stream = "aws.iam.roles" if kind == "role" else "aws.iam.users"
    holder = next((one for one in ctx.here(stream) if one["name"] == name), None)
    if holder is None:
        return undecided(Reason.DEPENDENCY, f"{kind} {name} is not among those listed", kind=kind, name=name)
    texts, unread = _policies(holder, kind, ctx)
    surplus = sorted({action for text in texts.values() for action in _surplus(text, _denied(texts.values()))})
    writes = [action for action in surplus if not _READS.match(action) or action.lower() in _DATA or _wide(action)]
    facts = {"identity": f"{kind}/{name}", "policies": sorted(texts), "surplus": surplus}
    if writes:
        return failed(f"{kind} {name} may change things or read data: {_some(writes)}", **facts)
    if surplus:
        return failed(f"{kind} {name} may read more than is collected: {_some(surplus)}", **facts)
    if unread:
        return undecided(Reason.DEPENDENCY, f"text not collected of {', '.join(unread)}", unread=unread, **facts)
    return passed(f"{kind} {name} may do what collectors declare, and nothing else", **facts)


def _policies(holder: Facts, kind: str, ctx: Context) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """Texts of every policy of an identity, by name, and those whose text is not known."""
    texts, unread = dict(holder.plain("inline")), []
    attached = list(holder.list("attached"))
    for group in holder.list("groups") if kind == "user" else ():
        one = next((each for each in ctx.here("aws.iam.groups") if each["name"] == group), None)
        if one is None:
            unread.append(f"group {group}")
        else:
            texts |= {f"{group}/{name}": text for name, text in one.plain("inline").items()}
            attached += one.list("attached")
    for arn in attached:
        stream = "aws.iam.managed_policies" if arn.split(":")[4] == "aws" else "aws.iam.policies"
        policy = ctx.here(stream).one(arn)
        if policy is None:
            unread.append(arn)
        else:
            texts[arn] = policy.plain("document")
    return texts, unread


def _surplus(text: Mapping[str, Any], denied: frozenset[str]) -> Iterator[str]:
    """Action patterns that a document allows and no collector declares."""
    for statement in statements(text, "Allow"):
        if "NotAction" in statement:
            yield "*"
        for action in members(statement.get("Action")):
            if str(action).lower() not in _declared() | denied | _ALWAYS:
                yield str(action)


def _denied(texts: Any) -> frozenset[str]:
    """Actions that a document denies without a condition, on everything, word for word."""
    return frozenset(
        str(action).lower()
        for text in texts
        for statement in statements(text, "Deny")
        if not statement.get("Condition") and "*" in members(statement.get("Resource"))
        for action in members(statement.get("Action"))
    )


@cache
def _declared() -> frozenset[str]:
    """What the collectors of AWS declare, in small letters; to take a role is the giver's right."""
    needs = (spec.needs for spec in discover().streams.values() if spec.provider == "aws")
    return frozenset(action.lower() for need in needs for action in need.values()) | {"ec2:describeregions"}


def _wide(action: str) -> bool:
    """Whether a pattern may be about more than reading: a wildcard right after the service, or before it."""
    return action.partition(":")[2][:1] in ("", "*", "?") or "*" in action.partition(":")[0]


def _some(actions: list[str]) -> str:
    shown = ", ".join(actions[:8])
    return f"{shown} and {len(actions) - 8} more" if len(actions) > 8 else shown
