"""Notes and keys, against openssl and ssh-keygen where they have an opinion."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.ledger.checkpoint import BadNote, Checkpoint, key_id, make, parse, verify
from agent.ledger.sign import (
    FileSigner,
    create_key,
    fingerprint,
    openssh_line,
    read_key,
    read_redaction_key,
    redaction_file,
    sshsig,
    verifies,
)

ORIGIN = "evidenced/0a1b2c3d"
CHECKPOINT = Checkpoint(ORIGIN, 4711, bytes(range(32)))


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    return create_key(tmp_path / "ledger.key")


def run(*words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in words], input=data, capture_output=True, timeout=30, check=False)


def test_note_round_trip(signer: FileSigner) -> None:
    note = make(CHECKPOINT, [signer])
    assert note.startswith(f"{ORIGIN}\n4711\n{base64.b64encode(CHECKPOINT.root).decode()}\n\n— {ORIGIN} ")
    assert verify(note, ORIGIN, signer.public_key) == CHECKPOINT
    assert parse(note)[0] == CHECKPOINT


def test_note_of_the_signed_note_specification() -> None:
    """The example of golang.org/x/mod/sumdb/note, where the format comes from."""
    name, number, key = ["PeterNeumann", "c74f20a3", "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    public_key, signature = base64.b64decode(key)[1:], base64.b64decode(line)
    assert key_id(name, public_key).hex() == number
    assert signature[:4].hex() == number
    assert verifies(public_key, signature[4:], text.encode())


def test_two_keys_sign_one_note(signer: FileSigner, tmp_path: Path) -> None:
    other = create_key(tmp_path / "other.key")
    note = make(CHECKPOINT, [signer, other])
    assert verify(note, ORIGIN, other.public_key) == verify(note, ORIGIN, signer.public_key) == CHECKPOINT


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("4711", "4712"),
        lambda note: note.replace("4711", "04711"),
        lambda note: note.replace("\n\n", "\nextension\n\n"),
        lambda note: note.replace("AAEC", "AAED"),
        lambda note: note.replace("— ", "- "),
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace(ORIGIN, "somebody/else"),
        lambda note: note.partition("\n\n")[0] + "\n",
        lambda note: "",
        lambda note: note.replace("Hh8=", "Hh9="),
        lambda note: note[:-10] + "A" + note[-9:] if note[-10] != "A" else note[:-10] + "B" + note[-9:],
    ],
)
def test_altered_note(signer: FileSigner, change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadNote):
        verify(change(make(CHECKPOINT, [signer])), ORIGIN, signer.public_key)


def test_note_of_another_key(signer: FileSigner, tmp_path: Path) -> None:
    other = create_key(tmp_path / "other.key")
    with pytest.raises(BadNote, match="no signature of this key"):
        verify(make(CHECKPOINT, [other]), ORIGIN, signer.public_key)


def test_openssl_agrees(signer: FileSigner, tmp_path: Path) -> None:
    note = make(CHECKPOINT, [signer])
    _, signatures = parse(note)
    # SubjectPublicKeyInfo of Ed25519 (RFC 8410) is a fixed prefix and the key
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + signer.public_key)
    (tmp_path / "text").write_bytes(CHECKPOINT.text.encode())
    (tmp_path / "signature").write_bytes(signatures[0].value)
    words = ("pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", tmp_path / "key.der", "-rawin")
    done = run("openssl", *words, "-in", tmp_path / "text", "-sigfile", tmp_path / "signature")
    assert done.returncode == 0, done.stderr
    (tmp_path / "text").write_bytes(CHECKPOINT.text.encode() + b" ")
    assert run("openssl", *words, "-in", tmp_path / "text", "-sigfile", tmp_path / "signature").returncode != 0


def test_ssh_keygen_reads_the_key(signer: FileSigner, tmp_path: Path) -> None:
    key_file = tmp_path / "ledger.key"
    assert fingerprint(signer.public_key) in run("ssh-keygen", "-lf", key_file).stdout.decode()
    public = run("ssh-keygen", "-yf", key_file).stdout.decode().strip()
    assert public.startswith(openssh_line(signer.public_key))
    for path in (key_file, redaction_file(key_file)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_redaction_key(key_file)) == 32


def test_key_made_by_ssh_keygen_and_by_openssl(tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ssh.key")
    listed = run("ssh-keygen", "-lf", tmp_path / "ssh.key").stdout.decode()
    assert fingerprint(read_key(tmp_path / "ssh.key").public_key) in listed
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "pem.key")
    (tmp_path / "pem.key").chmod(0o600)
    signer = read_key(tmp_path / "pem.key")
    assert verifies(signer.public_key, signer.sign(b"x"), b"x")


def test_ssh_keygen_verifies_sshsig(signer: FileSigner, tmp_path: Path) -> None:
    data = b"0" * 5000 + b"  manifest.json\n"
    (tmp_path / "SHA256SUMS.sig").write_text(sshsig(signer, data, "evidenced-bundle"))
    (tmp_path / "allowed").write_text(f"ledger {openssh_line(signer.public_key)}\n")

    def check(namespace: str, given: bytes) -> int:
        words = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "ledger", "-n", namespace)
        return run("ssh-keygen", *words, "-s", tmp_path / "SHA256SUMS.sig", data=given).returncode

    assert check("evidenced-bundle", data) == 0
    assert check("evidenced-bundle", data + b"x") != 0
    assert check("file", data) != 0


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.chmod(0o644), "open to others"),
        (lambda path: path.write_text("no key"), "no private key"),
        (lambda path: path.write_text(_rsa()), "no Ed25519 key"),
    ],
)
def test_keys_that_are_none(signer: FileSigner, tmp_path: Path, prepare, says: str) -> None:  # type: ignore[no-untyped-def]
    prepare(tmp_path / "ledger.key")
    with pytest.raises(StoreError, match=says):
        read_key(tmp_path / "ledger.key")


def test_key_is_never_overwritten(signer: FileSigner, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        create_key(tmp_path / "ledger.key")
    assert read_key(tmp_path / "ledger.key").public_key == signer.public_key


def _rsa() -> str:
    return run("openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048").stdout.decode()
