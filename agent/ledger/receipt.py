"""The part of a poll's receipt that differs from poll to poll, in as few bytes as possible.

Bytes: varint pages, varint rows, zigzag varint skew, one tag byte and the request id of the first
call: nothing (tag 0), a lower-case UUID as 16 bytes (1), or text in UTF-8 (2). One receipt has
exactly one encoding, so bytes that decode to it and are not that encoding are refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Receipt(NamedTuple):
    """What a poll line says of its calls besides their number and the receipt document."""

    pages: int
    rows: int
    skew: int
    """Provider's clock minus ours, ms."""
    req: str | None
    """Request id of the first call."""


def pack(receipt: Receipt) -> bytes:
    """The bytes of a receipt."""
    pages, rows, skew, req = receipt
    data = varint(pages) + varint(rows) + varint(-2 * skew - 1 if skew < 0 else 2 * skew)
    if req is None:
        return data + b"\x00"
    if _UUID.fullmatch(req):
        return data + b"\x01" + bytes.fromhex(req.replace("-", ""))
    return data + b"\x02" + req.encode()


def unpack(data: bytes) -> Receipt:
    """The receipt of these bytes; ValueError when they are not the one encoding of it."""
    req: str | None
    if len(data) == 20 and data[3] == 1 and data[0] < 128 and data[1] < 128 and data[2] < 128:
        # what nearly every poll has
        zigzag, text = data[2], data.hex()
        req = f"{text[8:16]}-{text[16:20]}-{text[20:24]}-{text[24:28]}-{text[28:]}"
        return Receipt(data[0], data[1], -(zigzag + 1) // 2 if zigzag & 1 else zigzag >> 1, req)
    pages, at = _read(data, 0)
    rows, at = _read(data, at)
    zigzag, at = _read(data, at)
    tag, rest = data[at : at + 1], data[at + 1 :]
    if tag == b"\x01" and len(rest) == 16:
        text = rest.hex()
        req = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    elif tag == b"\x02":
        req = rest.decode()
        if _UUID.fullmatch(req):
            raise ValueError("a UUID kept as text")
    elif tag == b"\x00" and not rest:
        req = None
    else:
        raise ValueError("a receipt of unknown form")
    return Receipt(pages, rows, -(zigzag + 1) // 2 if zigzag & 1 else zigzag >> 1, req)


def pack_ids(ids: list[int]) -> bytes | None:
    """Ascending numbers as varints of their differences; nothing for none."""
    if not ids:
        return None
    if any(later <= earlier for earlier, later in zip([-1, *ids], ids, strict=False)):
        raise ValueError("the numbers do not ascend")
    return b"".join(varint(later - earlier) for earlier, later in zip([0, *ids], ids, strict=False))


def unpack_ids(data: bytes | None) -> list[int]:
    """The numbers of `pack_ids`; ValueError when the bytes are not the one encoding of them."""
    if data is None:
        return []
    ids: list[int] = []
    at = last = 0
    while at < len(data):
        step, at = _read(data, at)
        if step == 0 and ids:
            raise ValueError("a number twice")
        last += step
        ids.append(last)
    if not ids:
        raise ValueError("an empty list that is not null")
    return ids


def varint(number: int) -> bytes:
    """A number from 0 to 2^56 as LEB128, least significant group first."""
    if 0 <= number < 128:
        return _SMALL[number]
    if number < 0:
        raise ValueError("a negative number")
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


_SMALL = [bytes((number,)) for number in range(128)]


def _read(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ValueError("bytes end within a number")
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    number, shift = byte & 127, 7
    while True:
        if at >= len(data) or shift > 49:
            raise ValueError("bytes end within a number, or it is too long")
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            if byte == 0:
                raise ValueError("a number longer than it need be")
            return number, at
        shift += 7
