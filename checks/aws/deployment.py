"""Which model packages SageMaker runs, and since when: read from how endpoints changed between polls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.history import History, Version
from agent.model import Gap
from checks.classes import PRODUCTION, in_production

ENDPOINTS = "aws.sagemaker.endpoints"
COMPONENTS = "aws.sagemaker.inference_components"
PACKAGES = "aws.sagemaker.model_packages"

SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"})
"""Statuses in which an endpoint, or an inference component, answers requests."""


@dataclass(frozen=True, slots=True)
class Start:
    """A package begins to be run somewhere, in (after_ms, by_ms]; `after_ms` None: before the first poll."""

    package: str
    place: str
    after_ms: int | None
    by_ms: int
    idx: int
    """Index of the poll that first showed it."""


@dataclass(slots=True)
class Held:
    """A package that production ran at some time seen."""

    begun: list[Start] = field(default_factory=list)
    """Each time it came to be run where nothing ran it before."""
    places: set[str] = field(default_factory=set)
    """Endpoints and components that run it now."""


@dataclass(slots=True)
class Holdings:
    """Every package that production ran, and what could not be read of its past."""

    packages: dict[str, Held] = field(default_factory=dict)
    unread: Gap | None = None
    """Why what some endpoint runs now is not known."""


def held_packages(history: History, ctx: Context) -> Holdings:
    """Every package that an endpoint in production ran at any time seen, by its ARN.

    An endpoint is in production unless it, or its account, is labelled otherwise (tag `environment`,
    setting `environments`). Where a poll could not tell what one ran, the last that could stands.
    """
    found = Holdings()
    running: dict[str, dict[str, int]] = {}
    unread: dict[str, Gap] = {}
    for seen in _in_order(history):
        gap = _hidden(seen.facts)
        if gap:
            unread[seen.key] = gap
            continue
        unread.pop(seen.key, None)
        now = {} if seen.facts is None else _packages_run(seen.facts, ctx)
        was = running.get(seen.key, {})
        running[seen.key] = now
        _note(found.packages, seen, was, now)
    found.unread = next(iter(unread.values()), None)
    return found


def see_all(ctx: Context) -> None:
    """Raise Unseen unless every endpoint and component was seen: else nobody knows what still runs."""
    for stream in (ENDPOINTS, COMPONENTS):
        for runner in ctx.here(stream):
            runner["status"]


def package_named(named: str, runner: str) -> str:
    """ARN of a package that a container names by ARN, or, without a group, by name; `runner` is its endpoint's ARN."""
    return named if named.startswith("arn:") else f"{runner.rpartition(':')[0]}:model-package/{named}"


def scope_in_production(scope: str, ctx: Context) -> bool:
    """Whether the account and region of a scope are of production: by the setting `environments`, or unlabelled."""
    declared = ctx.thresholds.get("environments") or {}
    label = declared.get(scope) or declared.get(scope.rpartition(":")[0])
    return not label or label.strip().casefold() in PRODUCTION


def runs_a_package(runner: Facts, ctx: Context) -> bool:
    """Whether an endpoint or component in production runs some model package."""
    return bool(_packages_run(runner, ctx))


def models_of(runner: Facts) -> Iterator[Facts]:
    """Models that answer requests of an endpoint (shadow variants left out) or of an inference component."""
    if "models" in runner:
        yield from (runner["models"][name] for name in runner["models"].names())
        return
    for variant in variants_of(runner):
        if not variant["shadow"]:
            yield from (variant["models"][name] for name in variant["models"].names())


def variants_of(endpoint: Facts) -> list[Facts]:
    """The variants of an endpoint, shadows included."""
    variants = endpoint["variants"]
    return [variants[name] for name in variants.names()]


def _in_order(history: History) -> list[Version]:
    seen = [version for stream in (ENDPOINTS, COMPONENTS) for version in history.versions(stream)]
    return sorted(seen, key=lambda version: version.idx)


def _hidden(runner: Facts | None) -> Gap | None:
    """Why it is not known what this runs, or whether in production."""
    if runner is None:
        return None
    parts = [runner.unseen_at("variants"), runner.unseen_at("models"), runner.unseen_at("tags")]
    return next((gap for gap in parts if gap and gap.code != "ValueNotKept"), None)


def _packages_run(runner: Facts, ctx: Context) -> dict[str, int]:
    """Package -> the time before which it cannot have been run here (ms): until then part of it was not made."""
    if runner["status"] not in SERVING or not in_production(runner, ctx):
        return {}
    config = runner.get("config")
    made = [runner["created"], config["created"] if config else None]
    found: dict[str, int] = {}
    for model in models_of(runner):
        since = max(parse_iso(time) for time in (*made, model["created"]) if time)
        for container in model["containers"]:
            if container["package"]:
                found[package_named(container["package"], runner.key)] = since
    return found


def _note(packages: dict[str, Held], seen: Version, was: dict[str, int], now: dict[str, int]) -> None:
    for package in sorted(was.keys() - now.keys()):
        packages[package].places.discard(seen.key)
    for package in sorted(now.keys() - was.keys()):
        held = packages.setdefault(package, Held())
        if not held.places:
            held.begun.append(_start(package, seen, now[package]))
        held.places.add(seen.key)


def _start(package: str, seen: Version, made_ms: int) -> Start:
    """The bounds: the polls', narrowed by when its parts were made and when the endpoint last changed."""
    since, by_ms = seen.not_before_ms, seen.not_after_ms
    changed_ms = parse_iso(seen.facts["modified"]) if seen.facts and seen.facts["modified"] else None
    if changed_ms is not None and (since is None or changed_ms > since):
        by_ms = min(by_ms, changed_ms)
    if seen.baseline or since is None:
        return Start(package, seen.key, None, by_ms, seen.idx)
    after_ms = max(since, made_ms)
    return Start(package, seen.key, after_ms, max(by_ms, after_ms), seen.idx)
