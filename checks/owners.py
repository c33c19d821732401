"""Owners of resources: whether a name stands for somebody who is still there."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from checks.classes import CLASSES, asset

_REGISTER = "docs.registers.people"
_IDENTITIES = ("identity.google.users", "identity.okta.users")


def labels(resource: Facts, ctx: Context) -> Verdict:
    """Whether a resource has an owner who is still there and a known class, by tags or the assets register."""
    tags, row = resource["tags"], None
    told = {name: tags.get(name) for name in ("owner", "data_class")}
    if not all(told.values()):
        row = asset(resource, ctx)
        told = {name: value or (row.get(name) if row else None) for name, value in told.items()}
    missing = [name for name, value in told.items() if not value]
    if missing:
        return failed(f"no {' and no '.join(missing)}, as a tag or in the assets register", **told)
    if told["data_class"].strip().casefold() not in CLASSES:
        return failed(f"{told['data_class']!r} is no known class ({', '.join(CLASSES)})", **told)
    if not people_known(ctx):
        return undecided(
            Reason.NOT_CONFIGURED, f"whether owner {told['owner']} is a current person is not known: no people", **told
        )
    person = current_person(told["owner"], ctx)
    if person is None:
        return failed(f"owner {told['owner']} is no current person", **told)
    return passed(f"owned by {told['owner']}, class {told['data_class']}", person=person, **told)


def people_known(ctx: Context) -> bool:
    """Whether anything says who works here: a people register or an identity source."""
    return any(ctx.configured(stream) for stream in (_REGISTER, *_IDENTITIES))


def current_person(name: str, ctx: Context) -> str | None:
    """Id or mail of the person whom a name stands for (id, name, mail or alias, case ignored); None for nobody.

    Looks in the people register, where rows without a last day or with one to come count, and among the
    active accounts of the identity sources. `Unseen` where it finds none and a list is not whole.
    """
    wanted = name.strip().casefold()
    for stream in (_REGISTER, *_IDENTITIES):
        if ctx.configured(stream):
            for person in ctx.everywhere(stream):
                if wanted in _names(person) and _is_here(person, stream, ctx):
                    return str(person.get("mail") or person.get("id") or person.key)
    return None


def _names(person: Facts) -> set[str]:
    named = {person.get(column) for column in ("id", "name", "mail")}
    return {str(value).strip().casefold() for value in {*named, *_aliases(person)} if value}


def _aliases(person: Facts) -> Iterator[str]:
    for column in ("aliases", "identities"):
        held = person.get(column)
        yield from held.replace(";", " ").split() if isinstance(held, str) else held or ()


def _is_here(person: Facts, stream: str, ctx: Context) -> bool:
    if stream != _REGISTER:
        return bool(person["status"] == "active")
    until = person.get("end_date")
    return not until or parse_iso(f"{until}T23:59:59Z") >= ctx.now
