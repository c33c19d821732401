"""How long buckets keep data: lifecycle rules against the retention that tags and the register demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.facts import Context, Facts
from agent.model import Json, Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.bucket_data import BUCKETS, datasets_in

_YEAR_DAYS = 365
_TAGS = ["retention", "retention_days", "retention_min_days", "retention_reason"]


@dataclass(frozen=True, slots=True)
class Demand:
    """How many days the objects below a prefix are kept, at most and at least."""

    said_by: str
    prefix: str
    most: int
    least: int


@check("lifecycle-matches", over=BUCKETS, tags=_TAGS)
def lifecycle_matches(bucket: Facts, ctx: Context) -> Verdict:
    """A bucket with a retention expires its objects by then, old versions too.

    Demanded by tag `retention_days` (`retention_min_days`: not before), or by the `retention_days` of
    datasets registered in the bucket; `retention=indefinite` needs a `retention_reason`. An Enabled
    lifecycle rule over the whole prefix, or an object retention of as many days, fulfils it; each of
    the two ages of a rule is compared for itself. Rules by date, tag or size are not counted.
    """
    tags = bucket["tags"]
    if (tags.get("retention") or "").casefold() == "indefinite":
        reason = tags.get("retention_reason")
        if reason:
            return inapplicable(f"kept without limit: {reason}", reason=reason)
        return failed("kept without limit, and no tag retention_reason says why")
    demands = [demand for demand in _demands(bucket, ctx)]
    wrong = [demand for demand in demands if isinstance(demand, str)]
    if wrong:
        return undecided(Reason.MALFORMED, f"no number of days: {', '.join(wrong)}")
    if not demands:
        return undecided(
            Reason.NOT_CONFIGURED, "unlabelled: no tag retention_days, and no data set registered in the bucket has one"
        )
    asked = [demand for demand in demands if isinstance(demand, Demand)]
    rules = [rule for rule in bucket.plain("lifecycle") or [] if rule.get("Status") == "Enabled"]
    versioned = bucket["versioning"]["Status"] is not None
    missed = [demand for demand in asked if not _fulfilled(demand, rules, versioned) and not _locked(demand, bucket)]
    facts = {
        "demanded": [{"by": demand.said_by, "most": demand.most, "least": demand.least} for demand in asked],
        "rules": [_told(rule) for rule in rules],
        "versioned": versioned,
    }
    if missed:
        spoken = "; ".join(f"{demand.most} days by {demand.said_by}" for demand in missed)
        return failed(f"no enabled rule keeps to the retention: {spoken}", **facts)
    return passed(f"kept {', '.join(sorted({f'{demand.most} days at most' for demand in asked}))}", **facts)


def _demands(bucket: Facts, ctx: Context) -> Iterator[Demand | str]:
    """What is demanded of the bucket; text where a number is none."""
    tags = bucket["tags"]
    least = tags.get("retention_min_days") or "0"
    if most := tags.get("retention_days"):
        yield _demand("tag retention_days", "", most, least)
    for row in datasets_in(bucket, ctx):
        if days := row.get("retention_days"):
            prefix = row["uri"].partition("://")[2].partition("/")[2]
            yield _demand(f"data set {row.get('name') or row.key}", prefix, days, "0")


def _demand(said_by: str, prefix: str, most: Json, least: Json) -> Demand | str:
    given = [str(value).strip() for value in (most, least)]
    if not all(text.isascii() and text.isdigit() for text in given):
        return f"{said_by} {most!r}"
    return Demand(said_by, prefix, int(given[0]), int(given[1]))


def _fulfilled(demand: Demand, rules: list[Mapping[str, Json]], versioned: bool) -> bool:
    """Whether enabled rules expire the objects in time; former versions only where there can be any."""
    over = [rule for rule in rules if _covers(rule, demand.prefix)]
    current = [(rule.get("Expiration") or {}).get("Days") for rule in over]
    former = [
        told.get("NoncurrentDays")
        for rule in over
        if (told := rule.get("NoncurrentVersionExpiration") or {}) and not told.get("NewerNoncurrentVersions")
    ]
    early = [days for days in current if days is not None and days < demand.least]
    in_time = _any_by(current, demand.most) and (not versioned or _any_by(former, demand.most))
    return in_time and not early


def _any_by(ages: list[int | None], most: int) -> bool:
    return any(days is not None and days <= most for days in ages)


def _covers(rule: Mapping[str, Json], prefix: str) -> bool:
    """Whether a rule is about every object below a prefix: it filters by a shorter prefix or not at all."""
    told = rule.get("Filter")
    if told is None:
        return prefix.startswith(rule.get("Prefix") or "")
    both = told.get("And") or {}
    if any(told.get(name) or both.get(name) for name in ("Tag", "Tags", *_SIZES)):
        return False
    return prefix.startswith(told.get("Prefix") or both.get("Prefix") or "")


_SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")


def _locked(demand: Demand, bucket: Facts) -> bool:
    """Whether the default object retention of the bucket is exactly what is demanded."""
    lock = bucket.plain("object_lock")
    told = ((lock or {}).get("Rule") or {}).get("DefaultRetention") or {}
    days = told.get("Days") or (told.get("Years") or 0) * _YEAR_DAYS
    return bool(days) and days == demand.most


def _told(rule: Mapping[str, Json]) -> dict[str, Json]:
    """What of a lifecycle rule the comparison used."""
    former = rule.get("NoncurrentVersionExpiration") or {}
    return {
        "id": rule.get("ID"),
        "days": (rule.get("Expiration") or {}).get("Days"),
        "noncurrent_days": former.get("NoncurrentDays"),
        "newer_kept": former.get("NewerNoncurrentVersions"),
    }
