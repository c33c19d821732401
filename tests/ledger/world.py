"""A small world of targets for ledger tests: snapshots made by hand, with the bytes they need."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from agent.canonical import canonical, digest
from agent.ledger import Ledger
from agent.model import Item, Kind, PollStatus, Reason, Scope, Snapshot, Tape, Target, Window

HOUR = 3_600_000
START = 1_760_000_000_000


class Documents(dict[bytes, bytes]):
    """Documents of a snapshot, in memory."""

    def add(self, value: Any) -> Item:
        data = canonical(value)
        self[digest(data)] = data
        return Item("", digest(data), len(data))


def target(name: str, kind: str = "state", judging: str = "aws:1", every_s: int = 3600, version: str = "1") -> Target:
    scope = Scope(f"{judging}:eu-west-1", judging, {"account": judging})
    return Target(name, scope, Kind(kind), every_s, f"{name.rpartition('.')[0]}/{version}")


def record(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"facts": dict(facts), "gaps": {}, "redacted": [], "v": 1}


def snapshot(
    of: Target,
    records: Mapping[str, Any],
    at_ms: int,
    *,
    slot_ms: int | None = None,
    status: str = "complete",
    why: str | None = None,
    window: Window | None = None,
    gap_keys: Sequence[str] = (),
    req: str | None = "0f8fad5b-d9cb-469f-a165-70867728950e",
    skew: int = -12,
    gap: dict[str, Any] | None = None,
) -> Snapshot:
    documents = Documents()
    items = []
    for key, value in records.items():
        item = documents.add(record({"value": value}))
        items.append(Item(key, item.digest, item.size))
    for key in gap_keys:
        item = documents.add({"gap": {"code": None, "need": None, "op": "Describe", "reason": "denied"}, "v": 1})
        items.append(Item(key, item.digest, item.size))
    failed = status == "failed"
    return Snapshot(
        target=of,
        status=PollStatus(status),
        why=Reason(why) if why else None,
        slot_ms=slot_ms,
        start_ms=at_ms,
        dur_ms=1200,
        asof_ms=None if failed else at_ms,
        items=() if failed else tuple(sorted(items, key=lambda item: item.key.encode())),
        documents=documents,
        receipt={"endpoint": None, "gap": gap, "identity": "arn:aws:sts::1:role", "operations": {}, "v": 1},
        tape=Tape(calls=3, pages=1, rows=len(items), request_id=req, skew_ms=skew),
        window=window,
    )


def open_at(folder: Any, *, create: bool = False, name: str = "ledger.db") -> Ledger:
    return Ledger.open(f"sqlite:///{folder / name}", folder / "ledger.key", create=create, now_ms=START)


BUCKETS = target("aws.s3.buckets")
JOBS = target("aws.sagemaker.jobs", "life")
TRAIL = target("aws.cloudtrail.events", "events")
MODELS = target("mlflow.registry.models", judging="mlflow:main", every_s=86_400)
ALL = (BUCKETS, JOBS, TRAIL, MODELS)
RULES = canonical({"checks": {"named": "1"}, "v": 1})
BROKEN = {"code": "Throttling", "need": None, "op": "ListBuckets", "reason": "throttled"}
UNTOLD = {"code": None, "need": None, "op": None, "reason": "partial"}


class World:
    """Appends whatever the dice say, and knows what the ledger has to hold after it."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.dice = random.Random(seed)
        self.now = START + 1_000
        self.numbers = ledger.declare(ALL, self.now)
        self.records: dict[str, dict[str, Any]] = {one.name: {} for one in ALL}
        self.kept: dict[int, dict[str, bytes]] = {}
        """Tree -> key -> digest that has to stand now."""
        self.events: dict[str, int] = {}
        """Key of an event -> the poll that has to hold it."""
        self.past: list[tuple[int, dict[int, dict[str, bytes]]]] = []
        """(index, what stood after it), now and then."""
        self.polls: dict[int, tuple[int, str]] = {}
        self.upto: dict[int, int] = {}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        self.now += self.dice.randrange(1, 2 * HOUR)
        weights = {
            self.state_poll: 8, self.life_poll: 4, self.events_poll: 4, self.judge: 6, self.event: 2, self.scope: 1,
            self.seal: 3, self.back: 0.5,
        }  # fmt: skip
        self.dice.choices(list(weights), list(weights.values()))[0]()
        if self.dice.random() < 0.3:
            self.past.append((self.ledger.head().size - 1, {tree: dict(held) for tree, held in self.kept.items()}))

    def state_poll(self) -> None:
        of = self.dice.choice((BUCKETS, BUCKETS, MODELS))
        records = self.records[of.name]
        for _ in range(self.dice.randrange(4)):
            key = f"arn:aws:s3:::{self.dice.choice('abcdefghijklmnop')}"
            if key in records and self.dice.random() < 0.4:
                del records[key]
            else:
                records[key] = self.dice.randrange(5)
        status = self.dice.choices(("complete", "partial", "failed"), (7, 2, 1))[0]
        tree = self.numbers[of.name]
        held = self.kept.setdefault(tree, {})
        slot = self.now // HOUR * HOUR if self.dice.random() < 0.3 and not self._taken(tree) else None
        shown = {key: value for key, value in records.items() if status == "complete" or self.dice.random() < 0.7}
        if status == "failed":
            self._append(snapshot(of, {}, self.now, slot_ms=slot, status=status, why="denied", gap=BROKEN))
            return
        gap_keys = [key for key in records if key not in shown][:1]
        gap = BROKEN if self.dice.random() < 0.5 else None
        req = str(uuid.UUID(int=self.dice.getrandbits(128)))
        taken = snapshot(
            of, shown, self.now, slot_ms=slot, status=status, why=None if status == "complete" else "throttled",
            gap_keys=gap_keys, gap=gap, req=self.dice.choice((None, "7QZ9VN", req)),
            skew=self.dice.randrange(-5000, 5000),
        )  # fmt: skip
        self._append(taken)
        seen = {item.key: item.digest for item in taken.items}
        if status == "complete":
            held.clear()
        else:
            unobserved = gap or UNTOLD
            held.update(dict.fromkeys(held, digest(canonical({"gap": unobserved, "v": 1}))))
        held.update(seen)

    def life_poll(self) -> None:
        records, held = self.records[JOBS.name], self.kept.setdefault(self.numbers[JOBS.name], {})
        shown = {f"job/{self.dice.randrange(12)}": self.dice.choice(("open", "done")) for _ in range(3)}
        partial = self.dice.random() < 0.3
        due = {key for key, value in records.items() if value == "open"}
        window = Window(self.now - HOUR, self.now, frozenset(due))
        status, why = ("partial", "timeout") if partial else ("complete", None)
        taken = snapshot(JOBS, shown, self.now, window=window, status=status, why=why)
        self._append(taken)
        if partial:
            unobserved = digest(canonical({"gap": UNTOLD, "v": 1}))
            held.update(dict.fromkeys(due & held.keys(), unobserved))
        records.update(shown)
        held.update((item.key, item.digest) for item in taken.items)

    def events_poll(self) -> None:
        keys = {f"event/{self.now // HOUR - self.dice.randrange(3)}/{self.dice.randrange(3)}": 1 for _ in range(4)}
        gaps = ["event/broken"] if self.dice.random() < 0.2 else []
        status, why = ("partial", "malformed") if gaps else ("complete", None)
        window = Window(self.now - 8 * HOUR, self.now)
        idx = self._append(snapshot(TRAIL, keys, self.now, window=window, status=status, why=why, gap_keys=gaps))
        for key in keys:
            self.events.setdefault(key, idx)

    def judge(self) -> None:
        for judging_id in self.ledger.judgings():
            self.judge_scope(judging_id)

    def judge_scope(self, judging_id: int) -> None:
        upto = self.ledger.head().size - 1
        rows = [row for row in self.ledger.targets().values() if row.judging_id == judging_id and not row.ended]
        unseen = [row.id for row in rows if self._unseen(row.id, row.target.every_s)]
        held, found = self.kept.setdefault(-judging_id, {}), {}
        for row in rows:
            for key in self.kept.get(row.id, {}) if row.id not in unseen else ():
                found[f"{row.id}/named/{key}"] = canonical({"status": self.dice.choice(("pass", "pass", "fail"))})
        found[f"0/once/{judging_id}"] = canonical({"status": "pass"})
        self.ledger.append_judged(judging_id, self.now, upto, RULES, found, unseen)
        blind = {key: value for key, value in held.items() if int(key.partition("/")[0]) in unseen}
        held.clear()
        held.update(blind)
        held.update((key, digest(document)) for key, document in found.items())

    def event(self) -> None:
        document = f"a file {self.dice.randrange(10)}".encode()
        self.ledger.append_event("file", {"name": "evidence.txt", "by": "ada"}, self.now, [document])

    def scope(self) -> None:
        if self.dice.random() < 0.3:
            self.ledger.retire([MODELS.name], "left the scope", self.now)
        else:
            every_s, version = self.dice.choice((3600, 7200)), self.dice.choice("12")
            changed = target("mlflow.registry.models", judging="mlflow:main", every_s=every_s, version=version)
            self.ledger.declare([changed], self.now)

    def seal(self) -> None:
        self.ledger.seal(self.now)

    def back(self) -> None:
        self.now -= 6 * HOUR
        self.ledger.append_event("note", {"text": "the clock was wrong"}, self.now)

    def check(self) -> None:
        """The ledger stands as it has to, now and at earlier indices."""
        for tree, held in self.kept.items():
            assert {one.key: one.digest for one in self.ledger.state(tree)} == held
        for upto, then in self.past:
            for tree, held in then.items():
                assert {one.key: one.digest for one in self.ledger.state(tree, upto)} == held
        of_polls: dict[int, set[str]] = {}
        for key, idx in self.events.items():
            of_polls.setdefault(idx, set()).add(key)
        for one in self.ledger.polls(self.numbers[TRAIL.name]):
            assert {stored.key for stored in self.ledger.events_of(one.idx)} == of_polls.get(one.idx, set())

    def _append(self, taken: Snapshot) -> int:
        idx = self.ledger.append_poll(taken)
        self.polls[self.numbers[taken.target.name]] = (taken.start_ms, taken.status.value)
        return idx

    def _unseen(self, target_id: int, every_s: int) -> bool:
        start, status = self.polls.get(target_id, (0, "failed"))
        return status == "failed" or self.now - start > max(3 * HOUR, 2 * every_s * 1000)

    def _taken(self, target_id: int) -> bool:
        slot = self.now // HOUR * HOUR
        return any(one.slot_ms == slot for one in self.ledger.polls(target_id))
