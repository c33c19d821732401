"""Writing a ledger: one short transaction per poll, judged line, event and checkpoint.

Within the transaction the head of the log is read again, so that several processes may append to
one store. What a process remembers of a tree counts only while the store's row says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.canonical import canonical, digest
from agent.errors import StoreError
from agent.ledger.checkpoint import Checkpoint, make
from agent.ledger.documents import ENOUGH, batches
from agent.ledger.lines import JudgedRow, PollRow, judged_body, ordered, poll_body, target_of
from agent.ledger.merkle import EMPTY, record_leaf, root_of
from agent.ledger.positions import check_keys
from agent.ledger.read import TargetRow, scopes
from agent.ledger.receipt import Receipt, pack, pack_ids
from agent.ledger.reconcile import changes, check
from agent.ledger.schema import anchor, blob, checkpoint, collector, judged, judging, poll, seen_event, target
from agent.ledger.schema import slot_ms as slot_column
from agent.ledger.sign import Signer
from agent.ledger.store import Store
from agent.ledger.transaction import Bring, Transaction, Transactions, clock_step, write_event
from agent.model import Documents, Item, Kind, PollStatus, Snapshot, Target


class SlotTaken(StoreError):
    """The planned slot of this target has its poll already."""


class Writer(Transactions):
    """The appends of an open ledger."""

    def __init__(self, store: Store, signer: Signer, origin: str) -> None:
        super().__init__(store)
        self.signer = signer
        self.origin = origin
        self._untrainable = 0

    # -- scopes and events -----------------------------------------------------------------

    def declare(self, targets: Sequence[Target], at_ms: int) -> dict[str, int]:
        """Number the targets; a `scope` event for each that is new, changed or was retired.

        Numbers by name come back. Targets that are not named stay as they are (see `retire`).
        """
        with self._append() as transaction:
            known = {row.target.name: row for row in scopes(self._memory.scopes).values()}
            judgings = {row.target.scope.judging: row.judging_id for row in known.values()}
            judgings.update((body["judging"], body["s"]) for body in self._memory.scopes if "stream" in body)
            found = {}
            for wanted in targets:
                row = known.get(wanted.name)
                if row is None or row.ended or row.target != wanted:
                    row = self._declare(transaction, wanted, row, judgings, len(known) + 1, at_ms)
                    known[wanted.name] = row
                found[wanted.name] = row.id
            return found

    def retire(self, names: Iterable[str], reason: str, at_ms: int) -> None:
        """End targets, with the reason: from here on none of their slots is owed. KeyError for an unknown one."""
        with self._append() as transaction:
            known = {row.target.name: row for row in scopes(self._memory.scopes).values()}
            for row in [known[name] for name in names]:
                if not row.ended:
                    self._event(transaction, "scope", {"t": row.id, "end": reason}, at_ms)

    def append_event(self, kind: str, body: Mapping[str, Any], at_ms: int, documents: Iterable[bytes] = ()) -> int:
        """Write an event, with the documents it brings (named in the line's `docs`); its index comes back."""
        with self._append() as transaction:
            return self._event(transaction, kind, body, at_ms, documents)

    def append_anchor(self, kind: str, size: int, receipt: bytes, at_ms: int) -> int:
        """Keep the receipt of an anchored checkpoint, and an `anchor` event with its digest; the event's index."""
        with self._append() as transaction:
            row = {"size": size, "kind": kind, "receipt": receipt}
            transaction.connection.execute(sa.insert(anchor), [row])
            body = {"kind": kind, "size": size, "receipt": sha256(receipt).hexdigest()}
            return self._event(transaction, "anchor", body, at_ms)

    def _declare(
        self, transaction: Transaction, wanted: Target, known: TargetRow | None, judgings: dict[str, int],
        number: int, at_ms: int,
    ) -> TargetRow:  # fmt: skip
        connection, scope = transaction.connection, wanted.scope
        if scope.judging not in judgings:
            judgings[scope.judging] = len(judgings) + 1
            new = {"id": judgings[scope.judging], "name": scope.judging, "n_pos": 0, "head_root": None}
            connection.execute(sa.insert(judging), [new])
        judging_id, target_id = judgings[scope.judging], known.id if known else number
        body = {
            "t": target_id, "stream": wanted.stream, "scope": scope.name, "detail": dict(scope.detail),
            "judging": scope.judging, "s": judging_id, "kind": wanted.kind.value, "every": wanted.every_s,
            "col": wanted.collector,
        }  # fmt: skip
        idx = self._event(transaction, "scope", body, at_ms)
        values = {"kind": wanted.kind.number, "judging_id": judging_id, "every_s": wanted.every_s}
        if known:
            connection.execute(sa.update(target).where(target.c.id == target_id).values(values))
        else:
            new = {"id": target_id, "name": wanted.name, **values, "n_pos": 0, "head_root": None}
            connection.execute(sa.insert(target), [new])
        return TargetRow(target_id, wanted, judging_id, known.first_idx if known else idx, False)

    def _event(
        self, transaction: Transaction, kind: str, body: Mapping[str, Any], at_ms: int, documents: Iterable[bytes] = ()
    ) -> int:
        by_digest = {digest(data): data for data in documents}
        self._put(transaction.connection, {name: given(data) for name, data in by_digest.items()})
        if not transaction.entries:
            clock_step(transaction, at_ms, self._memory.event_ms)
        return write_event(transaction, kind, body, at_ms, list(by_digest))

    # -- polls -----------------------------------------------------------------------------

    def append_poll(self, snapshot: Snapshot) -> int:
        """Write a poll: new documents, changed positions, the line. Its index comes back.

        LookupError when the target was not declared, SlotTaken when its slot has a poll, ValueError
        when the snapshot contradicts itself.
        """
        check(snapshot)
        with self._append() as transaction:
            connection = transaction.connection
            row = connection.execute(sa.select(target).where(target.c.name == snapshot.target.name)).first()
            if row is None:
                raise LookupError(f"{snapshot.target.name} was not declared")
            _refuse_taken(connection, row.id, snapshot.slot_ms)
            clock_step(transaction, snapshot.start_ms, self._memory.last_start(connection, row.id))
            kind, idx = list(Kind)[row.kind], transaction.idx
            before, root, n = None, None, 0
            if snapshot.status is not PollStatus.FAILED and kind is Kind.EVENTS:
                root, n = self._events(connection, row.id, idx, snapshot)
                before = EMPTY
            elif snapshot.status is not PollStatus.FAILED:
                root, n = self._records(transaction, row, kind, snapshot)
                before = row.head_root
            self._write_poll(transaction, row.id, kind, snapshot, n, root, root != before)
            return idx

    def _records(self, transaction: Transaction, row: Any, kind: Kind, snapshot: Snapshot) -> tuple[bytes, int]:
        """Bring a target's tree to what a poll saw; root and number of live positions."""
        connection = transaction.connection
        state = self._state(connection, row.id, row.n_pos, row.head_root)
        changed, gap = changes(state, snapshot, kind)
        brought = {name: asked(snapshot.documents, name) for name in changed.values() if name is not None}
        if gap is not None:
            brought[digest(gap)] = given(gap)
        root = self._apply(transaction, row.id, state, changed, brought)
        if root != row.head_root:
            values = {"n_pos": len(state), "head_root": root}
            connection.execute(sa.update(target).where(target.c.id == row.id).values(values))
        return root, state.live

    def _events(self, connection: Connection, target_id: int, idx: int, snapshot: Snapshot) -> tuple[bytes, int]:
        """Keep the events of a poll that the target does not have yet; root over them, and their number."""
        documents = snapshot.documents
        # an event that could not be described is none: its window is read again
        items = {item.key: item for item in snapshot.items if not documents[item.digest].startswith(b'{"gap":')}
        for known in _kept_before(connection, target_id, snapshot) if items else ():
            items.pop(known, None)
        if not items:
            return EMPTY, 0
        check_keys(items)
        new = sorted(items.values(), key=_key_bytes)
        numbers = self._put(connection, {item.digest: asked(documents, item.digest) for item in new})
        rows = [{"idx": idx, "pos": pos, "key": one.key, "blob_id": numbers[one.digest]} for pos, one in enumerate(new)]
        connection.execute(sa.insert(seen_event), rows)
        return root_of(record_leaf(item.key, item.digest) for item in new), len(new)

    def _write_poll(
        self, transaction: Transaction, target_id: int, kind: Kind, snapshot: Snapshot, n: int, root: bytes | None,
        keep: bool,
    ) -> None:  # fmt: skip
        connection, tape = transaction.connection, snapshot.tape
        window = None if kind is Kind.STATE else snapshot.window
        document = canonical(snapshot.receipt)
        receipt = Receipt(tape.pages, tape.rows, tape.skew_ms, tape.request_id)
        row = PollRow(
            idx=transaction.idx, target_id=target_id, slot_ms=snapshot.slot_ms, start_ms=snapshot.start_ms,
            dur_ms=snapshot.dur_ms, asof_ms=snapshot.asof_ms, from_ms=window.from_ms if window else None,
            to_ms=window.to_ms if window else None, status=snapshot.status.number,
            why=snapshot.why.value if snapshot.why else None, n=n, gaps=snapshot.gaps, calls=tape.calls,
            root=root if keep else None, receipt=pack(receipt), col=snapshot.target.collector, doc=digest(document),
        )  # fmt: skip
        values = {name: value for name, value in row._asdict().items() if name in poll.c}
        values["late_ms"] = None if row.slot_ms is None else row.start_ms - row.slot_ms
        values["behind_ms"] = None if row.asof_ms is None else row.start_ms - row.asof_ms
        values["col_id"] = _collector(connection, row.col)
        values["receipt_blob"] = self._put(connection, {row.doc: given(document)})[row.doc]
        connection.execute(sa.insert(poll), [values])
        body = poll_body(row, receipt, root, kind.value)
        transaction.add(ordered(body), body)

    # -- findings --------------------------------------------------------------------------

    def append_judged(
        self, judging_id: int, at_ms: int, upto: int, rules: bytes, findings: Mapping[str, bytes], unseen: Sequence[int]
    ) -> int:
        """Write what was judged; only findings that changed are stored. Its index comes back.

        `findings` maps `<target id>/<check>/<record key>` to the finding document, for everything but
        the targets in `unseen`, whose findings stay as they were. A finding that is not named is gone.
        LookupError for an unknown scope; ValueError when `upto` falls or a finding is of an unseen target.
        """
        blind = frozenset(unseen)
        digests = {key: digest(document) for key, document in findings.items()}
        if blind and any(target_of(key) in blind for key in digests):
            raise ValueError("a finding about a target that was not seen")
        with self._append() as transaction:
            connection = transaction.connection
            row = connection.execute(sa.select(judging).where(judging.c.id == judging_id)).first()
            if row is None:
                raise LookupError(f"there is no judging scope {judging_id}")
            last = _last_judged(connection, judging_id)
            if not 0 <= upto < transaction.idx or (last is not None and upto < last.upto):
                raise ValueError(f"upto {upto} is not between the one before and {transaction.idx}")
            if last is not None and last.idx > self._memory.clock:
                clock_step(transaction, at_ms, last.at_ms)
            root, fn = self._findings(transaction, row, digests, findings, blind)
            name = digest(rules)
            judged_row = JudgedRow(
                transaction.idx, judging_id, at_ms, upto, pack_ids(sorted(blind)), fn,
                root if root != row.head_root else None, name,
            )  # fmt: skip
            values = judged_row._asdict()
            del values["rules"]
            values["rules_blob"] = self._put(connection, {name: given(rules)})[name]
            connection.execute(sa.insert(judged), [values])
            body = judged_body(judged_row, sorted(blind), root)
            return transaction.add(ordered(body), body)

    def _findings(
        self, transaction: Transaction, row: Any, digests: Mapping[str, bytes], findings: Mapping[str, bytes],
        blind: frozenset[int],
    ) -> tuple[bytes, int]:  # fmt: skip
        """Bring a scope's findings to what was judged; root and number of live ones."""
        connection = transaction.connection
        state = self._state(connection, -row.id, row.n_pos, row.head_root)
        at, held = state.at, state.digests
        changed: dict[str, bytes | None] = {
            key: name for key, name in digests.items() if key not in at or held[at[key]] != name
        }
        brought = {name: given(findings[key]) for key, name in changed.items() if name is not None}
        gone = (key for key in state.standing() if key not in digests and target_of(key) not in blind)
        changed.update(dict.fromkeys(gone))
        root = self._apply(transaction, -row.id, state, changed, brought)
        if root != row.head_root:
            values = {"n_pos": len(state), "head_root": root}
            connection.execute(sa.update(judging).where(judging.c.id == row.id).values(values))
        return root, state.live

    # -- checkpoints -----------------------------------------------------------------------

    def seal(self, at_ms: int) -> str:
        """Sign the log as it stands: a `seal` event that names the note before, and the new note."""
        self._train(at_ms)
        with self._append() as transaction:
            connection = transaction.connection
            newest = sa.select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size.desc()).limit(1)
            last = connection.execute(newest).first()
            before = {"note": sha256(last.note.encode()).hexdigest() if last else None, "size": last and last.size}
            size = self._event(transaction, "seal", before, at_ms) + 1
            note = make(Checkpoint(self.origin, size, transaction.root()), [self.signer])
            connection.execute(sa.insert(checkpoint), [{"size": size, "note": note}])
            return note

    def _train(self, at_ms: int) -> None:
        """Once there are enough documents, learn a dictionary from them."""
        with self.store.read() as connection:
            with self._memory_lock:
                self._memory.catch_up(connection)
                trained = self._memory.dictionary is not None
            count = connection.execute(sa.select(sa.func.max(blob.c.id))).scalar() or 0
            # what could not be learnt from is tried again when there is twice as much
            if trained or count < max(ENOUGH, 2 * self._untrainable):
                return
            data = self.library.train(connection)
        if data is not None:
            self.append_event("dictionary", {"size": len(data)}, at_ms, [data])
        else:
            self._untrainable = count


def given(data: bytes) -> Bring:
    """A document that is at hand."""
    return lambda: data


def asked(documents: Documents, name: bytes) -> Bring:
    """A document of a snapshot, read when it is needed."""
    return lambda: documents[name]


def _refuse_taken(connection: Connection, target_id: int, slot_ms: int | None) -> None:
    if slot_ms is None:
        return
    taken = sa.select(poll.c.idx).where(slot_column == slot_ms, poll.c.target_id == target_id)
    idx = connection.execute(taken).scalar()
    if idx is not None:
        raise SlotTaken(f"slot {slot_ms} of target {target_id} has its poll already: entry {idx}")


def _kept_before(connection: Connection, target_id: int, snapshot: Snapshot) -> Iterator[str]:
    """Keys kept by polls of this target whose window meets the one of this poll."""
    where = [poll.c.target_id == target_id, poll.c.root.is_not(None)]
    if snapshot.window is not None:
        where.append(sa.or_(poll.c.to_ms.is_(None), poll.c.to_ms >= snapshot.window.from_ms))
        where.append(sa.or_(poll.c.from_ms.is_(None), poll.c.from_ms <= snapshot.window.to_ms))
    for batch in batches([idx for (idx,) in connection.execute(sa.select(poll.c.idx).where(*where))]):
        for (key,) in connection.execute(sa.select(seen_event.c.key).where(seen_event.c.idx.in_(batch))):
            yield key


def _collector(connection: Connection, name: str) -> int:
    """Number of a collector, given on first use."""
    number = connection.execute(sa.select(collector.c.id).where(collector.c.name == name)).scalar()
    if number is None:
        number = (connection.execute(sa.select(sa.func.max(collector.c.id))).scalar() or 0) + 1
        connection.execute(sa.insert(collector), [{"id": number, "name": name}])
    return int(number)


def _last_judged(connection: Connection, judging_id: int) -> Any:
    query = sa.select(judged.c.idx, judged.c.upto, judged.c.at_ms).where(judged.c.judging_id == judging_id)
    return connection.execute(query.order_by(judged.c.idx.desc()).limit(1)).first()


def _key_bytes(item: Item) -> bytes:
    return item.key.encode()
