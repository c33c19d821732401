"""Checkpoints: the signed head of the log as a C2SP signed note (tlog-checkpoint, signed-note).

A note is text, an empty line, and signature lines `— <name> base64(key id[4] | signature)`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from agent.ledger.sign import Signer, verifies

_DASH = "— "
_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+")


class BadNote(ValueError):
    """A note that is not one, or whose signature does not hold."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a note says: whose log, how long, which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    value: bytes


def key_id(name: str, public_key: bytes) -> bytes:
    """First 4 bytes of SHA-256(name | 0A | 01 | key): which key a signature line is of."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def good_origin(origin: str) -> bool:
    """Whether this may name a log and its key: no white space, no plus sign, not empty."""
    return bool(_NAME.fullmatch(origin))


def make(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """The note of a checkpoint, signed in the name of its origin by each signer."""
    text = checkpoint.text
    lines = [text, "\n"]
    for signer in signers:
        signature = key_id(checkpoint.origin, signer.public_key) + signer.sign(text.encode())
        lines.append(f"{_DASH}{checkpoint.origin} {base64.b64encode(signature).decode()}\n")
    return "".join(lines)


def parse(note: str) -> tuple[Checkpoint, list[Signature]]:
    """The checkpoint and the signatures of a note, unchecked; BadNote when the form is wrong."""
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise BadNote("the note has no signature")
    lines = f"{text}\n".split("\n")
    if len(lines) != 4 or lines[3]:
        raise BadNote("the checkpoint has not three lines")
    origin, size, root = lines[:3]
    if not good_origin(origin) or not re.fullmatch(r"0|[1-9][0-9]{0,18}", size, re.ASCII):
        raise BadNote("origin or size is malformed")
    checkpoint = Checkpoint(origin, int(size), _decode(root))
    if len(checkpoint.root) != 32:
        raise BadNote("the root is not 32 bytes")
    return checkpoint, [_signature(line) for line in tail[:-1].split("\n")]


def verify(note: str, origin: str, public_key: bytes) -> Checkpoint:
    """The checkpoint of a note signed by this key in the name of `origin`; BadNote otherwise."""
    checkpoint, signatures = parse(note)
    if checkpoint.origin != origin:
        raise BadNote(f"the note is of {checkpoint.origin}, not of {origin}")
    wanted = key_id(origin, public_key)
    for signature in signatures:
        if signature.name == origin and signature.key_id == wanted:
            if verifies(public_key, signature.value, checkpoint.text.encode()):
                return checkpoint
            raise BadNote("the signature does not hold")
    raise BadNote("the note has no signature of this key")


def _signature(line: str) -> Signature:
    name, gap, value = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not gap or not good_origin(name):
        raise BadNote("a signature line is malformed")
    data = _decode(value)
    if len(data) < 5:
        raise BadNote("a signature is too short")
    return Signature(name, data[:4], data[4:])


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadNote("a value is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote("a value is not canonical base64")
    return data
