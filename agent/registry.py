"""@stream, @check and @derived, and how they are found: no list to edit.

Every module below `collectors` and `checks` is imported, then the entry points of installed
third-party packages (`evidenced.plugins`), which are marked as such wherever they appear.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from agent.errors import UsageError
from agent.guard import attempt, place
from agent.model import Gap, Kind, Record, Verdict

_RULES = re.compile(r"^from (checks\.[\w.]+) import ", re.MULTILINE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A kind of thing that is observed, and the function that looks."""

    name: str
    kind: Kind
    per: str
    every_s: int
    needs: Mapping[str, str]
    """Operation -> permission. The injected client refuses any other operation."""
    look: Callable[..., Iterator[Any]]
    version: str
    volatile: tuple[str, ...]
    unordered: tuple[str, ...]
    tags: tuple[str, ...]
    """Pointers of tag maps: only tags that checks declare keep their values."""
    personal: bool
    after: tuple[str, ...]
    is_open: Callable[[Mapping[str, Any]], bool] | None
    plugin: str | None
    scanned: tuple[str, ...] = ()
    """Pointers of members that hold lists of text: searched for secrets, then replaced by counts and hits."""

    @property
    def provider(self) -> str:
        """First part of the name: the source that collects it."""
        return self.name.partition(".")[0]

    @property
    def service(self) -> str:
        """First two parts of the name, `aws.s3`."""
        return self.name.rpartition(".")[0]

    @property
    def collector(self) -> str:
        """What a poll line calls it, `aws.s3/1`."""
        return f"{self.service}/{self.version}"

    @property
    def title(self) -> str:
        """First line of the docstring."""
        return _title(self.look)


@dataclass(frozen=True, slots=True)
class DerivedSpec:
    """A stream computed from the ledger's history up to the judged poll."""

    name: str
    kind: Kind
    """`events`: the first definite status of each stays; `state`: judged anew each time."""
    of: tuple[str, ...]
    derive: Callable[..., Iterator[Record | Gap]]
    plugin: str | None

    @property
    def title(self) -> str:
        """First line of the docstring."""
        return _title(self.derive)

    @property
    def revision(self) -> str:
        """As of a check: the module, and what it imports, is part of every rule over the stream."""
        return _revision(self.derive.__module__)


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One automated rule over one stream; several with one id are one check."""

    id: str
    over: str | None
    once: str | None
    tags: tuple[str, ...]
    judge: Callable[..., Verdict]
    plugin: str | None

    @property
    def stream(self) -> str:
        """The stream it is over, or the one a `once` check is about."""
        return self.over or self.once or ""

    @property
    def title(self) -> str:
        """First line of the docstring."""
        return _title(self.judge)

    @property
    def revision(self) -> str:
        """16 hex digits over the source of the check's module and of modules of `checks` that it imports."""
        return _revision(self.judge.__module__)


@dataclass(slots=True)
class Registry:
    """Everything found, by name."""

    streams: dict[str, StreamSpec] = field(default_factory=dict)
    derived: dict[str, DerivedSpec] = field(default_factory=dict)
    checks: dict[str, tuple[CheckSpec, ...]] = field(default_factory=dict)
    sources: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """Provider -> function(settings, secrets) that gives a `Source`."""
    permissions: dict[str, Callable[[Sequence[StreamSpec], str, bool], str]] = field(default_factory=dict)
    """Provider -> function(streams, format, management) that writes the policy of a reader."""
    plugins: dict[str, str] = field(default_factory=dict)
    """Entry point -> distribution and version."""
    loading: str | None = None

    @property
    def kept_tags(self) -> frozenset[str]:
        """Union of the tags that checks declare."""
        return frozenset(tag for specs in self.checks.values() for spec in specs for tag in spec.tags)

    def checks_over(self, stream: str) -> Iterator[CheckSpec]:
        """The checks that judge each record of this stream."""
        return (spec for specs in self.checks.values() for spec in specs if spec.over == stream)

    def all_checks(self) -> Iterator[CheckSpec]:
        """Every implementation, by check id."""
        return (spec for name in sorted(self.checks) for spec in self.checks[name])


REGISTRY = Registry()


def seconds(text: str) -> int:
    """Seconds of `15m`, `1h`, `1d`; ValueError for anything else."""
    match = re.fullmatch(r"\s*(\d+)\s*(s|m|min|h|d)\s*", text)
    if not match or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no interval; write 15m, 6h or 1d")
    return int(match[1]) * _UNITS[match[2][0]]


def stream(
    name: str,
    *,
    kind: str = "state",
    per: str,
    every: str,
    needs: Mapping[str, str],
    version: str = "1",
    volatile: Sequence[str] = (),
    unordered: Sequence[str] = (),
    tags: Sequence[str] = (),
    personal: bool = False,
    after: Sequence[str] = (),
    is_open: Callable[[Mapping[str, Any]], bool] | None = None,
    scanned: Sequence[str] = (),
) -> Callable[[F], F]:
    """Declare a collector: a generator of `Record`, `Gap` and `AsOf`.

    It is given what its source opens for the scope; for `life` and `events` also the `Window`.
    `volatile` and `unordered` are JSON pointers, `*` standing for any one name or index; `scanned` are pointers
    of members of the record itself that hold text, line by line, of which only counts and hits are kept.
    """

    def register(function: F) -> F:
        spec = StreamSpec(
            name, Kind(kind), per, seconds(every), dict(needs), function, version, tuple(volatile), tuple(unordered),
            tuple(tags), personal, tuple(after), is_open, REGISTRY.loading, tuple(scanned),
        )  # fmt: skip
        _add(REGISTRY.streams, name, spec)
        return function

    return register


def derived(name: str, *, kind: str = "events", of: Sequence[str]) -> Callable[[F], F]:
    """Declare a derived stream: a generator of `Record` and `Gap`, given the `History` and the `Context`."""

    def register(function: F) -> F:
        _add(REGISTRY.derived, name, DerivedSpec(name, Kind(kind), tuple(of), function, REGISTRY.loading))
        return function

    return register


def check(id: str, *, over: str | None = None, once: str | None = None, tags: Sequence[str] = ()) -> Callable[[F], F]:
    """Declare a check: over each record of a stream, or once for a judging scope that has the stream."""
    if (over is None) == (once is None):
        raise ValueError(f"check {id}: give over= or once=, not both")

    def register(function: F) -> F:
        spec = CheckSpec(id, over, once, tuple(tags), function, REGISTRY.loading)
        known = REGISTRY.checks.get(id, ())
        if any(other.stream == spec.stream for other in known):
            raise ValueError(f"check {id} over {spec.stream} is declared twice")
        REGISTRY.checks[id] = (*known, spec)
        return function

    return register


def source(provider: str) -> Callable[[F], F]:
    """Declare how a provider's `Source` is made from its settings and the secrets."""

    def register(function: F) -> F:
        _add(REGISTRY.sources, provider, function)
        return function

    return register


def permissions(provider: str) -> Callable[[F], F]:
    """Declare how a provider's least-privilege policy is written from what streams need."""

    def register(function: F) -> F:
        _add(REGISTRY.permissions, provider, function)
        return function

    return register


@cache
def discover() -> Registry:
    """Import every collector, check and plug-in once; UsageError names what cannot be loaded."""
    for package in ("collectors", "checks"):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, package + "."):
            importlib.import_module(module.name)
    for point in entry_points(group="evidenced.plugins"):
        REGISTRY.loading = point.name
        REGISTRY.plugins[point.name] = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        _, error = attempt(point.load)
        REGISTRY.loading = None
        if error is not None:
            raise UsageError(f"plug-in {point.name} cannot be loaded: {place(error)}", "mend it, or uninstall it")
    for spec in REGISTRY.all_checks():
        if spec.stream not in REGISTRY.streams and spec.stream not in REGISTRY.derived:
            raise UsageError(f"check {spec.id}: there is no stream {spec.stream}")
    return REGISTRY


def _add(table: dict[str, Any], name: str, spec: Any) -> None:
    if name in table:
        raise ValueError(f"{name} is declared twice")
    table[name] = spec


def _title(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]


@cache
def _revision(module: str) -> str:
    """What a rule calls is part of the rule, in whichever module of `checks` it stands."""
    sources, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        if name not in sources:
            sources[name] = inspect.getsource(sys.modules[name])
            waiting += _RULES.findall(sources[name])
    return hashlib.sha256("".join(sources[name] for name in sorted(sources)).encode()).hexdigest()[:16]
