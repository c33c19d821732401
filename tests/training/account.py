"""An account told poll by poll into a real ledger: jobs, audit events, endpoints, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.clock import iso
from agent.collect import collect
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Finding, Gap, Kind, Record, Scope, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings

NOW_MS = 1_800_000_000_000
DAY_MS, MINUTE_MS = 86_400_000, 60_000
SCOPE = Scope("aws:1:eu-west-1", "aws:1", {"account": "1", "region": "eu-west-1"})
ACCOUNT = Scope("aws:1", "aws:1", {"account": "1"})
JOBS = ("training", "processing", "transform", "tuning")
EVENTS = "aws.cloudtrail.events"
ADA = "arn:aws:iam::1:user/ada"


def arn(name: str, kind: str = "training") -> str:
    """ARN of a job of the account."""
    noun = "hyper-parameter-tuning" if kind == "tuning" else kind
    return f"arn:aws:sagemaker:eu-west-1:1:{noun}-job/{name.lower()}"


def job(name: str, ago_ms: int = DAY_MS, **given: Any) -> dict[str, Any]:
    """Facts of a job made so long before now."""
    return {
        "job_id": arn(name), "provider": "sagemaker", "kind": "training", "name": name, "group": None,
        "environment": "dev", "created_at": iso(NOW_MS - ago_ms), "status": "succeeded", "parent": None,
        "mlflow_run_id": None, "settled": True, "tags": {}, "params": {}, "network": {"private": False},
        "model_out": f"s3://out/{name}.tar.gz", "package_out": None, "inputs": [], **given,
    }  # fmt: skip


def created(name: str, ago_ms: int = DAY_MS, *, event: str = "CreateTrainingJob", **given: Any) -> dict[str, Any]:
    """Facts of the event that made a job so long before now."""
    noun = "hyperParameterTuningJob" if "Tuning" in event else "trainingJob"
    actor = {"type": "IAMUser", "arn": ADA, "session_name": None, "issuer_arn": None, "invoked_by": None, "root": False}
    return {
        "name": event, "source": "sagemaker.amazonaws.com", "time": iso(NOW_MS - ago_ms), "region": "eu-west-1",
        "account": "1", "error": None, "service_event": False, "resources": [],
        "request": {f"{noun}Name": name}, "response": {}, **given, "actor": actor | given.get("actor", {}),
    }  # fmt: skip


class Account:
    """A ledger with one account and one region."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=NOW_MS)
        self.settings = {**Settings().rule_settings(), **settings}

    def poll(
        self,
        stream: str,
        records: Mapping[str, Any] | Gap,
        *,
        broken: Gap | None = None,
        window: Window | None = None,
        scope: Scope = SCOPE,
        at_ms: int = NOW_MS,
    ) -> None:
        """One poll: records by key, or the gap by which it failed; `broken` makes it partial."""
        spec = discover().streams[stream]
        target = Target(stream, scope, spec.kind, spec.every_s, spec.collector)
        told: list[Record | Gap] = [] if isinstance(records, Gap) else [Record(k, f) for k, f in records.items()]
        told += [gap for gap in (broken, records) if isinstance(gap, Gap)]
        snapshot = collect(
            target,
            replace(spec, look=lambda _opened, _window=None: iter(told)),
            _Nothing(),
            Redactor(b"k" * 32, discover().kept_tags),
            window=None if spec.kind is Kind.STATE else window or Window(0, at_ms),
            now=lambda: at_ms,
        )
        self.ledger.declare([target], at_ms)
        self.ledger.append_poll(snapshot)

    def told(
        self, jobs: Mapping[str, Any], events: Mapping[str, Any] | Gap, *, since_ms: int = 90 * DAY_MS, **others: Any
    ) -> None:
        """All jobs and events at once; the audit log reaches back `since_ms`."""
        for kind in JOBS:
            of_kind = {arn(j["name"], kind): j for j in jobs.values() if j["kind"] == kind}
            self.poll(f"aws.sagemaker.{kind}_jobs", of_kind)
        self.poll(EVENTS, events, window=Window(NOW_MS - since_ms, NOW_MS))
        for name, records in others.items():
            self.poll(f"aws.sagemaker.{name}", records)

    def findings(self, check: str, at_ms: int = NOW_MS) -> dict[str, Finding]:
        """Judge, and the findings of one check by key."""
        judge(self.ledger, discover(), self.settings, at_ms)
        return {finding.key: finding for finding in findings(self.ledger, discover()) if finding.check == check}

    def reconciled(self) -> Finding:
        """The finding about the account's whole population."""
        (found,) = self.findings("job-population-reconciles").values()
        return found


class _Nothing:
    name = "aws"

    def scopes(self, per: str) -> list[Scope]:
        return [SCOPE]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Any) -> None:
        return None

    def close(self) -> None:
        return None
