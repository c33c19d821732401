"""When a model or prompt version held production: read from how the registry changed between polls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.facts import Facts
from agent.history import History, Version

MODELS = {"model": "mlflow.registry.models", "prompt": "mlflow.registry.prompts"}
VERSIONS = {"model": "mlflow.registry.versions", "prompt": "mlflow.registry.prompt_versions"}
"""Kind -> the stream with the models (or prompts) themselves, and the one with their versions."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a version the one in production: any of these."""

    aliases: frozenset[str]
    stages: frozenset[str]
    tag: Mapping[str, str]
    prefix: str

    @classmethod
    def of(cls, configured: Mapping[str, Any]) -> Rules:
        """The rules as configured under `production`."""
        return cls(
            frozenset(configured.get("aliases") or ()),
            frozenset(configured.get("stages") or ()),
            dict(configured.get("tag") or {}),
            configured.get("registered_model_prefix") or "",
        )

    def by_version(self, version: Facts) -> set[str]:
        """By which rules a version holds production for what it is itself."""
        found = set()
        stage = version["current_stage"]
        if stage in self.stages:
            found.add(f"stage:{stage}")
        if self.tag and all(version["tags"].get(name) == value for name, value in self.tag.items()):
            found.add("tag:" + ",".join(sorted(self.tag)))
        if self.prefix and version.text("model").startswith(self.prefix):
            found.add(f"prefix:{self.prefix}")
        return found


STAGING = Rules(frozenset({"staging"}), frozenset({"Staging"}), {}, "")
"""What makes a version the one in staging; MLflow's own words, not configured."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A version begins or ceases to hold by one rule, in (not_before_ms, not_after_ms]."""

    kind: str
    model: str
    version: str
    how: str
    begins: bool
    seen: Version
    """The version of the record that showed it."""

    @property
    def key(self) -> str:
        """Key of the version's record."""
        return f"{self.model}/{self.version}"

    @property
    def at_baseline(self) -> bool:
        """Nothing earlier to compare with: it may have begun at any time before."""
        return self.seen.baseline or self.seen.not_before_ms is None


@dataclass(slots=True)
class Held:
    """A version that holds or held, and every time it began to."""

    kind: str
    model: str
    version: str
    begun: list[Turn] = field(default_factory=list)
    how_now: set[str] = field(default_factory=set)
    how_ever: set[str] = field(default_factory=set)


def held(history: History, rules: Rules) -> dict[str, Held]:
    """Every version that held by these rules at any time seen, by the key of its record."""
    found: dict[str, Held] = {}
    turns = [turn for kind in MODELS for turn in (*_by_alias(history, kind, rules), *_by_version(history, kind, rules))]
    for turn in sorted(turns, key=lambda turn: turn.seen.idx):
        one = found.setdefault(turn.key, Held(turn.kind, turn.model, turn.version))
        if not turn.begins:
            one.how_now.discard(turn.how)
            continue
        if not one.how_now:
            one.begun.append(turn)
        one.how_now.add(turn.how)
        one.how_ever.add(turn.how)
    return found


def last_seen(history: History, stream: str) -> dict[str, tuple[Facts, bool]]:
    """The newest facts of every record a stream ever showed, and whether it is still there."""
    found: dict[str, tuple[Facts, bool]] = {}
    for version in history.versions(stream):
        if version.facts is not None:
            found[version.key] = (version.facts, True)
        elif version.key in found:
            found[version.key] = (found[version.key][0], False)
    return found


def aliases_of(model: Facts) -> Mapping[str, str]:
    """Alias -> version, as the registry shows them."""
    return dict(model.plain("aliases"))


def _by_alias(history: History, kind: str, rules: Rules) -> Iterator[Turn]:
    before: dict[str, dict[str, str]] = {}
    for seen in history.versions(MODELS[kind]):
        aliases = {} if seen.facts is None else aliases_of(seen.facts)
        now = {alias: version for alias, version in aliases.items() if alias in rules.aliases}
        was = before.get(seen.key, {})
        before[seen.key] = now
        yield from (
            Turn(kind, seen.key, version, f"alias:{alias}", begins, seen)
            for begins, these, those in ((False, was, now), (True, now, was))
            for alias, version in sorted(these.items())
            if those.get(alias) != version
        )


def _by_version(history: History, kind: str, rules: Rules) -> Iterator[Turn]:
    before: dict[str, set[str]] = {}
    for seen in history.versions(VERSIONS[kind]):
        now = set() if seen.facts is None else rules.by_version(seen.facts)
        was = before.get(seen.key, set())
        before[seen.key] = now
        model, _, version = seen.key.rpartition("/")
        yield from (Turn(kind, model, version, how, False, seen) for how in sorted(was - now))
        yield from (Turn(kind, model, version, how, True, seen) for how in sorted(now - was))
