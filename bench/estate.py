"""An invented estate: a source without a network, one stream, eight checks, everything else the product's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from agent.canonical import canonical, parse
from agent.facts import Context
from agent.facts import Facts as Seen
from agent.ledger import Ledger
from agent.model import Gap, Kind, Reason, Record, Scope, SourceError, Tape, Target, Verdict, failed, passed
from agent.redact import Redactor
from agent.registry import CheckSpec, Registry, StreamSpec
from bench.synthetic import Facts, changed, key_of, make, request_id

STREAM = "invented.s3.buckets"
COLLECTOR = "invented.s3/1"
HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z, when every simulation begins."""


class Estate:
    """Buckets by scope, as they are now; `pass_hour` lets some of them change."""

    def __init__(self, scopes: Sequence[Scope], resources: int, seed: int = 1) -> None:
        self.random = Random(seed)
        self.scopes = scopes
        numbers = iter(range(len(scopes) * resources))
        self.buckets: dict[str, list[Facts]] = {
            scope.name: [make(self.random, next(numbers)) for _ in range(resources)] for scope in scopes
        }

    def pass_hour(self, share: float) -> int:
        """Change this share of the buckets; how many were changed comes back."""
        count = 0
        for buckets in self.buckets.values():
            for number, facts in enumerate(buckets):
                if self.random.random() < share:
                    buckets[number] = changed(self.random, facts)
                    count += 1
        return count


class EstateSource:
    """The estate as a source; a poll fails with this chance, as when a provider does not answer."""

    name = "invented"

    def __init__(self, estate: Estate, failing: float = 0.0, seed: int = 2) -> None:
        self.estate, self.failing = estate, failing
        # one for each scope: the order in which threads ask must not matter
        self._random = {scope.name: Random(f"{seed} {scope.name}") for scope in estate.scopes}

    def scopes(self, per: str) -> Sequence[Scope]:
        """Every scope of the estate."""
        del per
        return self.estate.scopes

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> Sequence[Facts]:
        """The buckets of the scope, and a receipt such as a real poll has."""
        del needs
        buckets, random = self.estate.buckets[scope.name], self._random[scope.name]
        tape.identity = "arn:aws:sts::123456789012:assumed-role/evidence-reader/evidenced"
        tape.endpoint = "https://s3.us-east-1.amazonaws.com"
        tape.operations = {"GetBucketPolicy": {}, "ListBuckets": {"MaxBuckets": 10_000}}
        tape.calls, tape.pages, tape.skew_ms = 1 + 9 * len(buckets), 1, random.randrange(-40, 40)
        tape.request_id = request_id(random)
        if random.random() < self.failing:
            raise SourceError(Gap(Reason.UNREACHABLE, "ListBuckets", "EndpointConnectionError", "s3:ListAllMyBuckets"))
        return buckets

    def close(self) -> None:
        """Nothing is held."""


def look(buckets: Sequence[Facts]) -> Iterator[Record]:
    """Buckets of the estate."""
    for facts in buckets:
        yield Record(key_of(facts), facts)


def look_raw(documents: Sequence[bytes]) -> Iterator[Record]:
    """Buckets as JSON text, parsed here as a client parses an answer."""
    for text in documents:
        facts = parse(text)
        yield Record(key_of(facts), facts)


def stream(look: Callable[..., Iterator[Record]]) -> StreamSpec:
    """The declaration of the invented stream, with this function that looks."""
    return StreamSpec(
        name=STREAM, kind=Kind.STATE, per="account", every_s=3600, needs={}, look=look, version="1", volatile=(),
        unordered=(), tags=(), personal=False, after=(), is_open=None, plugin=None,
    )  # fmt: skip


def target(scope: Scope) -> Target:
    """The hourly target of a scope."""
    return Target(STREAM, scope, Kind.STATE, 3600, COLLECTOR)


def registry() -> Registry:
    """The invented stream and its eight checks."""
    made = Registry()
    made.streams[STREAM] = stream(look)
    for judge in (_encrypted, _tls_only, _readers, _writers, _versioned, _logged, _expiring, _labelled):
        id = "bucket-" + judge.__name__.strip("_").replace("_", "-")
        made.checks[id] = (CheckSpec(id, STREAM, None, (), judge, None),)
    return made


def redactor() -> Redactor:
    """The product's redaction, with a key of its own."""
    return Redactor(b"k" * 32, ())


def raw(facts: Facts) -> bytes:
    """Facts as a source would send them."""
    return canonical(facts)


class Store:
    """A new SQLite ledger in a folder that is removed with it.

    Where only bytes are measured, it need not be `durable`: commits then do not wait for the disk.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._folder = TemporaryDirectory(prefix="evidenced-bench-")
        self.path = Path(self._folder.name) / "evidence.db"
        self.key_file = Path(self._folder.name) / "signing_key"
        self.ledger = Ledger.open(f"sqlite:///{self.path}", self.key_file, create=True, now_ms=START_MS)
        if not durable:
            engine = self.ledger.store.engine
            engine.dispose()
            sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on a connection of its own."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def size(self) -> int:
        """Bytes in use: pages of the database, those in its journal included, without free ones."""
        pages, free, size = (
            self.ask(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
        )  # fmt: skip
        return int((pages - free) * size)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()
        self._folder.cleanup()


def _encrypted(bucket: Seen, ctx: Context) -> Verdict:
    """Objects are encrypted with a key of the customer."""
    del ctx
    rule = bucket["encryption"].list("Rules")[0]
    key = rule["ApplyServerSideEncryptionByDefault"].text("KMSMasterKeyID")
    return passed(f"encrypted with {key}", key=key) if key else failed("encrypted with a key of the provider", key=None)


def _tls_only(bucket: Seen, ctx: Context) -> Verdict:
    """The policy refuses requests that are not encrypted in transit."""
    del ctx
    for statement in bucket["policy"].list("Statement"):
        if statement.text("Effect") == "Deny" and "Condition" in statement:
            return passed(f"statement {statement.text('Sid')} refuses plain requests", statement=statement.text("Sid"))
    return failed("no statement refuses plain requests", statement=None)


def _principals(bucket: Seen, action: str) -> list[str]:
    return sorted(
        name
        for statement in bucket["policy"].list("Statement")
        if action in statement.list("Action")
        for name in statement["Principal"].list("AWS")
    )


def _readers(bucket: Seen, ctx: Context) -> Verdict:
    """Readers are named."""
    del ctx
    names = _principals(bucket, "s3:GetObject")
    return passed(f"{len(names)} named readers", principals=names)


def _writers(bucket: Seen, ctx: Context) -> Verdict:
    """Writers are named."""
    del ctx
    names = _principals(bucket, "s3:PutObject")
    return passed(f"{len(names)} named writers", principals=names)


def _versioned(bucket: Seen, ctx: Context) -> Verdict:
    """Versions are kept."""
    del ctx
    status = bucket["versioning"].text("Status")
    said = f"versioning is {status}"
    return passed(said, versioning=status) if status == "Enabled" else failed(said, versioning=status)


def _logged(bucket: Seen, ctx: Context) -> Verdict:
    """Access is logged."""
    del ctx
    goes_to = bucket["logging"].text("TargetBucket")
    return passed(f"access is logged to {goes_to}", target=goes_to)


def _expiring(bucket: Seen, ctx: Context) -> Verdict:
    """Old versions expire."""
    del ctx
    days = bucket.list("lifecycle")[0]["NoncurrentVersionExpiration"]["NoncurrentDays"]
    said = f"old versions expire after {days} days, limit 90 days"
    return passed(said, days=days) if days <= 90 else failed(said, days=days)


def _labelled(bucket: Seen, ctx: Context) -> Verdict:
    """A data class is set."""
    del ctx
    label = bucket["tags"].text("data_class")
    return passed(f"data class {label}", data_class=label)
