"""Worlds in which one operation of one stream goes wrong, and what may be said then.

A good and a bad world have the same resources and opposite settings. What a fault hides in the good
one is replaced by what the bad one has there: a finding that changes by it depends on it, and must
not be definite under the fault.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.canonical import canonical, parse
from agent.collect import Spool
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Finding, Item, PollStatus, Snapshot, Status
from agent.registry import discover

REASON = {
    "denied": {"denied"},
    "throttled": {"throttled"},
    "timeout": {"timeout"},
    "malformed": {"malformed"},
    "misshapen": {"malformed"},
    "short": {"partial", "malformed", "unreachable"},
}
"""Kind of fault -> the reasons that may be given for it."""


class Lab:
    """One ledger in which one stream after another is replaced by what a fault left of it."""

    def __init__(self, folder: Path, good: Mapping[str, Snapshot], settings: Mapping[str, Any]) -> None:
        self.good, self.settings = good, settings
        self.at = max(snapshot.start_ms for snapshot in good.values())
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=self.at)
        self.ledger.declare([snapshot.target for snapshot in good.values()], self.at)
        self.baseline = self.judged(good.values())

    def judged(self, snapshots: Iterable[Snapshot]) -> dict[str, Finding]:
        """Poll these, judge, and give all findings by check, stream and key."""
        self.told(snapshots)
        judge(self.ledger, discover(), self.settings, self.at)
        return {f"{f.check} {f.stream} {f.key}": f for f in findings(self.ledger, discover())}

    def told(self, snapshots: Iterable[Snapshot]) -> None:
        """Poll these, and judge nothing yet."""
        self.at += 1000
        for snapshot in snapshots:
            asof_ms = None if snapshot.status is PollStatus.FAILED else self.at
            self.ledger.append_poll(replace(snapshot, start_ms=self.at, asof_ms=asof_ms))

    def wrong(self, bad: Snapshot, faulty: Snapshot, operation: str, fault: str) -> list[str]:
        """What is wrong with the findings under a fault; the good world is back afterwards, not yet judged."""
        good = self.good[faulty.target.stream]
        found = self.judged([faulty])
        mixed = self.judged([hybrid(good, bad, faulty)])
        self.told([good])
        return check_honest(self.baseline, mixed, found, faulty, operation, fault)


Sweep = Mapping[str, Snapshot]
"""Stream -> its snapshot, in the order of polling."""

SWEEP_MS, POLL_MS = 15 * 60_000, 10_000


class Chronicle:
    """Good and bad worlds told in several sweeps: what follows from history, such as a promotion.

    History has no way back, so each case is told from the beginning into a ledger of its own.
    """

    def __init__(
        self, folder: Path, good: Sequence[Sweep], bad: Sequence[Sweep], settings: Mapping[str, Any], start_ms: int
    ) -> None:
        self.good, self.bad, self.settings, self.start_ms = good, bad, settings, start_ms
        self._empty = folder / "empty"
        self._empty.mkdir()
        ledger = self._open(self._empty, create=True)
        ledger.declare([snapshot.target for snapshot in good[-1].values()], start_ms)
        ledger.close()
        self.baseline = self.told(good)

    def told(self, sweeps: Sequence[Sweep]) -> dict[str, Finding]:
        """Tell these sweeps, judge after the last one, and give all findings by check, stream and key."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(self._empty, folder, dirs_exist_ok=True)
            ledger = self._open(Path(folder))
            try:
                at = self.start_ms
                for number, sweep in enumerate(sweeps, 1):
                    for snapshot in sweep.values():
                        asof_ms = None if snapshot.status is PollStatus.FAILED else at
                        ledger.append_poll(replace(snapshot, start_ms=at, asof_ms=asof_ms, dur_ms=1000))
                        at += POLL_MS
                    at = self.start_ms + number * SWEEP_MS
                judge(ledger, discover(), self.settings, at)
                return {f"{f.check} {f.stream} {f.key}": f for f in findings(ledger, discover())}
            finally:
                ledger.close()

    def wrong(self, faulty: Mapping[int, Snapshot], operation: str, fault: str) -> list[str]:
        """What is wrong with the findings when these sweeps (by number, the last among them) met a fault."""
        mixed = {
            number: hybrid(
                self.good[number][snapshot.target.stream], self.bad[number][snapshot.target.stream], snapshot
            )
            for number, snapshot in faulty.items()
        }
        last = faulty[len(self.good) - 1]
        told, other = (self.told(self._with(snapshots)) for snapshots in (faulty, mixed))
        return check_honest(self.baseline, other, told, last, operation, fault)

    def _with(self, snapshots: Mapping[int, Snapshot]) -> list[Sweep]:
        """The good world with one stream of some sweeps replaced."""
        return [
            {**sweep, snapshots[number].target.stream: snapshots[number]} if number in snapshots else sweep
            for number, sweep in enumerate(self.good)
        ]

    def _open(self, folder: Path, *, create: bool = False) -> Ledger:
        return Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=create, now_ms=self.start_ms)


def hybrid(good: Snapshot, bad: Snapshot, faulty: Snapshot) -> Snapshot:
    """The good world with what a fault hid taken from the bad one: whatever changes by it depends on it."""
    if faulty.status is PollStatus.FAILED:
        return bad
    told, other, hidden = _bodies(good), _bodies(bad), _bodies(faulty)
    partial = faulty.status is PollStatus.PARTIAL
    # what has ended is never read again: that it was not shown hides nothing
    due = good.window.open_keys if good.window else None
    spool = Spool()
    items = []
    for key in sorted({*told, *other} if partial else told, key=str.encode):
        seen = hidden.get(key)
        stands = (
            not partial
            or (seen is not None and "gap" not in seen)
            or (seen is None and due is not None and key not in due)
        )
        body = told[key] if key in told and stands else other.get(key)
        if body is None:
            continue
        elsewhere = _differing(body, seen) if partial and seen else []
        for pointer in [*(seen or {}).get("gaps", {}), *elsewhere]:
            if pointer not in body["gaps"] and key in other:
                _replace(body["facts"], other[key]["facts"], pointer)
        data = canonical(body)
        items.append(Item(key, spool.add(data), len(data)))
    return replace(good, items=items, documents=spool)


def _differing(body: Any, seen: Any) -> list[str]:
    """Pointers of facts that a partial poll shows otherwise, without a gap there: an older state, not this one."""
    facts, shown = body["facts"], seen.get("facts", {})
    return [f"/{name}" for name in facts if name in shown and shown[name] != facts[name]]


def _bodies(snapshot: Snapshot) -> dict[str, Any]:
    return {item.key: parse(snapshot.documents[item.digest]) for item in snapshot.items}


def _replace(facts: Any, other: Any, pointer: str) -> None:
    *path, last = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for name in path:
        facts, other = facts[name], other.get(name, {})
    if last in other:
        facts[last] = other[last]
    else:
        facts.pop(last, None)


def check_honest(
    baseline: Mapping[str, Finding],
    other: Mapping[str, Finding],
    faulty: Mapping[str, Finding],
    snapshot: Snapshot,
    operation: str,
    fault: str,
) -> list[str]:
    """What is wrong with the findings under a fault; nothing when they are honest.

    `other` are the findings of the hybrid world: where they differ from the baseline, the finding
    depends on what the fault hid.
    """
    wrong = []
    said = {gap.reason.value for gap in snapshot.unseen if gap.op == operation}
    if not said & REASON[fault]:
        wrong.append(f"the snapshot does not say that {operation} was {fault}: {dict(snapshot.unseen)}")
    for name, finding in faulty.items():
        if finding.check in ("collection-coverage", "evidence-fresh"):
            continue
        was, might = baseline.get(name), other.get(name)
        definite = finding.status in (Status.PASS, Status.FAIL)
        if definite and (was is None or was.status is not finding.status):
            wrong.append(
                f"{name}: {finding.status.value} under {fault}, {was.status.value if was else 'absent'} before"
            )
        if definite and was is not None and might is not None and might.status is not was.status:
            wrong.append(f"{name}: {finding.status.value} though it depends on what {fault} hid")
        if finding.status is Status.NOT_EVALUATED and was is not None and was.status is not finding.status:
            if finding.reason is None or finding.reason.value == "crashed":
                wrong.append(f"{name}: crashed under {fault}: {finding.message}")
            # to ask who one is needs no permission: there the credentials themselves were refused
            if fault == "denied" and not finding.need and operation != "GetCallerIdentity":
                wrong.append(f"{name}: does not name the missing permission: {finding.message}")
        if finding.status is Status.NOT_APPLICABLE and was is not None and was.status in (Status.PASS, Status.FAIL):
            wrong.append(f"{name}: taken out of the population by {fault}: {finding.message}")
    silent = {f.check for name, f in baseline.items() if name not in faulty} - {
        f.check for f in faulty.values() if f.status is Status.NOT_EVALUATED
    }
    wrong += [f"{check}: findings are missing under {fault}, and nothing says so" for check in sorted(silent)]
    if snapshot.status is PollStatus.FAILED:
        over = [finding for finding in faulty.values() if finding.stream == snapshot.target.stream]
        wrong += [f"{f.check} {f.key}: {f.status.value} though nothing was seen" for f in over if f.status in (
            Status.PASS, Status.FAIL)]  # fmt: skip
        unsaid = {f.check for f in baseline.values() if f.stream == snapshot.target.stream} - {f.check for f in over}
        wrong += [f"{check}: nothing said though its stream was not seen" for check in unsaid]
    return wrong
