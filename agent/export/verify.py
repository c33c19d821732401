"""`evidenced verify BUNDLE.zip`: hygiene, hashes, signature, the ledger by replay, and the counts.

The zip is read in place and trusted in nothing. Whatever is wrong becomes a problem with its
place in the report; what holds only within a limit is listed as one, every time.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from agent.clock import iso
from agent.export.about import NAMESPACE
from agent.export.archive import Archive
from agent.export.sshsig import BadSignature, public_key_of, signer_of
from agent.export.tree import SIGNATURE, SUMS, good_name
from agent.ledger.replay import Change, Replay, Seen
from agent.ledger.sign import fingerprint
from agent.ledger.verify import Report

FORMAT = "evidenced-bundle/1"
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError, csv.Error)
_POLL, _JUDGED = 1, 2
_BODY, _DIGEST = b'{"body":', b',"sha256":"'
_NEEDED = (
    SUMS, SIGNATURE, "allowed_signers", "manifest.json", "START-HERE.html", "README.txt", "report/report.html",
    "evidence/items.jsonl", "ledger/checkpoint.note", "ledger/checkpoints.jsonl", "ledger/keys.json",
    "ledger/entries-000001.jsonl", "ledger/changes.jsonl", "ledger/state0.jsonl", "ledger/left.json",
    "ledger/right.json",
)  # fmt: skip


def verify_bundle(path: Path, key: str | None = None) -> Report:
    """Verify a bundle; UsageError when there is no such file, anything else that is wrong is in the report.

    `key` is the fingerprint the auditor was given by another road (`SHA256:…`).
    """
    report = Report()
    try:
        archive = Archive(path)
    except ValueError as error:
        report.complain("zip", path.name, str(error))
        return report
    with archive:
        if archive.admit(report.complain):
            _Verification(archive, report).run(key)
    return report


class _Verification:
    """One verification under way."""

    def __init__(self, archive: Archive, report: Report) -> None:
        self.archive, self.report, self.complain = archive, report, report.complain
        self.referred: set[bytes] = set()
        self.held: set[bytes] = set()
        self.signer: bytes | None = None
        self.kinds = bytearray()
        """One byte an entry: what it is."""
        self.shown: set[bytes] = set()
        """What each entry brought: index, target, key and digest, hashed to 16 bytes."""

    def run(self, key: str | None) -> None:
        for name in _NEEDED:
            if name not in self.archive:
                self.complain("missing", name, "the bundle has no such file")
        self._guarded(SUMS, self._sums)
        self._guarded(SIGNATURE, self._signature)
        self._key(key)
        replay = Replay(self.complain, refer=self.referred.add)
        self._guarded("ledger", lambda: self._replay(replay))
        self._guarded("ledger/documents", self._documents)
        self._guarded("ledger", lambda: self._references(replay))
        self._guarded("evidence/items.jsonl", self._items)
        self._guarded("manifest.json", lambda: self._manifest(replay))
        self._limits(replay, key)

    def _guarded(self, place: str, step: Callable[[], None]) -> None:
        """Take a step; what a hostile file makes of it is a problem at its place."""
        try:
            step()
        except _MALFORMED as error:
            self.complain("malformed", place, f"{type(error).__name__}: {ascii(str(error))[1:200]}")

    # -- files -----------------------------------------------------------------------------

    def _sums(self) -> None:
        listed: dict[str, str] = {}
        for line in self.archive.whole(SUMS).decode("ascii").splitlines():
            digest, gap, name = line[:64], line[64:66], line[66:]
            if gap != "  " or not good_name(name) or name in listed:
                self.complain("sums", SUMS, f"a malformed line: {ascii(line[:80])}")
                continue
            listed[name] = digest
        there = set(self.archive.names()) - {SUMS, SIGNATURE}
        for name in sorted(there - listed.keys()):
            self.complain("extra", name, "the file is not in SHA256SUMS")
        for name in sorted(listed.keys() - there):
            self.complain("missing", name, "SHA256SUMS names it, and the zip has it not")
        for name in sorted(there & listed.keys()):
            self._guarded(name, lambda name=name: self._sum(name, listed[name]))  # type: ignore[misc]

    def _sum(self, name: str, digest: str) -> None:
        if self.archive.digest(name) != digest:
            self.complain("changed", name, "the file differs from its digest in SHA256SUMS")

    def _signature(self) -> None:
        sums, armored = self.archive.whole(SUMS), self.archive.whole(SIGNATURE, 1 << 16).decode("ascii")
        try:
            self.signer = signer_of(armored, sums, NAMESPACE)
        except BadSignature as error:
            self.complain("signature", SIGNATURE, str(error))
            return
        self.report.fingerprint = fingerprint(self.signer)
        try:
            offered = public_key_of(self.archive.whole("allowed_signers", 1 << 16).decode("ascii"))
        except BadSignature as error:
            self.complain("signature", "allowed_signers", str(error))
            return
        if offered != self.signer:
            self.complain("signature", "allowed_signers", "another key than the one that signed")

    def _key(self, key: str | None) -> None:
        if key is None or self.signer is None:
            return
        wanted = key.strip().rstrip("=")
        wanted = wanted if wanted.startswith("SHA256:") else f"SHA256:{wanted}"
        if wanted != fingerprint(self.signer):
            self.complain("key", SIGNATURE, f"signed by {fingerprint(self.signer)}, not by {ascii(key)[1:-1][:80]}")

    # -- ledger ----------------------------------------------------------------------------

    def _replay(self, replay: Replay) -> None:
        left, right = self._json("ledger/left.json"), self._json("ledger/right.json")
        if (
            left != {"first": 0, "hashes": []}
            or right["hashes"]
            or next(self.archive.lines("ledger/state0.jsonl"), None)
        ):
            self.complain("window", "ledger", "only bundles that hold the whole ledger can be verified")
            return
        notes = list(self._notes())
        replay.run(self._entries(), self._changes(), self._seen(), notes)
        report = self.report
        report.counts.update(replay.counts)
        report.size, report.root, report.sealed = replay.log.size, replay.log.root(), replay.sealed
        report.origin = replay.origin
        if not replay.events or replay.events[0]["k"] != "genesis":
            self.complain("genesis", "entry 0", "the log does not begin with its genesis")
        if right["last"] != replay.log.size or right["size"] != replay.log.size or replay.sealed != replay.log.size:
            self.complain("checkpoint", "ledger", "the entries do not end at the newest checkpoint")
        if not notes or self.archive.whole("ledger/checkpoint.note", 1 << 16).decode() != notes[-1][1]:
            self.complain("checkpoint", "ledger/checkpoint.note", "not the newest of the checkpoints")
        keys = self._json("ledger/keys.json")
        if replay.key is None or base64.b64encode(replay.key).decode() != keys["newest"]:
            self.complain("key", "ledger/keys.json", "not the key that the ledger names")
        if self.signer is not None and replay.key != self.signer:
            self.complain("key", SIGNATURE, "the bundle is not signed by the key of its ledger")

    def _entries(self) -> Iterator[tuple[int, bytes, None]]:
        idx = 0
        for name in self._files("ledger/entries-"):
            for line in self.archive.lines(name):
                self.kinds.append(_POLL if b'"k":"poll"' in line else _JUDGED if b'"k":"judged"' in line else 0)
                yield idx, line, None
                idx += 1

    def _is(self, idx: int, kind: int) -> bool:
        """Whether the ledger has such an entry there; unless the line is malformed, which is a problem already."""
        return 0 <= idx < len(self.kinds) and self.kinds[idx] == kind

    def _files(self, prefix: str) -> list[str]:
        return [name for name in self.archive.names() if name.startswith(prefix)]

    def _notes(self) -> Iterator[tuple[int, str]]:
        for body in self._jsonl("ledger/checkpoints.jsonl"):
            yield int(body["size"]), str(body["note"])

    def _changes(self) -> Iterator[Change]:
        for body in self._jsonl("ledger/changes.jsonl"):
            if "event" not in body:
                digest = body["sha256"]
                held = None if digest is None else bytes.fromhex(digest)
                self.shown.add(_brought(body["idx"], max(body["tree"], 0), body["key"], digest))
                yield int(body["idx"]), int(body["tree"]), int(body["pos"]), str(body["key"]), held

    def _seen(self) -> Iterator[Seen]:
        for body in self._jsonl("ledger/changes.jsonl"):
            if "event" in body:
                self.shown.add(_brought(body["idx"], 0, body["key"], body["sha256"]))
                yield int(body["idx"]), int(body["pos"]), str(body["key"]), bytes.fromhex(body["sha256"])

    def _documents(self) -> None:
        for name in self._files("ledger/documents/"):
            self._guarded(name, lambda name=name: self._documents_in(name))  # type: ignore[misc]
        self.report.counts["documents"] = len(self.held)

    def _documents_in(self, name: str) -> None:
        for number, line in enumerate(self.archive.lines(name), start=1):
            data, digest = _document(line)
            if sha256(data).digest() != digest:
                self.complain("document", f"{name} line {number}", "the document differs from its digest")
            if digest in self.held:
                self.complain("document", f"{name} line {number}", "the document is there twice")
            self.held.add(digest)

    def _references(self, replay: Replay) -> None:
        pruned = {
            bytes.fromhex(name) for body in replay.events if body["k"] == "prune" for name in body.get("digests", ())
        }
        for digest in sorted(self.referred - self.held - pruned):
            self.complain("document", digest.hex(), "something refers to it, and the bundle has it not")
        for digest in sorted(self.held - self.referred):
            self.complain("document", digest.hex(), "nothing refers to it")
        absent = len((self.referred - self.held) & pruned)
        if absent:
            self.report.limits.append(f"{absent} documents were pruned: their digests still hold")

    # -- what is said of it ----------------------------------------------------------------

    def _items(self) -> None:
        count = 0
        for number, body in enumerate(self._jsonl("evidence/items.jsonl"), start=1):
            count += 1
            place = f"evidence/items.jsonl line {number}"
            named = [body["record"], body["receipt"]["doc"]]
            for finding in body["findings"]:
                named += [finding["finding"], finding["rules"]]
                poll, judged = finding["evidence"]
                key = f"{body['ledger']['target']}/{finding['check']}/{body['subject']}"
                if not self._is(poll, _POLL) or not self._is(judged, _JUDGED):
                    self.complain("item", place, "a finding of polls or judged lines that the ledger has not")
                if _brought(judged, 0, key, finding["finding"]) not in self.shown:
                    self.complain("item", place, "a finding that its judged line did not bring")
            first, record = body["observed"]["first_idx"], body["record"]
            told = (_brought(first, of, body["subject"], record) for of in (body["ledger"]["target"], 0))
            if not any(one in self.shown for one in told):
                self.complain("item", place, "a record that its first poll did not bring")
            if any(bytes.fromhex(digest) not in self.held for digest in named):
                self.complain("item", place, "names a document that the bundle has not")
            if not all(self._is(body["observed"][name], _POLL) for name in ("first_idx", "last_idx")):
                self.complain("item", place, "names polls that the ledger has not")
        self.report.counts["items"] = count

    def _manifest(self, replay: Replay) -> None:
        manifest = self._json("manifest.json")
        if manifest["format"] != FORMAT:
            self.complain("manifest", "manifest.json", f"of an unknown format: {ascii(manifest['format'])[:60]}")
            return
        counts, ledger = manifest["counts"], manifest["ledger"]
        genesis = replay.events[0] if replay.events else {}
        told: dict[str, tuple[Any, Any]] = {
            "ledger.origin": (ledger["origin"], replay.origin),
            "ledger.size": (ledger["size"], replay.log.size),
            "ledger.root": (ledger["root"], replay.log.root().hex()),
            "demo": (manifest["demo"], bool(genesis.get("demo"))),
            "signing_key": (manifest["signing_key"]["fingerprint"], self.report.fingerprint),
            "counts.items": (counts["items"], self.report.counts.get("items")),
            "counts.documents": (counts["documents"], len(self.held)),
            **{f"counts.{name}": (counts[name], replay.counts[name]) for name in ("polls", "judged", "events")},
        }
        for name, rows in counts["tables"].items():
            told[f"counts.tables.{name}"] = (rows, self._rows(f"tables/{name}.csv"))
        if "slots" in counts["tables"]:
            told["counts.slots"] = (counts["slots"], self._slots())
        told["counts.deviations"] = (counts["deviations"], counts["tables"]["deviations"])
        sheets = [name for name in self._files("populations/") if name.endswith(".ipe.json")]
        told["counts.populations"] = (counts["populations"], len(sheets))
        for name in sheets:
            told[name] = self._population(name)
        for name, (said, found) in told.items():
            if said != found:
                self.complain("manifest", name, f"{ascii(said)[:80]} is said, {ascii(found)[:80]} is there")

    def _rows(self, name: str) -> int:
        """Rows of a CSV file without its first: a line ends a row where its quotes are closed."""
        rows, quotes = -1, 0
        for line in self.archive.lines(name):
            quotes += line.count(b'"')
            rows += quotes % 2 == 0
        return rows

    def _slots(self) -> dict[str, int]:
        lines = (line.decode("utf-8-sig") for line in self.archive.lines("tables/slots.csv"))
        rows = csv.DictReader(lines)
        count = Counter(row["coverage"] for row in rows)
        names = ("covered", "bridged", "failed", "missed")
        return {"owed": count.total(), **{name: count[name] for name in names}}

    def _population(self, name: str) -> tuple[Any, Any]:
        sheet = self._json(name)
        total, rows = hashlib.sha256(), 0
        for line in self.archive.lines(name.removesuffix(".ipe.json") + ".jsonl"):
            total.update(line + b"\n")
            rows += 1
        return (sheet["rows"], sheet["digest"]), (rows, f"sha256:{total.hexdigest()}")

    def _limits(self, replay: Replay, key: str | None) -> None:
        limits = self.report.limits
        if key is None:
            limits.append("fingerprint not compared: give --key as you were told it by another road than the bundle")
        genesis = replay.events[0] if replay.events and replay.events[0]["k"] == "genesis" else None
        anchors = sum(1 for body in replay.events if body["k"] == "anchor")
        if anchors:
            limits.append(
                f"{anchors} anchors are on record; their receipts are not in this bundle, so none was checked"
            )
        elif genesis is not None:
            limits.append(
                f"unanchored since {iso(int(genesis['at']))}: nothing outside the bundle shows when it was written"
            )
        if genesis is not None and genesis.get("demo"):
            limits.append("a demonstration: nothing in it is real")
        for body in replay.events:
            if body["k"] == "recovery":
                limits.append(
                    f"declared loss of entries {body.get('first')} to {body.get('last')}: {body.get('reason')}"
                )
            if body["k"] == "key" and body.get("lost"):
                limits.append(f"the key was replaced in entry {body['idx']} without the signature of the one before it")

    # -- reading ---------------------------------------------------------------------------

    def _json(self, name: str) -> Any:
        return orjson.loads(self.archive.whole(name))

    def _jsonl(self, name: str) -> Iterator[Any]:
        return (orjson.loads(line) for line in self.archive.lines(name))


def _brought(idx: int, target: int, key: str, digest: str | None) -> bytes:
    return sha256(f"{idx}|{target}|{key}|{digest}".encode()).digest()[:16]


def _document(line: bytes) -> tuple[bytes, bytes]:
    """Bytes and digest of a line of `ledger/documents/`."""
    if line.startswith(_BODY) and line[-77:-66] == _DIGEST and line.endswith(b'"}'):
        return line[len(_BODY) : -77], bytes.fromhex(line[-66:-2].decode())
    body = orjson.loads(line)
    if body.keys() != {"base64", "sha256"}:
        raise ValueError("a document of unknown form")
    return base64.b64decode(body["base64"], validate=True), bytes.fromhex(body["sha256"])
