"""Verification by replay: every line hashed, every change applied, every root compared.

A `Replay` is fed by iterators, so that a store and a bundle are verified by the same rules; it
holds nothing but the hashes of the small trees. Whatever is wrong goes to `complain`, and the
replay goes on: one altered row is told apart from a ruined ledger.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import orjson

from agent.canonical import canonical
from agent.ledger.checkpoint import BadNote, verify
from agent.ledger.lines import CLOCK_STEP_MS, FAILED, VERSION, WINDOWED, Body, origin_of, target_of
from agent.ledger.merkle import EMPTY, STORED_LEVELS, Range, cover, leaf_hash, record_leaf, root_of
from agent.ledger.replayed import Complain, Groups, Scoped, SmallTree
from agent.ledger.sign import verifies
from agent.model import Reason

Change = tuple[int, int, int, str, bytes | None]
"""Index, tree, position, key, digest (None = gone)."""
Seen = tuple[int, int, str, bytes]
"""Index, position, key, digest of a record of an events stream."""
Note = tuple[int, str]
"""Size and text of a checkpoint."""
Entry = tuple[int, bytes, Body | None]
"""Index, line or `Leaf`, and what the line says where the caller built the line from it."""

KEY_CHANGE = b"evidenced: the next key of this ledger is\n"
"""What an old key signs, followed by the 32 bytes of the new one."""
KEPT = frozenset({"genesis", "key", "anchor", "dictionary", "prune", "recovery", "clock"})
"""Kinds of events that the caller gets back in `events`."""

WRONG_VALUES = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What reading a line raises that is not what the ledger wrote."""

_POLL = frozenset(
    ("asof", "calls", "col", "dur", "gaps", "idx", "k", "n", "rcpt", "root", "slot", "start", "status", "t", "v", "why")
)
_JUDGED = frozenset(("at", "fn", "froot", "idx", "k", "rules", "s", "unseen", "upto", "v"))
_RECEIPT = frozenset(("doc", "pages", "req", "rows", "skew"))
_REASONS = frozenset(reason.value for reason in Reason)


class Leaf(bytes):
    """Leaf hash of an entry whose line is not at hand."""

    __slots__ = ()


class Replay:
    """Replays a stretch of a log, from its first entry or from the state before `first`.

    `left` covers entries 0..first-1, `scopes` are the scope events before `first`, `key` and
    `origin` the ones then valid; from the first entry on they come from the genesis event.
    `refer` is told the digest of every document that something refers to.
    """

    def __init__(
        self,
        complain: Complain,
        *,
        first: int = 0,
        left: Sequence[bytes] = (),
        scopes: Iterable[Body] = (),
        key: bytes | None = None,
        origin: str | None = None,
        refer: Callable[[bytes], None] | None = None,
        watch_slots: bool = True,
    ) -> None:
        self.complain = complain
        self.log = Range(first, left)
        self.trees: dict[int, SmallTree] = {}
        self.targets: dict[int, Scoped] = {}
        self.judgings: dict[int, str] = {}
        self.events: list[Body] = []
        self.counts = {"polls": 0, "judged": 0, "events": 0, "changes": 0, "records": 0, "checkpoints": 0, "hidden": 0}
        self.nodes: dict[tuple[int, int], bytes] = {}
        """Nodes of the kept levels that were completed: (level, number) -> hash."""
        self.key, self.origin = key, origin
        self.sealed = 0
        """Size of the newest checkpoint that holds."""
        self._refer = refer
        self._watch_slots = watch_slots
        self._whole = first == 0
        """Whether every entry from the first on was shown."""
        self._expected = first
        self._names: set[str] = set()
        self._uptos: dict[int, int] = {}
        self._clock = -1
        self._note: str | None = None
        self._note_size = 0
        self._notes: Iterator[tuple[int, str]] = iter(())
        self._next_note: tuple[int, str] | None = None
        for body in scopes:
            self._scope(body)

    # -- feeding ---------------------------------------------------------------------------

    def load(self, state0: Iterable[tuple[int, int, str, bytes | None]]) -> None:
        """Take the state before the first entry: (tree, position, key, digest or None = gone)."""
        for tree, pos, key, digest in state0:
            small = self.trees.setdefault(tree, SmallTree())
            small.bound = False
            if pos != len(small.standing):
                self.complain("state", f"tree {tree}", f"position {pos} is not the next one")
                continue
            small.standing.append(digest is not None)
            small.live += digest is not None
            small.nodes[pos] = record_leaf(key, digest)
            if digest is not None and self._refer:
                self._refer(digest)

    def run(
        self, entries: Iterable[Entry], changes: Iterable[Change], seen: Iterable[Seen], notes: Iterable[Note]
    ) -> None:
        """Replay entries in order, with all their changes, kept events and notes (size, note)."""
        changed, records = Groups(changes, self.complain), Groups(seen, self.complain)
        self._notes = iter(notes)
        self._next_note = next(self._notes, None)
        for entry in entries:
            idx = entry[0]
            if idx != self._expected:
                self.complain("order", f"entry {idx}", f"the log goes on at {self._expected}")
            self._expected = idx + 1
            try:
                self._entry(entry, changed.of(idx), records.of(idx))
            except WRONG_VALUES as error:
                self.complain("malformed", f"entry {idx}", f"{type(error).__name__}: {error}")
        changed.rest()
        records.rest()
        if self._next_note is not None:
            self.complain("checkpoint", f"size {self._next_note[0]}", "the log has no seal for this checkpoint")
        for tree, small in self.trees.items():
            if not small.bound:
                self.complain("state", f"tree {tree}", "no line confirms the state before the first entry")

    def root(self, right: Sequence[bytes] = (), size: int | None = None) -> bytes:
        """Root of the log; with `right`, the hashes that cover the rest of a log of `size` entries.

        ValueError when they are too many or too few.
        """
        whole = self.log.copy()
        if size is not None:
            for (level, _), node in zip(cover(whole.size, size), right, strict=True):
                whole.append_subtree(level, node)
        return whole.root()

    # -- entries ---------------------------------------------------------------------------

    def _entry(self, entry: Entry, changed: list[Any], records: list[Any]) -> None:
        idx, data, body = entry
        if type(data) is Leaf:
            self._leaf(data)
            self.counts["hidden"] += 1
            self._whole = False
            if changed or records:
                self.complain("change", f"entry {idx}", "changes of an entry that is not shown")
            return
        # the log goes on with this leaf, whatever the line says
        self._leaf(leaf_hash(data))
        if body is None:
            body = self._parse(idx, data)
        kind = body["k"]
        if kind == "poll":
            self._poll(idx, body, changed, records)
            return
        if records:
            self.complain("change", f"entry {idx}", "events kept for an entry that is no poll")
        if kind == "judged":
            self._judged(idx, body, changed)
            return
        if changed:
            self.complain("change", f"entry {idx}", "positions changed by an entry that is neither poll nor judged")
        self._event(idx, data, body)

    def _leaf(self, leaf: bytes) -> None:
        log = self.log
        if log.size & 255 == 255:
            for level, number, node in log.append_subtree(0, leaf):
                if level in STORED_LEVELS:
                    self.nodes[level, number] = node
        else:
            log.append(leaf)

    def _parse(self, idx: int, line: bytes) -> Body:
        """What a line says; complains unless it is the one form of it."""
        body = orjson.loads(line)
        if canonical(body) != line:
            self.complain("line", f"entry {idx}", "the line is not in canonical form")
        if body["idx"] != idx or body["v"] != VERSION:
            self.complain("line", f"entry {idx}", "the line is of another entry or version")
        if body["k"] == "poll":
            wanted = _POLL | {"from", "to"} if self.targets[body["t"]].kind in WINDOWED else _POLL
            if body.keys() != wanted or body["rcpt"].keys() != _RECEIPT:
                self.complain("line", f"entry {idx}", "a poll line has other members")
        elif body["k"] == "judged" and body.keys() != _JUDGED:
            self.complain("line", f"entry {idx}", "a judged line has other members")
        return dict(body)

    # -- polls -----------------------------------------------------------------------------

    def _poll(self, idx: int, body: Body, changed: list[Change], records: list[Seen]) -> None:
        self.counts["polls"] += 1
        scoped = self.targets.get(body["t"])
        if scoped is None:
            self.complain("scope", f"entry {idx}", f"a poll of target {body['t']}, which no scope event names")
            return
        self._timing(idx, body, scoped)
        if self._refer:
            self._refer(bytes.fromhex(body["rcpt"]["doc"]))
        status = body["status"]
        if status not in (0, 1, 2) or body["why"] not in (_REASONS if status else (None,)):
            self.complain("poll", f"entry {idx}", "status and reason do not agree")
        if status == FAILED:
            if body["root"] is not None or body["n"] or body["asof"] is not None or changed or records:
                self.complain("poll", f"entry {idx}", "a failed poll says that it saw something")
        elif body["asof"] is None:
            self.complain("poll", f"entry {idx}", "a poll that did not fail has no time of observation")
        elif scoped.kind == "events":
            self._events_poll(idx, body, changed, records)
        else:
            if records:
                self.complain("change", f"entry {idx}", "events kept for a poll of records")
            small = self.trees.get(body["t"])
            if changed or small is None or small.hex is None:
                may_go = status == 0 and scoped.kind == "state"
                small = self._apply(idx, body["t"], changed, may_go, ())
            if small.hex != body["root"]:
                self.complain("root", f"entry {idx}", f"the records of target {body['t']} have another root")
            if small.live != body["n"]:
                self.complain("count", f"entry {idx}", f"{small.live} records instead of {body['n']}")

    def _timing(self, idx: int, body: Body, scoped: Scoped) -> None:
        start, slot, recent = body["start"], body["slot"], scoped.recent
        if recent and start < recent[-1][1] - CLOCK_STEP_MS and recent[-1][0] > self._clock:
            self.complain("time", f"entry {idx}", "the poll began before the one before it, without a clock event")
        recent.append((idx, start, body["status"]))
        if body["dur"] < 0 or (scoped.kind in WINDOWED and body["from"] is not None and body["from"] > body["to"]):
            self.complain("time", f"entry {idx}", "an interval that ends before it begins")
        if slot is None or not self._watch_slots:
            return
        slots = scoped.slots
        if not slots or slot > slots[-1]:
            slots.append(slot)
            return
        at = bisect_left(slots, slot)
        if slots[at] == slot:
            self.complain("slot", f"entry {idx}", f"slot {slot} of target {body['t']} has two polls")
        else:
            slots.insert(at, slot)

    def _events_poll(self, idx: int, body: Body, changed: list[Change], records: list[Seen]) -> None:
        if changed:
            self.complain("change", f"entry {idx}", "positions changed by a poll of events")
        self.counts["records"] += len(records)
        keys = [key.encode() for _, _, key, _ in records]
        if [pos for _, pos, _, _ in records] != list(range(len(records))) or sorted(set(keys)) != keys:
            self.complain("events", f"entry {idx}", "the events are not in the order of their keys")
        root = root_of(record_leaf(key, digest) for _, _, key, digest in records) if records else EMPTY
        if root.hex() != body["root"]:
            self.complain("root", f"entry {idx}", "the events have another root")
        if len(records) != body["n"]:
            self.complain("count", f"entry {idx}", f"{len(records)} events instead of {body['n']}")
        if self._refer:
            for _, _, _, digest in records:
                self._refer(digest)

    def _apply(self, idx: int, tree: int, changed: list[Change], may_go: bool, blind: Sequence[int]) -> SmallTree:
        """Bring a tree to what a line says."""
        small = self.trees.get(tree)
        if small is None:
            small = self.trees[tree] = SmallTree()
        self.counts["changes"] += len(changed)
        new: bytes | None = None
        for _, of, pos, key, digest in changed:
            wrong = None
            if of != tree:
                wrong = f"a change in tree {of} by a line about tree {tree}"
            elif digest is None and not may_go:
                wrong = f"position {pos} is gone, which this line cannot say"
            elif blind and target_of(key) in blind:
                wrong = f"position {pos} changed though its target was not seen"
            elif pos >= len(small.standing):
                wrong = None if new is None or new < key.encode() else f"position {pos} is not in the order of the keys"
                new = key.encode()
            if of == tree:
                wrong = small.put(pos, key, digest) or wrong
            if wrong:
                self.complain("change", f"entry {idx}", wrong)
            if digest is not None and self._refer:
                self._refer(digest)
        small.hex = small.nodes.root().hex()
        small.bound = True
        return small

    # -- findings --------------------------------------------------------------------------

    def _judged(self, idx: int, body: Body, changed: list[Change]) -> None:
        self.counts["judged"] += 1
        judging_id, upto, unseen = body["s"], body["upto"], body["unseen"]
        if judging_id not in self.judgings:
            self.complain("scope", f"entry {idx}", f"judging scope {judging_id} is named by no scope event")
        if not self._uptos.get(judging_id, 0) <= upto < idx:
            self.complain("upto", f"entry {idx}", f"upto {upto} falls, or is not before the entry")
        self._uptos[judging_id] = upto
        if unseen != sorted(set(unseen)):
            self.complain("unseen", f"entry {idx}", "the unseen targets are not in order")
        self._check_unseen(idx, body)
        if self._refer:
            self._refer(bytes.fromhex(body["rules"]))
        small = self.trees.get(-judging_id)
        if changed or small is None or small.hex is None:
            small = self._apply(idx, -judging_id, changed, True, unseen)
        if small.hex != body["froot"]:
            self.complain("root", f"entry {idx}", f"the findings of judging scope {judging_id} have another root")
        if small.live != body["fn"]:
            self.complain("count", f"entry {idx}", f"{small.live} findings instead of {body['fn']}")

    def _check_unseen(self, idx: int, body: Body) -> None:
        """The unseen targets follow from the polls up to `upto`: failed, too old, or none."""
        unseen, upto = frozenset(body["unseen"]), body["upto"]
        for target_id in unseen:
            scoped = self.targets.get(target_id)
            if scoped is None or scoped.body["s"] != body["s"]:
                self.complain("unseen", f"entry {idx}", f"target {target_id} is not one of judging scope {body['s']}")
        for target_id, scoped in self.targets.items():
            if scoped.body["s"] != body["s"] or scoped.changed > upto or not self._whole:
                continue
            blind = not scoped.ended and scoped.blind(upto, body["at"])
            if blind is not None and blind != (target_id in unseen):
                said = "seen" if blind else "unseen"
                self.complain("unseen", f"entry {idx}", f"target {target_id} counts as {said} against its polls")

    # -- events ----------------------------------------------------------------------------

    def _event(self, idx: int, line: bytes, body: Body) -> None:
        self.counts["events"] += 1
        if canonical(body) != line or body["idx"] != idx or body["v"] != VERSION:
            self.complain("line", f"entry {idx}", "the line is not in canonical form, or of another entry or version")
        kind = body["k"]
        if (kind == "genesis") != (idx == 0):
            self.complain("genesis", f"entry {idx}", "the first entry, and no other, is the genesis")
        if self._refer:
            for name in body.get("docs", ()):
                self._refer(bytes.fromhex(name))
        if kind in KEPT:
            self.events.append(body)
        if kind == "seal":
            self._seal(idx, body)
        elif kind == "scope":
            self._scope(body)
        elif kind == "clock":
            self._clock = idx
        elif kind == "genesis":
            self.key, self.origin = _public_key(body["key"]), origin_of(body)
        elif kind == "key":
            self._new_key(idx, body)

    def _scope(self, body: Body) -> None:
        place, target_id = f"entry {body['idx']}", body["t"]
        known = self.targets.get(target_id)
        if "stream" not in body:
            if known is None or known.ended:
                self.complain("scope", place, f"the end of target {target_id}, which has not begun")
            else:
                known.end(body["idx"])
            return
        name, judging_id, judging = _target_name(body), body["s"], body["judging"]
        if known is None:
            if name in self._names or (self._whole and target_id != len(self.targets) + 1):
                self.complain("scope", place, f"target {target_id} is not the next one, or its name is taken")
            self._names.add(name)
            self.targets[target_id] = Scoped(body)
        else:
            if _target_name(known.body) != name:
                self.complain("scope", place, f"target {target_id} is given another name")
            known.take(body)
        if judging_id not in self.judgings:
            if judging in self.judgings.values() or (self._whole and judging_id != len(self.judgings) + 1):
                self.complain("scope", place, f"judging scope {judging_id} is not the next one, or its name is taken")
            self.judgings[judging_id] = judging
        elif self.judgings[judging_id] != judging:
            self.complain("scope", place, f"judging scope {judging_id} is given another name")

    def _new_key(self, idx: int, body: Body) -> None:
        """A `key` event: the new key is signed by the one before, or that one is said to be lost."""
        key = _public_key(body["key"])
        if not body.get("lost"):
            signature = base64.b64decode(body["signed"], validate=True)
            if self.key is None or not verifies(self.key, signature, KEY_CHANGE + key):
                self.complain("key", f"entry {idx}", "the new key is not signed by the one before it")
        self.key = key

    def _seal(self, idx: int, body: Body) -> None:
        """The note that a seal announces, and the one before it."""
        self.counts["checkpoints"] += 1
        before = sha256(self._note.encode()).hexdigest() if self._note is not None else None
        # before the first entry of a stretch lies a note that is not at hand
        known = self._note is not None or self._whole
        if known and (body["note"] != before or body["size"] != (self._note_size or None)):
            self.complain("seal", f"entry {idx}", "the seal does not name the checkpoint before it")
        while self._next_note is not None and self._next_note[0] < idx + 1:
            self.complain("checkpoint", f"size {self._next_note[0]}", "the log has no seal for this checkpoint")
            self._next_note = next(self._notes, None)
        if self._next_note is None or self._next_note[0] != idx + 1:
            self.complain("checkpoint", f"size {idx + 1}", "the checkpoint of this seal is missing")
            return
        self._note_size, self._note = self._next_note
        self._next_note = next(self._notes, None)
        self._check_note(self._note_size, self._note)

    def _check_note(self, size: int, note: str) -> None:
        if self.key is None or self.origin is None:
            self.complain("checkpoint", f"size {size}", "there is no key to check it with")
            return
        try:
            checkpoint = verify(note, self.origin, self.key)
        except BadNote as error:
            self.complain("checkpoint", f"size {size}", str(error))
            return
        if checkpoint.size != size or checkpoint.root != self.log.root():
            self.complain("checkpoint", f"size {size}", "the log has another root: an entry up to here was altered")
        else:
            self.sealed = size


def _target_name(body: Body) -> str:
    return f"{body['stream']}@{body['scope']}"


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a public key that is not base64") from error
    if len(key) != 32:
        raise ValueError("a public key that is not 32 bytes")
    return key
