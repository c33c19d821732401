"""Who made a version that came to production, and whether its approver is somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check
from checks.aws.approvals import APPROVALS
from checks.aws.production import PROMOTIONS as PACKAGES_PROMOTED
from checks.joined.story import not_read_again, story
from checks.owners import current_person, people_known

MODELS_PROMOTED = "mlflow.registry.promotions"

GENERIC = frozenset(
    {
        "root", "ubuntu", "jovyan", "ec2-user", "sagemaker-user", "runner", "airflow", "unknown", "admin", "mlflow",
        "sagemaker", "githubactions", "default", "default-profile",
    }
)  # fmt: skip
"""Names that say nothing about a person: the clients' operating-system users, sessions of services."""

_MACHINE = re.compile(
    r"(botocore-session|aws-go-sdk|aws-sdk-\w+|aws-cli-\w+|pipelines-execution)-[\w-]*|i-[0-9a-f]{8,17}|[\w.-]+\.amazonaws\.com"
)
"""Session names that libraries, instances and services make up."""


@check("approver-not-author", over=MODELS_PROMOTED, tags=["approved_by", "approved_on", "mlflow.user"])
@check("approver-not-author", over=PACKAGES_PROMOTED)
def approver_not_author(promotion: Facts, ctx: Context) -> Verdict:
    """The one who approved a promoted version is not one of those who made it.

    Source: approval tags, or the approval of the package; the author chain: run, starter of the job,
    maker of the package. People are compared by the people register and the identity sources, else by name.
    """
    told = story(promotion, ctx)
    if isinstance(told, Verdict):
        return told
    approval = told.approver()
    if approval is None and not told.known():
        not_read_again(promotion, ctx)
    if approval is None:
        return undecided(Reason.DEPENDENCY, "nobody approved the version, so there is nobody to compare with")
    by = approval["by"]
    if not by:
        return undecided(Reason.DEPENDENCY, "who approved the version is not known")
    made = authors(promotion, ctx)
    facts = {"approver": by, "authors": made}
    if not made:
        return undecided(Reason.DEPENDENCY, f"approved by {by}; the author chain names nobody", **facts)
    other = not_the_same(by, made, ctx, facts)
    return other or passed(f"approved by {by}, made by {', '.join(made)}", **facts)


@check("author-attributable", over=MODELS_PROMOTED, tags=["mlflow.user"])
@check("author-attributable", over=PACKAGES_PROMOTED)
def author_attributable(promotion: Facts, ctx: Context) -> Verdict:
    """The author chain of a promoted version names a person.

    Source: starter of the run or job, maker of the package. Names that say nothing of a person are skipped.
    """
    made = authors(promotion, ctx)
    if made:
        return passed(f"made by {', '.join(made)}", authors=made)
    return undecided(Reason.DEPENDENCY, "the author chain ends without naming anybody", authors=[])


def authors(promotion: Facts, ctx: Context) -> list[str]:
    """Names of those who made a version, as each source gives them; empty where none names a person."""
    return sorted({name for name in _chain(promotion, ctx) if not is_generic(name)})


def is_generic(name: str) -> bool:
    """Whether a name says nothing about a person.

    >>> [is_generic(name) for name in ("Runner", "botocore-session-1700000000", "ada@example.com")]
    [True, True, False]
    """
    tail = name.strip().rpartition("/")[2]
    return not tail or tail.casefold() in GENERIC or bool(_MACHINE.fullmatch(tail))


def not_the_same(by: str, made: Iterable[str], ctx: Context, facts: Mapping[str, Any]) -> Verdict | None:
    """What follows where an approver is, or may be, one of the authors; None when he is not."""
    maybe = None
    for author in made:
        one, other = _person(by, ctx), _person(author, ctx)
        if one == other:
            return failed(f"approved by its own author, {by}", **facts)
        if _resolved(one) and _resolved(other):
            continue
        if _local(one) == _local(other):
            maybe = author
    if maybe is None:
        return None
    return undecided(Reason.UNDETERMINED, f"approver {by} and author {maybe} may be the same person", **facts)


def _chain(promotion: Facts, ctx: Context) -> list[str]:
    if promotion["kind"] == "package":
        made = ctx.everywhere(APPROVALS).one(promotion["package"])
        return [] if made is None else [author["principal"] for author in made["authors"]]
    if promotion["kind"] == "prompt":
        return []
    if "run_id" not in promotion:  # the version itself was never seen
        not_read_again(promotion, ctx)
        return []
    if not promotion["run_id"]:
        return []
    run = ctx.here("mlflow.tracking.source_runs").one(promotion["run_id"])
    run = run or ctx.here("mlflow.tracking.runs").one(promotion["run_id"])
    if run is None or run["lifecycle_stage"] == "gone":
        return []
    name = run["started_by"]["principal"]
    return [str(name)] if name else []


def _person(name: str, ctx: Context) -> str:
    """`person:` and the id of whom a name stands for; the name itself, its last part if it is an ARN, case folded."""
    tail = name.strip().rpartition("/")[2] if name.startswith("arn:") else name.strip()
    if people_known(ctx):
        for candidate in dict.fromkeys((name, tail)):
            if person := current_person(candidate, ctx):
                return f"person:{person.casefold()}"
    return tail.casefold()


def _resolved(person: str) -> bool:
    return person.startswith("person:")


def _local(person: str) -> str:
    return person.removeprefix("person:").partition("@")[0]
