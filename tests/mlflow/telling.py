"""A registry told poll by poll into a real ledger, and what follows from its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.collect import collect
from agent.facts import Context, StreamView
from agent.history import History
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Finding, Gap, Kind, Record, Scope, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings
from agent.world import World

START_MS = 1_800_000_000_000
MINUTE_MS = 60_000
SCOPE = Scope("mlflow:main", "mlflow:main")
EMPTY: Mapping[str, Any] = {}


def model(aliases: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Facts of a registered model (or prompt)."""
    return {
        "name": "m",
        "description": None,
        "tags": {},
        "aliases": dict(aliases or {}),
        "creation_timestamp": None,
        "last_updated_timestamp": None,
    }


def version(key: str, **given: Any) -> dict[str, Any]:
    """Facts of a version with this key."""
    name, _, number = key.rpartition("/")
    return {
        "kind": "model",
        "model": name,
        "version": number,
        "creation_timestamp": "2027-01-01T00:00:00Z",
        "last_updated_timestamp": None,
        "current_stage": "None",
        "status": "READY",
        "source": f"/models/{key}",
        "run_id": f"run{number}",
        "model_id": None,
        "tags": {},
        "description": None,
        "template_digest": None,
        **given,
    }


class Telling:
    """A ledger that grows; each sweep polls models first, then versions, ten seconds later, for one second each."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=START_MS)
        self.settings = {**Settings().rule_settings(), **settings}
        self.at_ms = START_MS

    def poll(
        self, stream: str, records: Mapping[str, Any] | Gap, *, broken: Gap | None = None, scope: Scope = SCOPE
    ) -> None:
        """One poll of one stream: records, or the gap by which it failed; `broken` makes it partial."""
        spec = discover().streams[stream]
        target = Target(stream, scope, spec.kind, spec.every_s, spec.collector)
        told: list[Record | Gap] = [] if isinstance(records, Gap) else [Record(k, f) for k, f in records.items()]
        told += [gap for gap in (broken, records) if isinstance(gap, Gap)]
        clock = iter((self.at_ms, self.at_ms, self.at_ms))
        snapshot = collect(
            target,
            replace(spec, look=lambda _opened, _window=None: iter(told)),
            _Nothing(),
            Redactor(b"k" * 32, discover().kept_tags),
            window=None if spec.kind is Kind.STATE else Window(0, self.at_ms),
            now=lambda: next(clock),
        )
        snapshot.dur_ms = 1_000
        self.ledger.declare([target], self.at_ms)
        self.ledger.append_poll(snapshot)

    def sweep(
        self,
        models: Mapping[str, Any] | None = None,
        versions: Mapping[str, Any] | None = None,
        *,
        prompts: Mapping[str, Any] = EMPTY,
        prompt_versions: Mapping[str, Any] = EMPTY,
        minutes: int = 15,
        **others: Mapping[str, Any],
    ) -> None:
        """All registry streams at one time, then `minutes` pass; a stream given as None is not polled."""
        if models is not None:
            self.poll("mlflow.registry.models", models)
            self.poll("mlflow.registry.prompts", prompts)
        self.at_ms += 10_000
        if versions is not None:
            self.poll("mlflow.registry.versions", versions)
            self.poll("mlflow.registry.prompt_versions", prompt_versions)
        for name, records in others.items():
            self.poll(f"mlflow.{name}", records)
        self.at_ms += minutes * MINUTE_MS - 10_000

    def derived(self, name: str) -> dict[str, Any]:
        """Key -> facts of a derived stream; a gap under the key `gap`."""
        (judging,) = self.ledger.judgings()
        world = World(self.ledger, self.ledger.head().size - 1, self.at_ms)

        def here(stream: str) -> StreamView:
            return world.view(stream, judging)

        context = Context(self.at_ms, self.settings, here, here, lambda stream: bool(world.rows(stream, None)))
        told = list(discover().derived[name].derive(History(world, judging), context))
        return {getattr(item, "key", None) or "gap": item if isinstance(item, Gap) else item.facts for item in told}

    def findings(self, check: str) -> dict[str, Finding]:
        """Judge, and the findings of one check by key."""
        judge(self.ledger, discover(), self.settings, self.at_ms)
        return {finding.key: finding for finding in findings(self.ledger, discover()) if finding.check == check}


class _Nothing:
    name = "mlflow"

    def scopes(self, per: str) -> list[Scope]:
        return [SCOPE]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Any) -> None:
        return None

    def close(self) -> None:
        return None
