"""The vocabulary: what collectors yield, the ledger keeps and checks answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

Json = Any
"""A value of the evidence profile: dict, list, str, int, bool or None (never a float)."""


class Kind(StrEnum):
    """What absence from a poll means (design section 6)."""

    STATE = "state"
    """The whole list each poll; absent means gone."""
    LIFE = "life"
    """Jobs and runs: upserted by key, never gone."""
    EVENTS = "events"
    """Immutable events; windows must join without a hole."""
    DERIVED = "derived"
    """Computed from the ledger, never collected."""

    @property
    def number(self) -> int:
        """The number the store keeps for this kind."""
        return list(Kind).index(self)


class Status(StrEnum):
    """The four statuses of a finding; there is no fifth."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    NOT_EVALUATED = "not_evaluated"


class Reason(StrEnum):
    """Why something was not observed or not evaluated."""

    DENIED = "denied"
    NOT_CONFIGURED = "not_configured"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    PARTIAL = "partial"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    STALE = "stale"
    DEPENDENCY = "dependency"
    UNDETERMINED = "undetermined"
    CRASHED = "crashed"


class PollStatus(StrEnum):
    """How a poll ended."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def number(self) -> int:
        """The number the poll line carries."""
        return list(PollStatus).index(self)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something in scope that was not observed.

    Inside the facts of a record it is a facet that was not seen. Yielded by a collector with a
    key it is a resource that could not be described; without a key the listing itself broke.
    It holds nothing that varies from call to call, so that an unchanged gap is an unchanged byte.
    """

    reason: Reason
    op: str | None = None
    code: str | None = None
    need: str | None = None
    key: str | None = None

    @property
    def body(self) -> dict[str, str | None]:
        """What the ledger keeps of it."""
        return {"code": self.code, "need": self.need, "op": self.op, "reason": self.reason.value}

    @classmethod
    def of(cls, body: Mapping[str, Any], key: str | None = None) -> Gap:
        """The gap whose body was kept."""
        return cls(Reason(body["reason"]), body.get("op"), body.get("code"), body.get("need"), key)


class SourceError(Exception):
    """A call to a source that gave no answer; `gap` says why, without secrets."""

    def __init__(self, gap: Gap, detail: str = "") -> None:
        super().__init__(detail or f"{gap.op}: {gap.code or gap.reason.value}")
        self.gap = gap


@dataclass(frozen=True, slots=True)
class Record:
    """One resource as its source described it; `facts` may hold a `Gap` wherever a facet was not seen.

    The key is the provider's own stable id: 1 to 1,024 bytes of UTF-8 without control characters.
    """

    key: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AsOf:
    """Yielded by a collector whose source states when it observed (a credential report's own time)."""

    ms: int


@dataclass(frozen=True, slots=True)
class Reach:
    """Yielded by a collector whose source keeps only so much of the past: its window begins no earlier."""

    from_ms: int


@dataclass(frozen=True, slots=True)
class Window:
    """What a poll of a life or events stream has to read: [from_ms, to_ms), and what is still open."""

    from_ms: int
    to_ms: int
    open_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """One part of a source, `aws:123456789012:eu-west-1`, and the judging scope it belongs to."""

    name: str
    judging: str
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A stream in a scope, collected every `every_s` seconds. The ledger numbers it."""

    stream: str
    scope: Scope
    kind: Kind
    every_s: int
    collector: str
    """Collector and version, `aws.s3/1`."""

    @property
    def name(self) -> str:
        """`stream@scope`: unique, and what scope events bind to a number."""
        return f"{self.stream}@{self.scope.name}"


@dataclass(slots=True)
class Tape:
    """What a poll asked: written by the injected client, kept as the receipt."""

    identity: str | None = None
    endpoint: str | None = None
    operations: dict[str, Json] = field(default_factory=dict)
    """Operation -> the parameters it was first called with (resource names left out)."""
    calls: int = 0
    pages: int = 0
    rows: int = 0
    request_id: str | None = None
    skew_ms: int = 0
    """Provider's clock minus ours, from the first answer's Date header."""


class Source(Protocol):
    """A configured connection: it knows its scopes and opens them for collectors."""

    name: str
    """Provider, equal to the first part of its streams' names (`aws`)."""

    def scopes(self, per: str) -> Sequence[Scope]:
        """The scopes of this kind ("account", "region", "server" ...); raises SourceError."""
        ...

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> Any:
        """What a collector is given: it may only call the operations named in `needs`."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


@runtime_checkable
class Shared(Protocol):
    """What a source may have besides: accounts that refuse one by one, and a budget of calls."""

    blind: Mapping[str, Gap]
    """Judging scope -> why it could not name its own parts: their polls fail with this."""

    def begin(self, calls: int) -> None:
        """A sweep begins: forget refusals; this many calls were made in the 24 hours before."""
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One position of a poll, as bytes: a record's envelope or a gap document."""

    key: str
    digest: bytes
    size: int


class Documents(Protocol):
    """Where the bytes of a snapshot wait until the ledger takes those it does not have."""

    def __getitem__(self, digest: bytes) -> bytes:
        """Canonical bytes of a document of this snapshot."""
        ...

    @property
    def close(self) -> Callable[[], object]:
        """Give the space back."""
        ...


@dataclass(slots=True)
class Snapshot:
    """The outcome of polling one target once; what `Ledger.append_poll` takes."""

    target: Target
    status: PollStatus
    why: Reason | None
    slot_ms: int | None
    start_ms: int
    dur_ms: int
    asof_ms: int | None
    """When the source observed it; None exactly when the poll failed."""
    items: Sequence[Item]
    documents: Documents
    receipt: Json
    """The receipt document: what repeats from poll to poll, the breaking gap included."""
    tape: Tape
    gaps: int = 0
    """Facet gaps inside the records."""
    window: Window | None = None
    open_keys: frozenset[str] = frozenset()
    """life: records that the next poll has to read again."""
    unseen: Mapping[Gap, int] = field(default_factory=dict)
    """Each kind of gap met, facets included, and how often: what the operator is told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check's answer about one subject. Build it with `passed`, `failed`, `inapplicable`, `undecided`."""

    status: Status
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Only what the rule used, in the evidence profile: no age, no digest."""
    reason: Reason | None = None
    need: tuple[str, ...] = ()


def passed(message: str, **facts: Any) -> Verdict:
    """What the rule needs was seen and the rule holds."""
    return Verdict(Status.PASS, message, facts)


def failed(message: str, **facts: Any) -> Verdict:
    """Seen, and the rule does not hold."""
    return Verdict(Status.FAIL, message, facts)


def inapplicable(message: str, **facts: Any) -> Verdict:
    """The stated condition holds under which the rule does not apply."""
    return Verdict(Status.NOT_APPLICABLE, message, facts)


def undecided(reason: Reason, message: str, *, need: Sequence[str] = (), **facts: Any) -> Verdict:
    """The rule could not be judged; the engine makes most of these itself, from what was unseen."""
    return Verdict(Status.NOT_EVALUATED, message, facts, reason, tuple(need))


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict as the ledger keeps it, with its place: what readers get."""

    check: str
    key: str
    """Record key; for a `once` check the judging scope's name."""
    stream: str | None
    scope: str
    judging: str
    status: Status
    reason: Reason | None
    message: str
    facts: Mapping[str, Any]
    need: tuple[str, ...]
    observed_ms: int | None
    """`asof` of the judged record's poll; for others the time of the judged line."""
    evidence: tuple[int | None, int]
    """[poll index, judged index]."""
    digest: bytes | None = None
    """Of the finding document; None when the finding follows from `unseen`."""

    @property
    def body(self) -> dict[str, Any]:
        """The finding document (ledger.md 4.1)."""
        return finding_body(self.check, Verdict(self.status, self.message, self.facts, self.reason, self.need))


def finding_body(check: str, verdict: Verdict) -> dict[str, Any]:
    """The document of a finding: nothing in it changes unless the result does."""
    return {
        "check": check,
        "facts": dict(verdict.facts),
        "message": verdict.message,
        "need": sorted(verdict.need),
        "reason": verdict.reason.value if verdict.reason else None,
        "status": verdict.status.value,
        "v": 1,
    }


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll line as the ledger gives it back."""

    idx: int
    target_id: int
    slot_ms: int | None
    start_ms: int
    dur_ms: int
    asof_ms: int | None
    from_ms: int | None
    to_ms: int | None
    status: PollStatus
    why: Reason | None
    n: int
    gaps: int
    calls: int
    root: bytes | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record or gap document at its position, as of some index of the log."""

    key: str
    digest: bytes
    blob_id: int
    idx: int
    """Index of the poll that brought this version."""


def iter_pointers(value: Any, kind: type, at: str = "") -> Iterator[tuple[str, Any]]:
    """JSON pointer and value of each instance of `kind` inside facts (RFC 6901)."""
    if isinstance(value, kind):
        yield at, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from iter_pointers(inner, kind, f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from iter_pointers(inner, kind, f"{at}/{number}")
