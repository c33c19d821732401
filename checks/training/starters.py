"""Who started a job: a person or a registered service identity."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Verdict, failed, passed, undecided
from agent.registry import check, derived
from checks.joined.authors import is_generic
from checks.owners import current_person, people_known
from checks.registers import names
from checks.training.accounted import EVENTS, STARTS, STREAMS
from checks.training.population import JOBS, PROCESSING, RUNS, TRAINING, TRANSFORM, TUNING

STARTERS = "aws.sagemaker.starters"
_NUMBER = re.compile(r"[\d.-]+")
"""A session name that is only a number or a time."""
_SSO_ROLE = "/aws-reserved/sso.amazonaws.com/"


@derived(STARTERS, kind="state", of=(*STREAMS.values(), EVENTS))
def starters(history: History, ctx: Context) -> Iterator[Record]:
    """Principals that started jobs, each with the person or service identity it is.

    Key: ARN of the principal. `is`: `person`, `service` (registered), `named` (an identity of its own, and
    nothing says who works here), `generic`, `unregistered` or `nobody`.
    """
    del history
    told: set[str] = set()
    for start in ctx.here(STARTS):
        starter = start.get("starter")
        if starter is not None and starter["arn"] and starter["arn"] not in told:
            told.add(starter["arn"])
            kind, said = _resolved(starter, ctx)
            yield Record(starter["arn"], {"is": kind, "as": said})


@check("job-attributable", over=TRAINING)
@check("job-attributable", over=PROCESSING)
@check("job-attributable", over=TRANSFORM)
@check("job-attributable", over=TUNING)
def job_attributable(job: Facts, ctx: Context) -> Verdict:
    """Who started a job is known: a person or a registered service identity.

    Source: CloudTrail's create event of the job; of the child of a tuning job that of its parent. Service
    identities are those of the settings access.deployment_identities and access.ml_roles. Inventory.
    """
    start = ctx.here(STARTS).one(job.key)
    if start is None:
        return undecided(Reason.DEPENDENCY, "the job was not reconciled with the audit log")
    if start["accounted"] == "before":
        return undecided(Reason.DEPENDENCY, f"created {start['created_at']}; the audit log reaches to {start['reach']}")
    if start["accounted"] == "late":
        return undecided(Reason.UNDETERMINED, f"created {start['created_at']}; its create event may still come")
    if start["accounted"] == "no":
        return failed("no successful create event names the job", created=start["created_at"])
    starter = start["starter"]
    arn = starter["arn"] or starter["service"]
    via = " (its tuning job's)" if start["accounted"] == "parent" or start["parent"] else ""
    found = ctx.here(STARTERS).one(starter["arn"]) if starter["arn"] else None
    facts = {"principal": arn, "event": start["event"], "assurance": "system_recorded"}
    if found is None:
        return undecided(Reason.DEPENDENCY, f"started by {arn or 'a service'}, for whom is not told", **facts)
    said = f"started by {found['as']}{via}"
    if found["is"] in ("person", "service", "named"):
        return passed(said, **facts)
    if found["is"] == "nobody":
        return failed(f"{said}: neither a person nor a registered service identity", **facts)
    if found["is"] == "unregistered":
        return undecided(
            Reason.NOT_CONFIGURED,
            f"{said}: name the role under access.deployment_identities or access.ml_roles, or keep a people register",
            **facts,
        )
    return undecided(Reason.DEPENDENCY, f"{said}: the name says nothing about a person", **facts)


@check("job-attributable", over=JOBS)
@check("job-attributable", over=RUNS)
def job_attributable_by_its_own_word(job: Facts, ctx: Context) -> Verdict:
    """Who started a job is named, and not by a name that says nothing.

    Source: `started_by` of the job record, or the run's user: self-asserted. Inventory.
    """
    started_by = job["started_by"]
    principal = started_by["principal"] if started_by is not None else None
    if not principal:
        return undecided(Reason.DEPENDENCY, "nothing says who started the job", principal=None)
    facts = {"principal": principal, "assurance": started_by["assurance"]}
    if is_generic(principal):
        return undecided(Reason.DEPENDENCY, f"started by {principal}, a name that says nothing", **facts)
    if names(_services(ctx), principal):
        return passed(f"started by {principal}, a registered service identity", **facts)
    if not people_known(ctx):
        return passed(f"started by {principal}", **facts)
    if person := current_person(principal, ctx):
        return passed(f"started by {principal}: {person}", **facts)
    return undecided(Reason.DEPENDENCY, f"started by {principal}, whom no register or identity source knows", **facts)


def _resolved(starter: Facts, ctx: Context) -> tuple[str, str]:
    """What a principal of the audit log is, and in words who."""
    arn, session, role = starter["arn"], starter["session"], starter["role"]
    if starter["root"]:
        return "generic", f"the root user {arn}"
    for identity in (role, arn):
        if identity and names(_services(ctx), identity):
            return "service", str(identity)
    # a role is no person; of an IAM user or a federated one the last part of the ARN names it
    name = session if role else arn.rpartition("/")[2].rpartition(":")[2]
    if not name or is_generic(name) or _NUMBER.fullmatch(name):
        return "generic", f"session {name} of {role or arn}"
    if people_known(ctx):
        person = current_person(arn, ctx) or current_person(name, ctx)
        return ("person", f"{person} ({arn})") if person else ("nobody", arn)
    of_person = not role or "@" in name or _SSO_ROLE in role
    return ("named", arn) if of_person else ("unregistered", f"session {name} of {role}")


def _services(ctx: Context) -> list[str]:
    access = ctx.thresholds.get("access") or {}
    return [*(access.get("deployment_identities") or ()), *(access.get("ml_roles") or ())]
