"""The catalogue: criteria, the controls that serve them, and the checks each control takes."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

CATEGORIES = ("security", "availability", "confidentiality", "processing_integrity", "privacy")
SEVERITIES = ("critical", "high", "medium", "low")
"""Worst first."""
STATES = ("active", "planned")
TIERS = ("core", "staple", "ext", "imp")
"""What is built first: the company's own ground, what opens every auditor's list, further collectors, imports."""
CADENCES = ("hourly", "daily", "quarterly", "annual")


@dataclass(frozen=True, slots=True)
class Criterion:
    """A trust services criterion: its public id, our own short title, its category."""

    id: str
    title: str
    category: str


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """A check as one control takes it."""

    id: str
    state: str
    """`active`, or `planned`: not built yet, gives no finding."""
    tier: str
    severity: str
    """The control's, unless the check's line says otherwise."""
    sources: tuple[str, ...]
    """Collectors it can read (`all`: every one); it is the union of its implementations over those configured."""

    def reads(self, provider: str) -> bool:
        """Whether something of a provider (`aws`, `identity`), or of one of its services, is among its sources."""
        return any(source == "all" or f"{source}.".startswith(f"{provider}.") for source in self.sources)


@dataclass(frozen=True, slots=True)
class Control:
    """What an organisation may state it does, with what it maps to and the checks it takes."""

    id: str
    title: str
    statement: str
    criteria: tuple[str, ...]
    """Criteria it carries."""
    supporting: tuple[str, ...]
    """Criteria it is reported beside; alone it carries none of them."""
    severity: str
    cadence: str
    owner: str
    """A role, never a person."""
    population: str
    """What a Type II sample is drawn from."""
    remediation: str
    requirements: tuple[str, ...]
    checks: tuple[CheckEntry, ...]

    @property
    def active(self) -> tuple[CheckEntry, ...]:
        """Its checks that are built."""
        return tuple(check for check in self.checks if check.state == "active")


@dataclass(frozen=True)
class Catalogue:
    """All criteria and controls by id, in the order of ids."""

    criteria: Mapping[str, Criterion]
    controls: Mapping[str, Control]

    @cached_property
    def _takers(self) -> Mapping[str, tuple[Control, ...]]:
        takers: dict[str, tuple[Control, ...]] = {}
        for control in self.controls.values():
            for check in control.checks:
                takers[check.id] = (*takers.get(check.id, ()), control)
        return takers

    @property
    def check_ids(self) -> tuple[str, ...]:
        """Every check some control takes, planned ones included, sorted."""
        return tuple(sorted(self._takers))

    def controls_of(self, check_id: str) -> tuple[Control, ...]:
        """The controls that take a check; none for a check the catalogue does not know."""
        return self._takers.get(check_id, ())

    def criteria_of(self, check_id: str) -> tuple[str, ...]:
        """The criteria its controls carry, sorted, each once; supporting ones are left out."""
        return tuple(sorted({criterion for control in self.controls_of(check_id) for criterion in control.criteria}))

    def severity_of(self, check_id: str) -> str:
        """The worst severity a control gives the check; KeyError for a check no control takes."""
        entries = (check for control in self._takers[check_id] for check in control.checks)
        return min((entry.severity for entry in entries if entry.id == check_id), key=SEVERITIES.index)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the catalogue says; spacing, comments and file names do not touch it."""
        content = {
            "controls": {key: asdict(control) for key, control in self.controls.items()},
            "criteria": {key: asdict(criterion) for key, criterion in self.criteria.items()},
        }
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@cache
def load_catalogue(package: str = "checks") -> Catalogue:
    """The catalogue kept as TOML in a package: `criteria.toml` and `controls/*.toml`.

    Raises ValueError naming file and key where the data is wrong.
    """
    root = files(package)
    criteria = dict(sorted(_criteria(root / "criteria.toml")))
    controls: dict[str, Control] = {}
    states: dict[str, str] = {}
    for file in sorted((root / "controls").iterdir(), key=lambda found: found.name):
        if not file.name.endswith(".toml"):
            continue
        for control in _controls(file, criteria):
            where = f"controls/{file.name}: {control.id}"
            if control.id in controls:
                raise ValueError(f"{where}: id is already taken")
            controls[control.id] = control
            for check in control.checks:
                if states.setdefault(check.id, check.state) != check.state:
                    raise ValueError(f"{where}.checks.{check.id}.state: another control says {states[check.id]}")
    return Catalogue(criteria, dict(sorted(controls.items())))


def _read(file: Traversable, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as wrong:  # not TOML, or not UTF-8
        raise ValueError(f"{name}: {wrong}") from wrong


def _criteria(file: Traversable) -> Iterator[tuple[str, Criterion]]:
    seen: set[str] = set()
    for category, titles in _read(file, file.name).items():
        if category not in CATEGORIES:
            raise ValueError(f"{file.name}: {category}: unknown category")
        for key in _table(titles, f"{file.name}: {category}"):
            if key in seen:
                raise ValueError(f"{file.name}: {category}.{key}: id is already taken")
            seen.add(key)
            yield key, Criterion(key, _text(titles, key, f"{file.name}: {category}"), category)


def _controls(file: Traversable, criteria: Mapping[str, Criterion]) -> Iterator[Control]:
    name = f"controls/{file.name}"
    tables = _read(file, name)
    _keys(tables, name, must={"control"})
    if not isinstance(tables["control"], list):
        raise ValueError(f"{name}: control: must be an array of tables, [[control]]")
    for number, table in enumerate(tables["control"], start=1):
        key = _text(_table(table, f"{name}: control"), "id", f"{name}: control {number}")
        yield _control(table, f"{name}: {key}", criteria)


def _control(table: dict[str, Any], where: str, criteria: Mapping[str, Criterion]) -> Control:
    must = {field.name for field in fields(Control)} - {"supporting"}
    _keys(table, where, must, may={"supporting"})
    if not table["criteria"]:
        raise ValueError(f"{where}.criteria: names none")
    for part in ("criteria", "supporting"):
        for named in _texts(table, part, where):
            if named not in criteria:
                raise ValueError(f"{where}.{part}: unknown criterion {named}")
    if both := set(_texts(table, "criteria", where)) & set(_texts(table, "supporting", where)):
        raise ValueError(f"{where}.supporting: already carried: {', '.join(sorted(both))}")
    severity = _one_of(SEVERITIES, table, "severity", where)
    checks = _table(table["checks"], f"{where}.checks")
    return Control(
        id=table["id"],
        title=_text(table, "title", where),
        statement=_text(table, "statement", where),
        criteria=_texts(table, "criteria", where),
        supporting=_texts(table, "supporting", where),
        severity=severity,
        cadence=_one_of(CADENCES, table, "cadence", where),
        owner=_text(table, "owner", where),
        population=_text(table, "population", where),
        remediation=_text(table, "remediation", where),
        requirements=_texts(table, "requirements", where),
        checks=tuple(_check(key, entry, severity, f"{where}.checks.{key}") for key, entry in checks.items()),
    )


def _check(key: str, table: object, severity: str, where: str) -> CheckEntry:
    entry = _table(table, where)
    _keys(entry, where, must={"state", "tier", "sources"}, may={"severity"})
    if "severity" in entry:
        severity = _one_of(SEVERITIES, entry, "severity", where)
    state, tier = _one_of(STATES, entry, "state", where), _one_of(TIERS, entry, "tier", where)
    return CheckEntry(key, state, tier, severity, _texts(entry, "sources", where))


def _keys(table: Mapping[str, Any], where: str, must: Set[str], may: Set[str] = frozenset()) -> None:
    for key in sorted(table.keys() - must - may):
        raise ValueError(f"{where}: unknown key {key}")
    for key in sorted(must - table.keys()):
        raise ValueError(f"{where}: missing key {key}")


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: must be a table")
    return value


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    """One line of text: how the file wraps it is not part of what it says."""
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}.{key}: must be a text")
    return " ".join(value.split())


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{where}.{key}: must be a list of texts")
    if len(set(values)) != len(values):
        raise ValueError(f"{where}.{key}: names one twice")
    return tuple(values)


def _one_of(allowed: tuple[str, ...], table: Mapping[str, Any], key: str, where: str) -> str:
    value = _text(table, key, where)
    if value not in allowed:
        raise ValueError(f"{where}.{key}: {value} is none of {', '.join(allowed)}")
    return value
