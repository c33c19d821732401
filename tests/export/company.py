"""Ten invented days of a small company, written through the real ledger, with an oracle by hand.

Three targets: buckets and users of an account once a day, a model registry every six hours.

| day      | 1    | 2           | 3     | 4     | 5                | 6          | 7      | 8          | 9    | 10   |
|----------|------|-------------|-------|-------|------------------|------------|--------|------------|------|------|
| buckets  | seen | seen        | two   | two   | two mended       | three made | denied | three gone | away | seen |
|          |      |             | fails | fails |                  | and fails  |        |            |      |      |
| users    | seen | seen        | seen  | seen  | eve's MFA denied | seen       | seen   | seen       | away | seen |
| registry | 4    | 3, one lost | 4     | 4     | 4                | 4          | 4      | 4          | away | 4    |

Version 1 of churn is promoted on day 3 with an approval, version 2 on day 6 without one.
The bucket `=1+1 "ünï" <b>` fails from the first day to the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.canonical import canonical, digest
from agent.clock import DAY_MS, parse_iso
from agent.ledger import Ledger
from agent.model import (
    Gap,
    Item,
    Kind,
    PollStatus,
    Reason,
    Scope,
    Snapshot,
    Tape,
    Target,
    Verdict,
    failed,
    finding_body,
    inapplicable,
    passed,
    undecided,
)
from agent.registry import CheckSpec, DerivedSpec, Registry, StreamSpec

START_MS = parse_iso("2026-03-01T00:00:00Z")
HOUR_MS = 3_600_000
ACCOUNT = Scope("aws:111122223333", "aws:111122223333", {"account": "111122223333"})
SERVER = Scope("mlflow:main", "mlflow:main")
BUCKETS = Target("aws.s3.buckets", ACCOUNT, Kind.STATE, 86_400, "aws.s3/1")
USERS = Target("aws.iam.users", ACCOUNT, Kind.STATE, 86_400, "aws.iam/1")
MODELS = Target("mlflow.registry.models", SERVER, Kind.STATE, 21_600, "mlflow.registry/1")
FORMULA = '=1+1 "ünï" <b>'
RULES = canonical({"catalogue": "0", "checks": {"bucket-tls-only": "r1"}, "plugins": [], "thresholds": {}, "v": 1})


def tls_only(bucket: Any, ctx: Any) -> Verdict:
    """The bucket policy refuses plain requests."""
    raise NotImplementedError("findings are written by hand")


def registry() -> Registry:
    """Streams and checks of this company: real ids, so that the real catalogue applies."""
    found = Registry()
    for name, per, needs in (
        ("aws.s3.buckets", "account", {"ListBuckets": "s3:ListAllMyBuckets"}),
        ("aws.iam.users", "account", {"ListUsers": "iam:ListUsers"}),
        ("mlflow.registry.models", "server", {"search_registered_models": "READ"}),
    ):
        found.streams[name] = StreamSpec(
            name, Kind.STATE, per, 86_400, needs, tls_only, "1", (), (), (), False, (), None, None
        )  # fmt: skip
    for id, over, once in (
        ("bucket-tls-only", "aws.s3.buckets", None),
        ("bucket-encryption", "aws.s3.buckets", None),
        ("iam-console-mfa", "aws.iam.users", None),
        ("iam-root-locked", None, "aws.iam.users"),
        ("mlflow-auth-required", None, "mlflow.registry.models"),
        ("run-git-commit", "mlflow.tracking.runs", None),
        ("promotion-has-approval", "mlflow.registry.promotions", None),
    ):
        found.checks[id] = (CheckSpec(id, over, once, (), tls_only, None),)
    found.derived["mlflow.registry.promotions"] = DerivedSpec(
        "mlflow.registry.promotions", Kind.EVENTS, ("mlflow.registry.models",), tls_only, None
    )
    return found


class Company:
    """Writes the ten days."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.numbers: dict[str, int] = {}

    def live(self) -> None:
        """All ten days, sealed at the end of each."""
        ledger = self.ledger
        self.numbers = ledger.declare([BUCKETS, USERS, MODELS], START_MS)
        software = {"version": "0.1.0", "digest": "0" * 64, "python": "3.11.0", "plugins": {}}
        ledger.append_event("software", software, START_MS)
        ledger.append_event("start", {"host": "agent-01"}, START_MS)
        for day in range(1, 11):
            at_ms = START_MS + (day - 1) * DAY_MS
            if day == 9:
                continue
            if day == 10:
                ledger.append_event("outage", {"from": at_ms - DAY_MS, "to": at_ms, "why": "host stopped"}, at_ms)
            self._day(day, at_ms)
            ledger.seal(at_ms + 19 * HOUR_MS)

    def _day(self, day: int, at_ms: int) -> None:
        buckets = {name: {"name": name, "tags": {}} for name in bucket_names(day)}
        buckets = {name: {**facts, "tls": tls_of(name, day)} for name, facts in buckets.items()}
        if day == 7:
            gap = Gap(Reason.DENIED, "ListBuckets", "AccessDenied", "s3:ListAllMyBuckets")
            self._poll(BUCKETS, at_ms, at_ms + 4_000, None, gap)
        else:
            self._poll(BUCKETS, at_ms, at_ms + 4_000, buckets)
        self._poll(USERS, at_ms, at_ms + 60_000, {"adam": {"mfa": True}, "eve": {"mfa": None if day == 5 else True}})
        for number in range(4):
            slot = at_ms + number * 6 * HOUR_MS
            if day == 2 and number == 1:
                self._poll(MODELS, slot, slot + 5_000, None, Gap(Reason.UNREACHABLE, "search_registered_models"))
                continue
            self._poll(MODELS, slot, slot + 5_000, {"churn": {"name": "churn"}})
            if number == 0:
                self._judge(day, at_ms + 120_000)
        self._judge_server(day, at_ms + 18 * HOUR_MS + 60_000)

    def _poll(
        self, target: Target, slot_ms: int, start_ms: int, records: Mapping[str, Any] | None, gap: Gap | None = None
    ) -> None:
        documents = {
            key: canonical({"facts": facts, "gaps": {}, "redacted": ["/tags/owner"] if "tls" in facts else [], "v": 1})
            for key, facts in (records or {}).items()
        }
        items = [Item(key, digest(data), len(data)) for key, data in sorted(documents.items(), key=_bytes)]
        status = PollStatus.COMPLETE if records is not None else PollStatus.FAILED
        tape = Tape(calls=3, pages=1, rows=len(items), request_id=f"REQ-{start_ms}", skew_ms=-12)
        receipt = {
            "endpoint": "https://example.invalid", "gap": gap.body if gap else None,
            "identity": "arn:aws:sts::111122223333:assumed-role/evidence-reader/agent", "operations": {"List": {}},
            "patterns": "p1", "v": 1,
        }  # fmt: skip
        self.ledger.append_poll(
            Snapshot(
                target,
                status,
                gap.reason if gap else None,
                slot_ms,
                start_ms,
                900,
                start_ms if records is not None else None,
                items,
                {digest(data): data for data in documents.values()},
                receipt,
                tape,
            )  # fmt: skip
        )

    def _judge(self, day: int, at_ms: int) -> None:
        found: dict[str, bytes] = {}
        unseen = [self.numbers[BUCKETS.name]] if day == 7 else []
        if not unseen:
            for name in bucket_names(day):
                tls = tls_of(name, day)
                verdict = passed("plain requests are refused") if tls else failed("no statement refuses plain requests")
                self._put(found, BUCKETS, "bucket-tls-only", name, verdict)
                self._put(found, BUCKETS, "bucket-encryption", name, inapplicable("inherited from the provider: SSE"))
        self._put(found, USERS, "iam-console-mfa", "adam", passed("a device is enrolled"))
        eve = undecided(Reason.DENIED, "refused by ListMFADevices", need=["iam:ListMFADevices"])
        self._put(found, USERS, "iam-console-mfa", "eve", eve if day == 5 else passed("a device is enrolled"))
        self._put(found, None, "iam-root-locked", ACCOUNT.name, passed("no key, no recent use"))
        judging = next(number for number, name in self.ledger.judgings().items() if name == ACCOUNT.name)
        self.ledger.append_judged(judging, at_ms, self.ledger.head().size - 1, RULES, found, unseen)

    def _judge_server(self, day: int, at_ms: int) -> None:
        found: dict[str, bytes] = {}
        if day >= 3:
            self._put(found, None, "promotion-has-approval", "promotion:churn:1:20", passed("approved by dana before"))
        if day >= 6:
            self._put(found, None, "promotion-has-approval", "promotion:churn:2:50", failed("no approval was recorded"))
        self._put(found, None, "mlflow-auth-required", SERVER.name, failed("the server answers without credentials"))
        judging = next(number for number, name in self.ledger.judgings().items() if name == SERVER.name)
        self.ledger.append_judged(judging, at_ms, self.ledger.head().size - 1, RULES, found, [])

    def _put(self, found: dict[str, bytes], target: Target | None, check: str, key: str, verdict: Verdict) -> None:
        number = self.numbers[target.name] if target else 0
        found[f"{number}/{check}/{key}"] = canonical(finding_body(check, verdict))


def bucket_names(day: int) -> list[str]:
    """Buckets that exist on a day."""
    return ["one", "two", FORMULA, *(["three"] if 6 <= day <= 7 else [])]


def tls_of(name: str, day: int) -> bool:
    """Whether a bucket's policy refuses plain requests on a day."""
    if name == "two":
        return day not in (3, 4)
    return name == "one"


def company(folder: Path, *, demo: bool = False) -> Ledger:
    """A ledger that holds the ten days."""
    ledger = Ledger.open(
        f"sqlite:///{folder / 'ledger.db'}", folder / "signing_key", create=True, demo=demo, now_ms=START_MS
    )
    Company(ledger).live()
    return ledger


def _bytes(item: tuple[str, bytes]) -> bytes:
    return item[0].encode()
