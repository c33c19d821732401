"""A small world of targets for ledger tests: snapshots made by hand, with the bytes they need."""

from __future__ import annotations

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
