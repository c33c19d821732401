"""Where production versions and those before them lie, and how listings of those places changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.clock import iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Record
from agent.registry import derived
from checks.mlflow.holding import MODELS, VERSIONS

LOCATIONS = "artifacts.production.locations"
FOLDERS = "artifacts.listings.folders"
_OBJECTS = "aws.s3.artifacts"
_PRODUCTION = "mlflow.registry.production"
_NAMED = 10


@derived(LOCATIONS, kind="state", of=(*MODELS.values(), *VERSIONS.values()))
def locations(history: History, ctx: Context) -> Iterator[Record]:
    """Model versions in production: where each lies, and which one was before it.

    `previous` is the version of the same model that came to hold production last among those that hold
    it no more; null where there was none.
    """
    del history
    by_model: dict[str, list[Facts]] = defaultdict(list)
    for version in ctx.here(_PRODUCTION):
        if version["kind"] == "model":
            by_model[version["model"]].append(version)
    for model, versions in sorted(by_model.items()):
        former = [version for version in versions if not version["holds_now"]]
        last = max(former, key=_began, default=None)
        for version in versions:
            if version["holds_now"]:
                facts = {"model": model, "version": version["version"], "location": version["source"]}
                before = last and {"version": last["version"], "location": last["source"]}
                yield Record(version.key, {**facts, "previous": before})


@dataclass(slots=True)
class _Object:
    """One listed object: which poll first showed it and when, every ETag it had, whether it is there now."""

    first_idx: int
    first_ms: int
    etags: set[str] = field(default_factory=set)
    there: bool = True
    came_back: bool = False


@derived(FOLDERS, kind="state", of=(_OBJECTS,))
def folders(history: History, ctx: Context) -> Iterator[Record]:
    """Folders and objects below the listed prefixes, and how each changed.

    Keys are `BUCKET/PATH`. Compared with the listing that first showed the folder: `changed` had another
    ETag or was away at any time since, `gone` is not there now, `added` came later; at most ten names
    each. `seen_again`: whether there was a listing after the first one. `first_listed` is a time, RFC 3339
    in UTC.
    """
    del ctx
    below: dict[str, dict[str, _Object]] = defaultdict(dict)
    for place, one in _objects(history).items():
        for name in _above(place):
            below[name][place] = one
    last = max((poll.idx for poll in history.polls(_OBJECTS)), default=0)
    for name, held in sorted(below.items()):
        first = min(held.values(), key=lambda one: one.first_idx)
        original = {place: one for place, one in held.items() if one.first_idx == first.first_idx}
        changed = [place for place, one in original.items() if len(one.etags) > 1 or one.came_back]
        yield Record(
            name,
            {
                "objects": sum(one.there for one in held.values()),
                "first_listed": iso(first.first_ms),
                "seen_again": last > first.first_idx,
                "changed": sorted(changed)[:_NAMED],
                "gone": sorted(place for place, one in original.items() if not one.there)[:_NAMED],
                "added": sorted(place for place, one in held.items() if place not in original and one.there)[:_NAMED],
            },
        )


def _objects(history: History) -> dict[str, _Object]:
    """Every object ever listed, by `BUCKET/PATH`."""
    found: dict[str, _Object] = {}
    for seen in history.versions(_OBJECTS):
        one = found.setdefault(seen.key.partition(":::")[2], _Object(seen.idx, seen.not_after_ms))
        one.came_back |= not one.there and seen.facts is not None
        one.there = seen.facts is not None
        if seen.facts is not None:
            one.etags.add(seen.facts["etag"])
    return found


def _above(place: str) -> Iterator[str]:
    """A place and every folder above it, the bucket included."""
    while place:
        yield place
        place = place.rpartition("/")[0]


def _began(version: Facts) -> tuple[str, int]:
    """When a version came to hold production, then its number, for the order."""
    number = str(version["version"])
    return str(version["since"]["not_after"]), int(number) if number.isdigit() else 0
