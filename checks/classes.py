"""Class of data and environment of a resource: as it is labelled, else the strictest reading.

Known classes, from the mildest on: public, internal, confidential, restricted. A check that asks here
declares the tags that it thereby reads: `@check(..., tags=["data_class"])`, or `tags=["environment"]`.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Context, Facts
from checks.registers import exempting

CLASSES = ("public", "internal", "confidential", "restricted")
"""Classes of data, the mildest first."""

STRICTEST = CLASSES[-1]

PRODUCTION = frozenset({"production", "prod", "live"})
"""Environments that are production, without regard to case."""


def data_class(holder: Facts, ctx: Context) -> str | None:
    """Class of the data in a resource: its tag `data_class`, its row in the assets register, or the default.

    A word that is no known class counts as restricted. None only where nothing labels the resource and
    the setting `default_data_class` is "". `Unseen` where its tags were not seen.
    """
    return _labelled(holder, ctx)[0]


def is_labelled(holder: Facts, ctx: Context) -> bool:
    """Whether a tag or the assets register gives the resource a class."""
    return _labelled(holder, ctx)[1] is not None


def class_in_words(holder: Facts, ctx: Context) -> str:
    """As `data_class`, for a message: says where no label, or an unknown one, stands behind it."""
    found, label = _labelled(holder, ctx)
    if found is None:
        return "unlabelled"
    if label is None:
        return f"{found} (unlabelled)"
    return found if label.casefold() == found else f"{found} (its label {label!r} is no known class)"


def environment(holder: Facts, ctx: Context) -> str | None:
    """Environment of a resource, case-folded: its tag `environment`, else that of its judging scope.

    The latter is of the setting `environments`, such as "aws:123456789012" -> "production". None where
    nothing says: it counts as production, see `in_production`.
    """
    said = _tag(holder, "environment")
    if not said:
        declared = ctx.thresholds.get("environments") or {}
        said = next((declared[name] for name in _scopes(holder.scope) if declared.get(name)), None)
    return said.strip().casefold() if said and said.strip() else None


def in_production(holder: Facts, ctx: Context) -> bool:
    """Whether a resource counts as production: by its label, or because it has none."""
    label = environment(holder, ctx)
    return label is None or label in PRODUCTION


def asset(holder: Facts, ctx: Context) -> Facts | None:
    """The row of the assets register about a resource; a row with a `retired_on` is none.

    Its id, name or location is the resource's key or name; that of a bucket may be written `s3://NAME`.
    """
    known = {holder.key, holder.seen("name", None)} - {None, ""}
    return next((row for row in assets(ctx) if known & asset_names(row)), None)


def assets(ctx: Context) -> Iterator[Facts]:
    """The rows of the assets register about what is not retired; none where nobody keeps it."""
    return (row for row in exempting(ctx, "assets") if not row.get("retired_on"))


def asset_names(row: Facts) -> set[str]:
    """What a row of the assets register calls its asset: id, name, location."""
    named = (row.get(column) for column in ("id", "name", "location"))
    return {name.removeprefix("s3://").rstrip("/") for name in named if name}


def _labelled(holder: Facts, ctx: Context) -> tuple[str | None, str | None]:
    """The class, and the label it is by (None: by default)."""
    label = _tag(holder, "data_class")
    if not label and (row := asset(holder, ctx)):
        label = row.get("data_class")
    label = label.strip() if label else None
    if not label:
        return ctx.thresholds.get("default_data_class", STRICTEST) or None, None
    return label.casefold() if label.casefold() in CLASSES else STRICTEST, label


def _tag(holder: Facts, name: str) -> str | None:
    """The value of a tag; None where the resource has no such tag, or no tags."""
    tags = holder["tags"]
    value = tags.get(name) if tags is not None else None
    return str(value) if value else None


def _scopes(scope: str) -> Iterator[str]:
    """A scope's name, and those of the wider ones around it: `aws:1:eu-west-1`, then `aws:1`."""
    while ":" in scope:
        yield scope
        scope = scope.rpartition(":")[0]
