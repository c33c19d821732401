"""Who may change what is in production, and who may both build and deploy models, in an AWS account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.aws.patterns import meets
from checks.aws.privileged import behind, exempted, is_human, of_person, row_for, unread_verdict
from checks.classes import in_production
from checks.registers import names

_S3 = re.compile(r"s3://([^/]+)/?(.*)")
_VERSIONS = "mlflow.registry.versions"


@derived("aws.access.model_places", kind="state", of=("aws.sagemaker.models",))
def model_places(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Buckets from which models of the account are loaded.

    Key: name of the bucket. Source: model data of SageMaker models, sources of versions in MLflow.
    """
    urls = [part["data_url"] for model in ctx.here("aws.sagemaker.models") for part in model.list("containers")]
    if ctx.configured(_VERSIONS):
        urls += [version["source"] for version in ctx.everywhere(_VERSIONS)]
    for bucket in sorted({found[1] for url in urls if url and (found := _S3.match(url))}):
        yield Record(bucket, {"bucket": bucket})


@check("env-prod-writers-limited", over="aws.access.principals")
def prod_writers_limited(principal: Facts, ctx: Context) -> Verdict:
    """Who may change production is a pipeline or a registered administrator.

    By the SageMaker actions that change an endpoint, and `s3:PutObject` on buckets that models are loaded
    from. Conditions and organisation guardrails are not evaluated. An account without a label counts as
    production.
    """
    if not ctx.thresholds["environments"]:
        return undecided(Reason.NOT_CONFIGURED, "no account has a label in scope.environments")
    if not in_production(principal, ctx):
        return inapplicable("the account is not production")
    if principal["service_linked"]:
        return inapplicable("service-linked role: only its service can take it")
    if names(ctx.thresholds["access"]["deployment_identities"], principal.key):
        return passed("a deployment identity")
    writes = list(principal.list("writes"))
    told: dict[str, Any] = {"writes": writes, "through": list(principal.list("through"))}
    if not writes:
        writes = told["writes"] = _puts(principal, ctx)
    if not writes and principal.list("unread"):
        return unread_verdict(principal.plain("unread"), "no right to change production models seen")
    if not writes:
        return passed("no right to change production models; conditions and guardrails not evaluated")
    said = f"may change production models by {', '.join(writes)}"
    missing, lost = _unregistered(principal, ctx)
    if missing:
        return failed(f"{said}; neither deployment identity nor in the register: {', '.join(missing)}", **told)
    if lost:
        return undecided(Reason.DEPENDENCY, f"{said}; not resolved: {', '.join(lost)}", **told)
    return passed(f"{said}; in privileged_access.csv", **told)


@check("sod-permission-overlap", over="aws.access.principals")
def sod_permission_overlap(principal: Facts, ctx: Context) -> Verdict:
    """No person may both build and deploy models in a production account.

    Rights through roles, and through other permission sets of the same person, count. Registered
    administrators and deployment identities are left out; with fewer than the set number of people who
    build or deploy the overlap is information, and `approver-not-author` carries the control.
    """
    if not in_production(principal, ctx):
        return inapplicable("the account is not production")
    if not is_human(principal, ctx):
        return inapplicable("no person")
    if names(ctx.thresholds["access"]["deployment_identities"], principal.key):
        return inapplicable("a deployment identity")
    build, deploy, lost = _both(principal, ctx)
    told = {"build": build, "deploy": deploy}
    if not (build and deploy):
        if principal.list("unread"):
            return unread_verdict(principal.plain("unread"), "rights to build and to deploy not both seen", **told)
        if lost:
            return undecided(Reason.DEPENDENCY, f"not resolved: {', '.join(lost)}", **told)
        return passed("not both rights to build and to deploy; conditions and guardrails not evaluated", **told)
    said = f"may build by {', '.join(build)} and deploy by {', '.join(deploy)}"
    missing, unknown = _unregistered(principal, ctx)
    if not missing and unknown:
        return undecided(Reason.DEPENDENCY, f"{said}; not resolved: {', '.join(unknown)}", **told)
    if not missing:
        return inapplicable(f"registered administrator; {said}", **told)
    limit = ctx.thresholds["small_team"]
    few = _fewer_than(limit, ctx)
    if few is not None:
        small = f"{few} people build or deploy, fewer than {limit}"
        return inapplicable(f"information: {said}; {small}, approver-not-author carries the control", **told)
    return failed(said, **told)


def _puts(principal: Facts, ctx: Context) -> list[str]:
    """Buckets of models that the principal may write to."""
    patterns = list(principal.list("puts"))
    if not patterns or not ctx.configured("aws.access.model_places"):
        return []
    partition = principal.key.split(":")[1]
    return [
        f"s3:PutObject on {place['bucket']}"
        for place in ctx.here("aws.access.model_places")
        if any(meets(pattern, f"arn:{partition}:s3:::{place['bucket']}/*") for pattern in patterns)
    ]


def _unregistered(principal: Facts, ctx: Context) -> tuple[list[str], list[str]]:
    """Who of the principal, or of the people behind it, is not in the register; and who is not known."""
    rows = exempted(ctx, principal.scope)
    if row_for(rows, principal.key, principal["name"]):
        return [], []
    if not principal["permission_set"]:
        return [principal["name"]], []
    people, lost = behind(principal, ctx)
    if lost and not people:
        return [], lost
    missing = [person["mail"] or person["name"] or person["id"] for person in people if not of_person(rows, person)]
    return missing, lost


def _both(principal: Facts, ctx: Context) -> tuple[list[str], list[str], list[str]]:
    """Actions to build and to deploy, of all permission sets of the people behind it; and what is not known."""
    build, deploy = set(principal.list("build")), set(principal.list("deploy"))
    lost: list[str] = []
    if principal["permission_set"] and bool(build) is not bool(deploy):
        people, lost = behind(principal, ctx)
        wanted = {person["id"] for person in people}
        for other in ctx.here("aws.access.principals"):
            more = other["permission_set"] and (other.list("build") or other.list("deploy"))
            if more and wanted & {person["id"] for person in behind(other, ctx)[0]}:
                build.update(other.list("build"))
                deploy.update(other.list("deploy"))
    return sorted(build), sorted(deploy), lost


def _fewer_than(limit: int, ctx: Context) -> int | None:
    """How many people may build or deploy, where they are known and fewer than the limit."""
    found: set[str] = set()
    for one in ctx.here("aws.access.principals"):
        if not (one.list("build") or one.list("deploy")) or not is_human(one, ctx):
            continue
        people, lost = behind(one, ctx) if one["permission_set"] else ([], list(one.list("people_from")))
        if lost:
            return None
        found.update([person["id"] for person in people] if one["permission_set"] else [one.key])
        if len(found) >= limit:
            return None
    return len(found)
