"""Audit trail: every account is recorded, everywhere, without interruption."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.recorded import change_of
from checks.aws.trail_events import INTERRUPTIONS, SHADOWS, TRAILS

_READ, _WRITE = "read", "write"
_BOTH = frozenset({_READ, _WRITE})
_REGISTER_MS = 2 * DAY_MS
"""How long the register of changes may take to name a change: it is kept or imported by the day."""


@check("trail-active", once=TRAILS)
def active(ctx: Context) -> Verdict:
    """A trail records the account in all regions, with validation, and delivers.

    The account's own trail, or one of its organisation that is seen in the account it belongs to. Delivery
    within 24 hours is told by the day (UTC).
    """
    blind: list[Facts] = []
    faulty: list[str] = []
    elsewhere: list[str] = []
    for arn, trail in _covering(ctx):
        if trail is None:
            elsewhere.append(arn)
        elif trail.unseen_at("logging") or trail.unseen_at("selectors"):
            blind.append(trail)
        elif faults := _faults(trail):
            faulty.append(f"{trail['name']} ({trail['home_region']}): {', '.join(faults)}")
        else:
            return _recorded_by(trail)
    for trail in blind:
        _faults(trail)  # says that it was not seen
    if elsewhere:
        said = f"recorded by a trail that is at home where nothing is collected: {', '.join(elsewhere)}"
        return undecided(Reason.DEPENDENCY, said, trails=elsewhere)
    if faulty:
        return failed("; ".join(sorted(faulty)), trails=sorted(faulty))
    return failed("no trail records the account; list complete", trails=[])


@check("trail-interruptions", over=TRAILS)
def not_stopped(trail: Facts, ctx: Context) -> Verdict:
    """The trail was not stopped later than it was started."""
    start, stop = trail["logging"]["start"], trail["logging"]["stop"]
    told = {"start": start, "stop": stop}
    if start is None and stop is None:
        return inapplicable("it never logged; trail-active judges that", **told)
    if stop is not None and (start is None or parse_iso(stop) > parse_iso(start)):
        return failed(f"stopped at {stop} and not started since", **told)
    return passed(f"logging since {start}", **told)


@check("trail-interruptions", over=INTERRUPTIONS)
def explained(event: Facts, ctx: Context) -> Verdict:
    """Each call that stops or changes a trail has an approved change.

    It is a row of the register of changes that names the trail or the event's id, waited for until two
    days after the event.
    """
    names = [event.key, *_names_of(event["trail"])]
    told = {name: event[name] for name in ("name", "time", "region", "trail", "actor")}
    said = (
        f"{event['name']} of {event['trail'] or 'a trail'} by {event['actor'] or 'an unnamed caller'}, {event['time']}"
    )
    row = change_of(ctx, names, event["time"])
    if row is not None:
        return passed(f"{said}: change {row}", change=row, **told)
    until = parse_iso(event["time"]) + _REGISTER_MS
    if ctx.configured("docs.registers.changes") and ctx.now < until:
        return undecided(Reason.UNDETERMINED, f"{said}: no row of changes yet, waited for until {iso(until)}", **told)
    return failed(f"{said}: no approved row of changes names it", **told)


def _covering(ctx: Context) -> Iterator[tuple[str, Facts | None]]:
    """The trails that cover the account, its own first; None where the trail's own account or region is not seen."""
    known = set()
    for trail in ctx.here(TRAILS):
        known.add(trail.key)
        yield trail.key, trail
    for arn in sorted({shadow.key for shadow in ctx.here(SHADOWS)} - known):
        yield arn, ctx.everywhere(TRAILS).one(arn)


def _recorded_by(trail: Facts) -> Verdict:
    whose = f"organisation trail of {trail['owner']}" if trail["organization"] else "own trail"
    excluded = sorted({source for selector in trail["selectors"].list("basic") for source in selector.list("excluded")})
    excluded += sorted({source for one in trail["selectors"].list("advanced") for source in _left_out(one)})
    but = f"; left out: {', '.join(excluded)}" if excluded else ""
    return passed(f"recorded by {trail['name']}, {whose}{but}", trail=trail.key, left_out=excluded)


def _faults(trail: Facts) -> list[str]:
    """What keeps a trail from being the record that is asked for."""
    flags = {
        "multi_region": "not of all regions",
        "global_events": "without global services",
        "validation": "without log file validation",
    }
    faults = [said for name, said in flags.items() if trail[name] is not True]
    logging = trail["logging"]
    if logging["is_logging"] is not True:
        faults.append("not logging")
    if logging["latest_delivery_error"]:
        faults.append(f"delivery fails ({logging['latest_delivery_error']})")
    delivered = logging["latest_delivery"]
    if delivered is None:
        faults.append("has not delivered anything")
    elif parse_iso(f"{delivered}T00:00:00Z") // DAY_MS < trail.observed_ms // DAY_MS - 1:
        faults.append(f"delivered last on {delivered}")
    lacking = sorted(_BOTH - _recorded(trail["selectors"]))
    return faults + ([f"management events not selected: {' and '.join(lacking)}"] if lacking else [])


def _recorded(selectors: Facts) -> frozenset[str]:
    """Which management events the selectors take, all together: reads, writes or both."""
    kinds: set[str] = set()
    for selector in selectors.list("basic"):
        if selector["management"]:
            kinds |= {"ReadOnly": {_READ}, "WriteOnly": {_WRITE}}.get(selector["read_write"], _BOTH)
    for selector in selectors.list("advanced"):
        kinds |= _taken(selector)
    return frozenset(kinds)


def _taken(selector: Facts) -> frozenset[str]:
    """What an advanced selector takes; one that narrows by anything but single services takes no kind whole."""
    kinds, category = _BOTH, False
    for field in selector.list("fields"):
        name, equals = field["field"], [value.casefold() for value in field.list("equals")]
        if name == "eventCategory":
            category = "management" in equals
        elif name == "readOnly" and equals:
            kinds &= frozenset({_READ if value == "true" else _WRITE for value in equals})
        elif name != "eventSource" or equals or not field.list("not_equals"):
            return frozenset()
    return kinds if category else frozenset()


def _left_out(selector: Facts) -> Iterator[str]:
    if _taken(selector):
        for field in selector.list("fields"):
            if field["field"] == "eventSource":
                yield from field.list("not_equals")


def _names_of(trail: str | None) -> list[str]:
    """A trail is named by its ARN or by its name."""
    return [trail, trail.rpartition("/")[2]] if trail else []
