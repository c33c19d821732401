"""Who approved a model package and who made it: from its own record and the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.clock import iso, parse_iso
from agent.facts import Context, Facts
from agent.history import History, Version
from agent.model import PollStatus, Record
from agent.registry import derived
from checks.aws.deployment import PACKAGES

APPROVALS = "aws.sagemaker.approvals"
EVENTS = "aws.cloudtrail.events"
APPROVED = "Approved"

_STARTS = {
    "CreateTrainingJob": "trainingJobArn",
    "CreateProcessingJob": "processingJobArn",
    "CreateTransformJob": "transformJobArn",
    "CreateHyperParameterTuningJob": "hyperParameterTuningJobArn",
}
"""Event that starts a job -> the member of its answer that names the job."""


@dataclass(frozen=True, slots=True)
class Change:
    """A successful call that set a package's approval status, or made the package."""

    at_ms: int
    status: str | None
    by: str | None


@dataclass(slots=True)
class Log:
    """What the audit log says of packages and jobs."""

    approvals: dict[str, list[Change]] = field(default_factory=dict)
    makers: dict[str, str] = field(default_factory=dict)
    """Package -> who made it."""
    starters: dict[str, str] = field(default_factory=dict)
    """Job -> who started it."""


@derived(APPROVALS, kind="state", of=(PACKAGES, EVENTS))
def approvals(history: History, ctx: Context) -> Iterator[Record]:
    """Every state of each model package's approval, and who made the package.

    The form of a state is that of the registry of MLflow: `by` (null: not approved), `on`, `not_before` and
    `not_after`, between which it came to be; a call in the audit log makes that a point in time. Without one,
    whoever changed the package last at the time stands for the approver.
    """
    log = _log(history)
    complete = [poll.asof_ms for poll in history.polls(PACKAGES) if poll.status is PollStatus.COMPLETE]
    known = iso(complete[-1]) if complete and complete[-1] is not None else None
    seen: dict[str, list[Version]] = {}
    for version in history.versions(PACKAGES):
        if version.facts is not None:
            seen.setdefault(version.key, []).append(version)
    for key, versions in sorted(seen.items()):
        states = _states(versions, log.approvals.get(key, []))
        newest = versions[-1].facts
        authors = _authors(key, newest, log) if newest else []
        yield Record(key, {"states": states, "known_until": known, "authors": authors})


def _log(history: History) -> Log:
    log = Log()
    for event in history.kept(EVENTS):
        if event.unseen_at("") or event["source"] != "sagemaker.amazonaws.com" or event["error"]:
            continue
        name, who, answer = event["name"], _caller(event["actor"]), event["response"]
        if name in _STARTS and (job := answer.get(_STARTS[name])) and who:
            log.starters[job] = who
        if name == "CreateModelPackage" and (made := answer.get("modelPackageArn")):
            if who:
                log.makers[made] = who
            _note(log, made, event, who)
        if name == "UpdateModelPackage":
            asked = event["request"]
            _note(log, asked.get("modelPackageArn") or asked.get("modelPackageName"), event, who)
    return log


def _note(log: Log, package: str | None, event: Facts, who: str | None) -> None:
    status = event["request"].get("modelApprovalStatus")
    if package and status:
        log.approvals.setdefault(package, []).append(Change(parse_iso(event["time"]), status, who))


def _caller(actor: Facts) -> str | None:
    """Who called: a role's session by its name, since that is where a person's name stands; else the ARN."""
    name = actor["session_name"] or actor["arn"] or actor["invoked_by"]
    return None if name is None else str(name)


def _states(versions: Sequence[Version], changes: Sequence[Change]) -> list[dict[str, Any]]:
    states: list[dict[str, Any]] = []
    for version in versions:
        facts = version.facts
        if facts is None:
            continue
        status = facts["approval_status"]
        if states and states[-1]["status"] == status:
            continue
        states.append(_state(status, facts, version, changes))
    return states


def _state(status: str | None, facts: Facts, version: Version, changes: Sequence[Change]) -> dict[str, Any]:
    made_ms, changed = parse_iso(facts["created"]), facts["modified"]
    earliest = max(made_ms, version.not_before_ms or 0)
    call = next(
        (change for change in sorted(changes, key=lambda change: -change.at_ms)
         if change.status == status and earliest - 1000 <= change.at_ms <= version.not_after_ms),
        None,
    )  # fmt: skip
    if call:
        at = iso(call.at_ms)
        told = {"by": call.by, "on": at, "source": "aws.cloudtrail", "not_before": at, "not_after": at}
    else:
        latest = version.not_after_ms
        if changed and earliest <= parse_iso(changed) <= latest:
            latest = parse_iso(changed)
        told = {
            "by": _named(facts["modified_by"]) or (None if changed else _named(facts["created_by"])),
            "on": iso(latest),
            "source": "aws.sagemaker",
            "not_before": iso(earliest),
            "not_after": iso(latest),
        }
    if status != APPROVED:
        told["by"] = told["on"] = None
    elif not told["by"]:
        told["by"] = ""
    return {"status": status, "ref": None, **told}


def _authors(key: str, package: Facts, log: Log) -> list[Mapping[str, str]]:
    """Who made the package, as far as each source says: the job behind it, the audit log, the package itself."""
    job = package["generated_by"]
    sources = {
        "starter of the job": log.starters.get(job) if job else None,
        "CreateModelPackage": log.makers.get(key),
        "CreatedBy": _named(package["created_by"]),
    }
    return [{"principal": name, "source": source} for source, name in sources.items() if name]


def _named(context: Facts | None) -> str | None:
    """Who a package says made or changed it: the Studio user, else the caller, a role's session by its name."""
    if context is None:
        return None
    principal = context["principal"]
    caller = principal.rpartition("/")[2] if principal and ":assumed-role/" in principal else principal
    named = context["profile"] or context["source_identity"] or caller
    return None if named is None else str(named)
