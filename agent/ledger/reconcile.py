"""What a snapshot changes in the tree of its target: nothing is read or written here."""

from __future__ import annotations

from agent.canonical import canonical, digest
from agent.ledger.positions import Positions
from agent.model import Gap, Kind, PollStatus, Reason, Snapshot


def check(snapshot: Snapshot) -> None:
    """ValueError when a snapshot contradicts itself."""
    failed = snapshot.status is PollStatus.FAILED
    if (snapshot.why is None) != (snapshot.status is PollStatus.COMPLETE):
        raise ValueError("a poll has a reason exactly when it is not complete")
    if failed != (snapshot.asof_ms is None) or (failed and snapshot.items):
        raise ValueError("a failed poll has neither a time of observation nor records, any other has the first")
    if len({item.key for item in snapshot.items}) != len(snapshot.items):
        raise ValueError("a key twice in one poll")
    if min(snapshot.dur_ms, snapshot.gaps, snapshot.tape.calls, snapshot.tape.pages, snapshot.tape.rows) < 0:
        raise ValueError("a negative count")
    window = snapshot.window
    if window is not None and window.from_ms > window.to_ms:
        raise ValueError("a window that ends before it begins")


def changes(state: Positions, snapshot: Snapshot, kind: Kind) -> tuple[dict[str, bytes | None], bytes | None]:
    """Positions that a poll changes, by key (None = gone), and the gap document that some of them need."""
    at, held = state.at, state.digests
    changed: dict[str, bytes | None] = {}
    again = 0
    for item in snapshot.items:
        pos = at.get(item.key)
        before = None if pos is None else held[pos]
        if before is not None:
            again += 1
        if before != item.digest:
            changed[item.key] = item.digest
    absent = _absent(state, snapshot, kind) if again < state.live else []
    if absent and snapshot.status is PollStatus.COMPLETE:
        changed.update((key, None) for key in absent)
    elif absent:
        document = _gap_document(snapshot)
        name = digest(document)
        unobserved = {key: name for key in absent if held[at[key]] != name}
        if unobserved:
            return {**changed, **unobserved}, document
    return changed, None


def _absent(state: Positions, snapshot: Snapshot, kind: Kind) -> list[str]:
    """Standing keys that the poll should have shown and did not."""
    seen = {item.key for item in snapshot.items}
    if kind is Kind.STATE:
        return [key for key in state.standing() if key not in seen]
    # a life stream reads again only what was open, and forgets nothing
    if snapshot.status is PollStatus.COMPLETE or snapshot.window is None:
        return []
    due = snapshot.window.open_keys
    return [key for key in state.standing() if key in due and key not in seen]


def _gap_document(snapshot: Snapshot) -> bytes:
    """The one document of all positions that a partial poll did not observe."""
    gap = snapshot.receipt.get("gap") if isinstance(snapshot.receipt, dict) else None
    return canonical({"gap": gap or Gap(Reason.PARTIAL).body, "v": 1})
