"""Checking an SSH signature (SSHSIG, Ed25519), as `ssh-keygen -Y verify` does (OpenSSH PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from agent.ledger.sign import key_blob, verifies

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


class BadSignature(ValueError):
    """A signature that is malformed, of another kind or namespace, or does not hold."""


def signer_of(armored: str, data: bytes, namespace: str) -> bytes:
    """The 32 bytes of the public key whose signature over the data holds; BadSignature otherwise."""
    blob = _Reader(_decoded(armored))
    if blob.take(6) != b"SSHSIG" or blob.take(4) != (1).to_bytes(4, "big"):
        raise BadSignature("no SSH signature of version 1")
    public_key = _ed25519(blob.string(), 32)
    space, reserved, hash_name, signature = blob.string(), blob.string(), blob.string(), blob.string()
    blob.end()
    if space != namespace.encode():
        raise BadSignature(f"the signature was made for {space.decode(errors='replace')!r}, not for {namespace!r}")
    if hash_name not in _HASHES:
        raise BadSignature("the signature uses an unknown hash")
    signed = b"SSHSIG" + b"".join(
        map(_string, (space, reserved, hash_name, _HASHES[hash_name](data).digest()))
    )  # fmt: skip
    if not verifies(public_key, _ed25519(signature, 64), signed):
        raise BadSignature("the signature does not fit the data")
    return public_key


def public_key_of(line: str) -> bytes:
    """The key of an `allowed_signers` line; BadSignature when it holds no Ed25519 key."""
    words = line.split()
    if "ssh-ed25519" not in words[:-1]:
        raise BadSignature("no ssh-ed25519 key")
    try:
        blob = base64.b64decode(words[words.index("ssh-ed25519") + 1], validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("the key is not base64") from None
    key = _ed25519(blob, 32)
    if key_blob(key) != blob:
        raise BadSignature("the key is malformed")
    return key


def _decoded(armored: str) -> bytes:
    lines = armored.replace("\r\n", "\n").strip().split("\n")
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSignature("no armored SSH signature")
    try:
        return base64.b64decode("".join(lines[1:-1]).encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise BadSignature("the signature is not base64") from None


def _ed25519(blob: bytes, size: int) -> bytes:
    reader = _Reader(blob)
    kind, value = reader.string(), reader.string()
    reader.end()
    if kind != b"ssh-ed25519" or len(value) != size:
        raise BadSignature("not of Ed25519")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise BadSignature("the signature ends too early")
        self._at += count
        return part

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def end(self) -> None:
        if self._at != len(self._data):
            raise BadSignature("the signature goes on after its end")


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
