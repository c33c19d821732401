"""The ledger's Ed25519 key: its file, its fingerprint, and signatures in the form of OpenSSH.

The private key is an OpenSSH key file (0600); `ssh-keygen -lf` prints the same fingerprint. Beside
it lies the store's redaction key, made together: 32 random bytes with which secrets are hashed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.errors import StoreError

_TYPE = b"ssh-ed25519"


class Signer(Protocol):
    """Whatever holds an Ed25519 key: a file here, a key service elsewhere."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the public key (RFC 8032)."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of a signature over the data."""
        ...


class FileSigner:
    """A signer whose key was read from a file."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of a signature over the data."""
        return self._key.sign(data)


def redaction_file(key_file: Path) -> Path:
    """Where the redaction key of a key file lies: `<key file>.redact`."""
    return key_file.with_name(key_file.name + ".redact")


def create_key(key_file: Path) -> FileSigner:
    """Make a signing key and its redaction key; StoreError when a file is there or cannot be written."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    try:
        key_file.parent.mkdir(parents=True, exist_ok=True)
        _write_new(redaction_file(key_file), secrets.token_bytes(32))
        _write_new(key_file, text)
    except OSError as error:
        raise StoreError(f"cannot write the signing key {key_file}: {error.strerror}") from None
    return FileSigner(key)


def read_key(key_file: Path) -> FileSigner:
    """The signer of a key file (OpenSSH or PEM); StoreError when it is missing, open to others or no Ed25519 key."""
    data = _read_private(key_file, "signing key")
    load = serialization.load_ssh_private_key if b"OPENSSH" in data[:64] else serialization.load_pem_private_key
    try:
        key = load(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise StoreError(f"{key_file} is no private key without a passphrase in OpenSSH or PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{key_file} is no Ed25519 key")
    return FileSigner(key)


def read_redaction_key(key_file: Path) -> bytes:
    """The 32 bytes kept beside the signing key; StoreError when they are missing."""
    data = _read_private(redaction_file(key_file), "redaction key")
    if len(data) != 32:
        raise StoreError(f"{redaction_file(key_file)} is not 32 bytes")
    return data


def key_blob(public_key: bytes) -> bytes:
    """The public key as OpenSSH encodes it (RFC 8709, 4)."""
    return _string(_TYPE) + _string(public_key)


def fingerprint(public_key: bytes) -> str:
    """`SHA256:...`, as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key_blob(public_key)).digest()).decode().rstrip("=")


def openssh_line(public_key: bytes, comment: str = "") -> str:
    """The public key as one line of an `authorized_keys` or `allowed_signers` file, without principals."""
    return f"ssh-ed25519 {base64.b64encode(key_blob(public_key)).decode()} {comment}".rstrip()


def verifies(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the signature over the data is of this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def sshsig(signer: Signer, data: bytes, namespace: str) -> str:
    """An armored SSHSIG over the data, for `ssh-keygen -Y verify -n <namespace>` (OpenSSH PROTOCOL.sshsig)."""
    about = _string(namespace.encode()) + _string(b"") + _string(b"sha512")
    signed = b"SSHSIG" + about + _string(hashlib.sha512(data).digest())
    signature = _string(_TYPE) + _string(signer.sign(signed))
    blob = b"SSHSIG" + (1).to_bytes(4, "big") + _string(key_blob(signer.public_key)) + about + _string(signature)
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def _string(data: bytes) -> bytes:
    """A string of RFC 4251: its length in 4 bytes, then its bytes."""
    return len(data).to_bytes(4, "big") + data


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that was not there, for the owner alone, and keep it through a power cut."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _read_private(path: Path, what: str) -> bytes:
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise StoreError(f"the {what} {path} is missing", "restore it from its backup") from None
    except OSError as error:
        raise StoreError(f"cannot read the {what} {path}: {error.strerror}") from None
    # a Kubernetes secret mounted for a group is 0440: readable by the group, by nobody else
    if os.name == "posix" and stat.S_IMODE(mode) & 0o027:
        raise StoreError(f"the {what} {path} is open to others", f"chmod 600 {path}")
    return data
