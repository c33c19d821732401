"""Streams derived from SageMaker's history: what production runs, promotions, numbers, where archives lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.clock import iso
from agent.facts import Context, Facts
from agent.history import History, Version
from agent.model import Gap, Reason, Record
from agent.registry import derived
from checks.aws.deployment import (
    COMPONENTS,
    ENDPOINTS,
    PACKAGES,
    Held,
    Holdings,
    Start,
    held_packages,
    runs_a_package,
    scope_in_production,
)

PRODUCTION = "aws.sagemaker.production"
PROMOTIONS = "aws.sagemaker.promotions"
NUMBERS = "aws.sagemaker.numbers"
ARCHIVES = "aws.sagemaker.archives"

_STAGES = frozenset({"staging", "production"})


@derived(PRODUCTION, kind="state", of=(ENDPOINTS, COMPONENTS, PACKAGES))
def production(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Model packages that production runs, or ran since the first poll."""
    found = held_packages(history, ctx)
    yield from _not_told(history, found, ctx)
    for package, held in sorted(found.packages.items()):
        yield Record(
            package,
            {
                "kind": "package",
                "package": package,
                **_group(package),
                "holds_now": bool(held.places),
                "places": sorted(held.places),
                "since": {**_interval(held.begun[-1]), "before_first_poll": held.begun[0].after_ms is None},
                "before": _before(package, held, found),
            },
        )


@derived(PROMOTIONS, kind="events", of=(ENDPOINTS, COMPONENTS, PACKAGES))
def promotions(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Model packages that production began to run after the first poll.

    A package that serves is in production whether or not it is approved: that is what is judged.
    """
    found = held_packages(history, ctx)
    yield from _not_told(history, found, ctx)
    starts = [start for held in found.packages.values() for start in held.begun if start.after_ms is not None]
    for start in sorted(starts, key=lambda start: (start.idx, start.package)):
        facts = {"kind": "package", "package": start.package, **_group(start.package), "how": f"runs on {start.place}"}
        yield Record(f"promotion:{start.package}:{start.idx}", {**facts, "interval": _interval(start)})


@derived(NUMBERS, kind="state", of=(PACKAGES, ENDPOINTS, COMPONENTS))
def numbers(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Version numbers of each model package group, those there and those gone."""
    found = held_packages(history, ctx)
    if found.unread:
        yield found.unread
    there: dict[str, dict[int, bool]] = {}
    important, first = set(found.packages), dict[str, int]()
    for seen in history.versions(PACKAGES):
        group, number = _group(seen.key)["group_arn"], _group(seen.key)["version"]
        if number is None:
            continue
        there.setdefault(group, {})[number] = seen.facts is not None
        if seen.facts is None:
            continue
        if _staged(seen.facts):
            important.add(seen.key)
        if seen.baseline or seen.not_before_ms is None:
            first[group] = max(first.get(group, 0), number)
    for group, versions in sorted(there.items()):
        deleted = sorted(number for number, is_there in versions.items() if not is_there)
        holes = sorted(set(range(min(versions), max(versions))) - set(versions))
        held = [number for number in deleted if f"{group}/{number}" in important]
        yield Record(
            group,
            {
                "group": _group(f"{group}/1")["group"],
                "lowest": min(versions),
                "highest": max(versions),
                "present": sorted(number for number, is_there in versions.items() if is_there),
                "deleted_after_production_or_staging": held,
                "deleted_others": [number for number in deleted if number not in held],
                "missing_at_first_poll": [number for number in holes if number < first.get(group, 0)],
                "never_seen": [number for number in holes if number >= first.get(group, 0)],
            },
        )


@derived(ARCHIVES, kind="state", of=(PACKAGES,))
def archives(history: History, ctx: Context) -> Iterator[Record]:
    """Model data to the packages that have them.

    Key: a place, or `etag:` and the digest.
    """
    del ctx
    found: dict[str, set[str]] = {}
    for package in history.now(PACKAGES):
        for container in package["containers"]:
            if container["data_url"]:
                found.setdefault(container["data_url"].rstrip("/"), set()).add(package.key)
            if container["data_etag"]:
                found.setdefault(f"etag:{container['data_etag']}", set()).add(package.key)
    for place, packages in sorted(found.items()):
        yield Record(place, {"packages": sorted(packages)})


def _not_told(history: History, found: Holdings, ctx: Context) -> Iterator[Gap]:
    """A gap where what runs is not known, or where packages exist and no endpoint anywhere runs one."""
    if found.unread:
        yield found.unread
    elif not found.packages and any(_may_be_produced(seen, ctx) for seen in history.versions(PACKAGES)):
        runners = (runner for stream in (ENDPOINTS, COMPONENTS) for runner in ctx.everywhere(stream))
        if not any(runs_a_package(runner, ctx) for runner in runners):
            yield Gap(Reason.NOT_CONFIGURED, code="no endpoint in production runs any of the model packages")


def _may_be_produced(seen: Version, ctx: Context) -> bool:
    """Whether a package lies in an account that is not declared to be of another environment."""
    return seen.facts is not None and scope_in_production(seen.facts.scope, ctx)


def _group(package: str) -> dict[str, Any]:
    """Group and version of a package by its ARN; both null for a package without a group."""
    head, _, name = package.partition(":model-package/")
    group, slash, number = name.rpartition("/")
    if not slash or not number.isdigit():
        return {"model": name, "group": None, "group_arn": None, "version": None}
    return {"model": group, "group": group, "group_arn": f"{head}:model-package/{group}", "version": int(number)}


def _interval(start: Start) -> dict[str, str | None]:
    after = None if start.after_ms is None else iso(start.after_ms)
    return {"not_before": after, "not_after": iso(start.by_ms)}


def _before(package: str, held: Held, found: Holdings) -> str | None:
    """The package of the same group that production ran before this one began to; None when none was seen."""
    group, since = _group(package)["group_arn"], held.begun[-1].idx
    others = [
        (start.idx, other)
        for other, those in found.packages.items()
        if other != package and group is not None and _group(other)["group_arn"] == group
        for start in those.begun
        if start.idx < since
    ]  # fmt: skip
    return max(others)[1] if others else None


def _staged(package: Facts) -> bool:
    life = package["life_cycle"]
    return life is not None and str(life["stage"]).casefold() in _STAGES
