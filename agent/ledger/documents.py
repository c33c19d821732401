"""Content-addressed documents: kept once, compressed, found by digest.

Codecs: 0 as it is, 1 zlib, 2 zstd, 3 zstd with a dictionary that is itself a document, trained once
there are enough documents to learn from. Whatever is smallest is kept.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
import zstandard
from sqlalchemy.engine import Connection

from agent.canonical import digest as digest_of
from agent.ledger.schema import blob

RAW, ZLIB, ZSTD, ZSTD_DICTIONARY = range(4)
DICTIONARY_SIZE = 16 * 1024
ENOUGH = 1_000
"""Documents there must be before a dictionary is trained."""

_SAMPLES = 2_000
_BATCH = 400
_LARGEST = 1 << 30

T = TypeVar("T")


class BadDocument(ValueError):
    """Stored bytes that are not the document they are kept as."""


class Codecs:
    """Compresses and decompresses; dictionaries are read once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}

    def pack(self, data: bytes, dictionary_id: int | None) -> tuple[int, bytes]:
        """The codec that keeps these bytes smallest, and what it keeps."""
        best = (RAW, data)
        if len(data) > 32:
            best = min(best, (ZLIB, zlib.compress(data, 9)), key=_length)
            if dictionary_id is not None:
                best = min(best, (ZSTD_DICTIONARY, self._compressor(dictionary_id).compress(data)), key=_length)
        return best

    def unpack(self, codec: int, z: bytes, size: int, dictionary_id: int | None) -> bytes:
        """The bytes of a document; BadDocument when they do not come out whole and alone."""
        if not 0 <= size <= _LARGEST:
            raise BadDocument(f"a size of {size}")
        if (codec == ZSTD_DICTIONARY) != (dictionary_id is not None):
            raise BadDocument("codec and dictionary do not agree")
        if codec == RAW:
            data = z
        elif codec == ZLIB:
            data = _inflate(z, size)
        elif codec in (ZSTD, ZSTD_DICTIONARY):
            data = self._unzstd(z, size, dictionary_id)
        else:
            raise BadDocument(f"codec {codec} is unknown")
        if len(data) != size:
            raise BadDocument(f"{len(data)} bytes instead of {size}")
        return data

    def learn(self, dictionary_id: int, data: bytes) -> None:
        """Make a dictionary known by the number of its document."""
        if dictionary_id not in self._dictionaries:
            self._dictionaries[dictionary_id] = zstandard.ZstdCompressionDict(data)

    def knows(self, dictionary_id: int) -> bool:
        """Whether the dictionary was learnt."""
        return dictionary_id in self._dictionaries

    def _compressor(self, dictionary_id: int) -> zstandard.ZstdCompressor:
        def make() -> zstandard.ZstdCompressor:
            return zstandard.ZstdCompressor(level=3, dict_data=self._dictionaries[dictionary_id])

        return self._once(("c", dictionary_id), make)

    def _unzstd(self, z: bytes, size: int, dictionary_id: int | None) -> bytes:
        def make() -> zstandard.ZstdDecompressor:
            if dictionary_id is None:
                return zstandard.ZstdDecompressor()
            if dictionary_id not in self._dictionaries:
                raise BadDocument(f"document {dictionary_id} is no dictionary")
            return zstandard.ZstdDecompressor(dict_data=self._dictionaries[dictionary_id])

        try:
            if zstandard.frame_content_size(z) != size:
                raise BadDocument("the frame is of another size")
            return self._once(("d", dictionary_id), make).decompress(z, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise BadDocument(str(error)) from None

    def _once(self, name: tuple[str, int | None], make: Callable[[], T]) -> T:
        """One compressor a thread: none of them may be shared."""
        made: dict[Any, Any] = self._local.__dict__
        if name not in made:
            made[name] = make()
        found: T = made[name]
        return found


def _length(candidate: tuple[int, bytes]) -> int:
    return len(candidate[1])


def _inflate(z: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(z, size + 1)
    except zlib.error as error:
        raise BadDocument(str(error)) from None
    if not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise BadDocument("the stream ends early or late")
    return data


class Library:
    """The documents of a store."""

    def __init__(self) -> None:
        self.codecs = Codecs()

    def find(self, connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
        """Numbers of the documents that are kept, by digest."""
        found: dict[bytes, int] = {}
        for batch in batches(digests):
            rows = connection.execute(sa.select(blob.c.digest, blob.c.id).where(blob.c.digest.in_(batch)))
            found.update((bytes(digest), number) for digest, number in rows)
        return found

    def put(
        self, connection: Connection, documents: Mapping[bytes, Callable[[], bytes]], dictionary_id: int | None
    ) -> dict[bytes, int]:
        """Keep what is not kept yet; numbers of all, by digest. Bytes are only asked for where needed."""
        numbers = self.find(connection, documents)
        missing = [digest for digest in documents if digest not in numbers]
        if not missing:
            return numbers
        self.know(connection, dictionary_id)
        last = connection.execute(sa.select(sa.func.max(blob.c.id))).scalar() or 0
        for batch in batches(missing):
            rows = []
            for digest in batch:
                data = documents[digest]()
                if digest_of(data) != digest:
                    raise ValueError("a document differs from its digest")
                codec, z = self.codecs.pack(data, dictionary_id)
                last += 1
                numbers[digest] = last
                used = dictionary_id if codec == ZSTD_DICTIONARY else None
                rows.append(
                    {"id": last, "digest": digest, "size": len(data), "codec": codec, "dictionary_id": used, "z": z}
                )
            connection.execute(sa.insert(blob), rows)
        return numbers

    def read(self, connection: Connection, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of documents, in the order asked for; one that is pruned is left out.

        KeyError for a number that is not kept, BadDocument for bytes that do not come out.
        """
        for batch in batches(numbers):
            rows = connection.execute(
                sa.select(blob.c.id, blob.c.codec, blob.c.z, blob.c.size, blob.c.dictionary_id).where(
                    blob.c.id.in_(batch)
                )
            ).all()
            kept = {row[0]: row for row in rows}
            for number in batch:
                _, codec, z, size, dictionary_id = kept[number]
                if z is not None:
                    self.know(connection, dictionary_id)
                    yield number, self.codecs.unpack(codec, bytes(z), size, dictionary_id)

    def know(self, connection: Connection, dictionary_id: int | None) -> None:
        """Learn a dictionary before it is needed."""
        if dictionary_id is None or self.codecs.knows(dictionary_id):
            return
        row = connection.execute(
            sa.select(blob.c.codec, blob.c.z, blob.c.size).where(
                blob.c.id == dictionary_id, blob.c.dictionary_id.is_(None)
            )
        ).first()
        if row is None or row[1] is None:
            raise BadDocument(f"the dictionary {dictionary_id} is missing")
        self.codecs.learn(dictionary_id, self.codecs.unpack(row[0], bytes(row[1]), row[2], None))

    def train(self, connection: Connection) -> bytes | None:
        """A dictionary learnt from documents spread over all that are kept; None while there are too few."""
        count, last = connection.execute(sa.select(sa.func.count(), sa.func.max(blob.c.id))).one()
        if count < ENOUGH:
            return None
        step = max(1, last // _SAMPLES)
        spread = self.read(connection, _spread(connection, step))
        samples: list[Any] = [data for _, data in spread if len(data) <= 64 * 1024]
        try:
            return zstandard.train_dictionary(DICTIONARY_SIZE, samples).as_bytes()
        except zstandard.ZstdError:
            return None


def _spread(connection: Connection, step: int) -> Sequence[int]:
    rows = connection.execute(sa.select(blob.c.id).where(blob.c.id % step == 0).order_by(blob.c.id).limit(_SAMPLES))
    return [number for (number,) in rows]


def batches(things: Iterable[T], size: int = _BATCH) -> Iterator[list[T]]:
    """The things, a few hundred at a time: no statement takes any number of parameters."""
    rest = iter(things)
    while batch := list(islice(rest, size)):
        yield batch
