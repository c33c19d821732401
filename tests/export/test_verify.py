"""Whatever is done to a bundle is found and named; whatever it is made of, nothing but a report comes back."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.export.about import NAMESPACE
from agent.export.tree import SIGNATURE, SUMS
from agent.export.verify import verify_bundle
from agent.ledger.sign import create_key, sshsig
from tests.export.conftest import Made

Files = dict[str, bytes]


def files(made: Made) -> Files:
    with zipfile.ZipFile(made.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, content: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(content.items()):
            archive.writestr(name, data)
    return path


def resealed(made: Made, content: Files) -> Files:
    """As the holder of the key could do it: new sums, a new good signature."""
    import hashlib

    names = sorted(content.keys() - {SUMS, SIGNATURE})
    sums = "".join(f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in names).encode()
    return {**content, SUMS: sums, SIGNATURE: sshsig(made.ledger.signer, sums, NAMESPACE).encode()}


def codes(path: Path, key: str | None = None) -> set[tuple[str, str]]:
    return {(problem.code, problem.place) for problem in verify_bundle(path, key).problems}


def test_a_good_bundle_passes_within_its_limits(made: Made) -> None:
    report = verify_bundle(made.path)
    assert report.result == "PASS WITH LIMITS"
    assert any("fingerprint not compared" in limit for limit in report.limits)
    assert any("unanchored since 2026-03-01" in limit for limit in report.limits)
    assert any("demonstration" in limit for limit in report.limits)
    assert report.fingerprint == made.ledger.fingerprint
    assert report.size == made.exported.manifest["ledger"]["size"]


def test_the_fingerprint_is_compared(made: Made) -> None:
    good = verify_bundle(made.path, made.ledger.fingerprint)
    assert not good.problems
    assert not any("fingerprint" in limit for limit in good.limits)
    assert codes(made.path, "SHA256:" + "A" * 43) == {("key", SIGNATURE)}


def test_a_file_that_is_not_there_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        verify_bundle(tmp_path / "none.zip")


@pytest.mark.parametrize(
    "name",
    [
        "report/report.html",
        "tables/deviations.csv",
        "evidence/items.jsonl",
        "ledger/entries-000001.jsonl",
        "README.txt",
    ],
)
def test_an_altered_file_is_named(made: Made, tmp_path: Path, name: str) -> None:
    content = files(made)
    content[name] = content[name][:-2] + bytes([content[name][-2] ^ 1]) + content[name][-1:]
    assert ("changed", name) in codes(packed(tmp_path / "b.zip", content))


def test_missing_and_extra_files_are_named(made: Made, tmp_path: Path) -> None:
    content = files(made)
    del content["tables/gaps.csv"]
    content["tables/more.csv"] = b"a\r\n"
    found = codes(packed(tmp_path / "b.zip", content))
    assert {("missing", "tables/gaps.csv"), ("extra", "tables/more.csv")} <= found


@pytest.mark.parametrize("name", [SUMS, SIGNATURE, "manifest.json", "ledger/checkpoint.note", "ledger/changes.jsonl"])
def test_a_bundle_without_what_it_needs_fails(made: Made, tmp_path: Path, name: str) -> None:
    content = files(made)
    del content[name]
    assert ("missing", name) in codes(packed(tmp_path / "b.zip", content))


def test_another_key_is_found(made: Made, tmp_path: Path) -> None:
    """Signed anew by a stranger, consistently: only the ledger's own key tells, or the given fingerprint."""
    content = files(made)
    stranger = create_key(tmp_path / "stranger")
    content[SIGNATURE] = sshsig(stranger, content[SUMS], NAMESPACE).encode()
    found = codes(packed(tmp_path / "b.zip", content))
    assert ("signature", "allowed_signers") in found
    assert ("key", SIGNATURE) in found


def test_a_signature_for_another_purpose_is_refused(made: Made, tmp_path: Path) -> None:
    content = files(made)
    content[SIGNATURE] = sshsig(made.ledger.signer, content[SUMS], "file").encode()
    assert ("signature", SIGNATURE) in codes(packed(tmp_path / "b.zip", content))


def edit(name: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def apply(content: Files) -> None:
        assert old in content[name]
        content[name] = content[name].replace(old, new, 1)

    return apply


def drop_line(name: str) -> Callable[[Files], None]:
    def apply(content: Files) -> None:
        lines = content[name].splitlines(keepends=True)
        content[name] = b"".join(lines[:5] + lines[6:])

    return apply


def manifest(change: Callable[[dict[str, object]], None]) -> Callable[[Files], None]:
    def apply(content: Files) -> None:
        body = json.loads(content["manifest.json"])
        change(body)
        content["manifest.json"] = json.dumps(body).encode()

    return apply


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (edit("ledger/entries-000001.jsonl", b'"status":2', b'"status":0'), "checkpoint"),
        (drop_line("ledger/entries-000001.jsonl"), "line"),
        (drop_line("ledger/changes.jsonl"), "root"),
        (edit("ledger/changes.jsonl", b'"key":"two"', b'"key":"owt"'), "root"),
        (edit("ledger/documents/findings/2026-03.jsonl", b'"status":"fail"', b'"status":"pass"'), "document"),
        (drop_line("ledger/documents/findings/2026-03.jsonl"), "document"),
        (drop_line("ledger/checkpoints.jsonl"), "checkpoint"),
        (drop_line("evidence/items.jsonl"), "manifest"),
        (edit("evidence/items.jsonl", b'"first_idx":', b'"first_idx":1'), "item"),
        (drop_line("tables/results.csv"), "manifest"),
        (edit("tables/slots.csv", b",failed,", b",covered,"), "manifest"),
        (drop_line("populations/POP-21.jsonl"), "manifest"),
        (edit("populations/POP-01.jsonl", b'"fail"', b'"pass"'), "manifest"),
        (manifest(lambda body: body.update(demo=False)), "manifest"),
        (manifest(lambda body: body["ledger"].update(origin="other")), "manifest"),  # type: ignore[attr-defined]
        (edit("ledger/left.json", b'"first":0', b'"first":9'), "window"),
        (edit("ledger/keys.json", b'"newest"', b'"latest"'), "malformed"),
    ],
)  # fmt: skip
def test_what_the_key_holder_alters_is_found(
    made: Made, tmp_path: Path, change: Callable[[Files], None], code: str
) -> None:
    """The sums and their signature fit: the ledger inside, or the counts, tell."""
    content = files(made)
    change(content)
    found = codes(packed(tmp_path / "b.zip", resealed(made, content)))
    assert code in {one for one, _ in found}
    assert "changed" not in {one for one, _ in found}


def test_a_document_that_nothing_refers_to_is_found(made: Made, tmp_path: Path) -> None:
    import hashlib

    content = files(made)
    body = b'{"check":"x"}'
    digest = hashlib.sha256(body).hexdigest().encode()
    content["ledger/documents/findings/2026-03.jsonl"] += b'{"body":' + body + b',"sha256":"' + digest + b'"}\n'
    assert ("document", digest.decode()) in codes(packed(tmp_path / "b.zip", resealed(made, content)))


# -- tricks of the zip format ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a\\..\\evil", "C:evil", "nul\x00l", "-/../x", "dir/"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_leave_the_folder_are_refused(made: Made, tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "b.zip", files(made))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name.replace("\x00", "0")), b"x")
    if "\x00" in name:
        path.write_bytes(path.read_bytes().replace(b"nul0l", b"nul\x00l"))
    assert "name" in {code for code, _ in codes(path)}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(made: Made, tmp_path: Path) -> None:
    path = packed(tmp_path / "b.zip", files(made))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", b"another")
        archive.writestr("readme.TXT", b"another")
    assert [place for code, place in codes(path) if code == "duplicate"]


def test_a_link_is_refused(made: Made, tmp_path: Path) -> None:
    path = packed(tmp_path / "b.zip", files(made))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, b"/etc/passwd")
    assert ("zip", "'link'") in codes(path)


def test_bytes_outside_the_members_are_refused(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(b"#!/bin/sh\n" + made.path.read_bytes())
    assert ("zip", "the zip") in codes(path)


def test_a_bomb_is_refused_unopened(made: Made, tmp_path: Path) -> None:
    path = packed(tmp_path / "b.zip", {**files(made), "bomb.jsonl": b"\n" * (64 << 20)})
    assert ("zip", "'bomb.jsonl'") in codes(path)


def test_a_member_larger_than_it_says_is_cut_off(made: Made, tmp_path: Path) -> None:
    """The directory says 10 bytes, the stream holds more: reading stops there and the checksum tells."""
    path = packed(tmp_path / "b.zip", {**files(made), "long.txt": b"x" * 100_000})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"long.txt") - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    struct.pack_into("<I", data, at + 24, 10)
    path.write_bytes(data)
    assert "extra" in {code for code, _ in codes(path)}


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.export import archive

    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = packed(tmp_path / "b.zip", {f"f{number}": b"" for number in range(4)})
    assert codes(path) == {("zip", "the zip")}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"PK\x05\x06" + b"\x00" * 18, b"not a zip", b"\x1f\x8b" * 40])
def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(data)
    assert verify_bundle(path).result == "FAIL"


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"{",
        b"null\n",
        b"[]\n",
        b"[" * 5000 + b"\n",
        b"\xff\xfe\n",
        b'{"k":1}\n',
        b'{"idx":"x","sha256":5}\n',
        b"9" * 5000 + b"\n",
    ],
)
def test_hostile_content_gives_a_report(made: Made, tmp_path: Path, hostile: bytes) -> None:
    """Every file in turn replaced, with good sums and a good signature: no traceback, never a pass."""
    for name in files(made):
        if name in (SUMS, SIGNATURE) or name.split("/")[0] in (
            "report",
            "tool",
            "sources",
            "README.txt",
            "START-HERE.html",
        ):
            continue
        if name in ("redaction.json", "ledger/state0.jsonl", "populations/POP-21.csv", "tables/schema.json"):
            continue
        content = {**files(made), name: hostile}
        report = verify_bundle(packed(tmp_path / "b.zip", resealed(made, content)))
        assert report.result == "FAIL", name


def test_random_damage_gives_a_report(made: Made, tmp_path: Path) -> None:
    """Sixty bundles with a few altered bytes anywhere in the zip."""
    whole = made.path.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path = tmp_path / "b.zip"
        path.write_bytes(data)
        report = verify_bundle(path)
        with zipfile.ZipFile(io.BytesIO(whole)) as good:
            same = report.result != "FAIL" and _contents(path) == {name: good.read(name) for name in good.namelist()}
        assert report.result == "FAIL" or same


def _contents(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
