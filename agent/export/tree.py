"""The files of a bundle: spooled to disk, listed in SHA256SUMS, signed, and zipped.

The same files give the same SHA256SUMS, byte for byte. Nothing of a bundle is held in memory whole.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every member: when a bundle was made stands in its manifest."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_MAX_NAME = 140
_OPEN_FILES = 64
_CHUNK = 1 << 20


def good_name(name: str) -> bool:
    """Whether a member may be called so: plain ASCII, no traversal, at most 140 characters."""
    return len(name) <= _MAX_NAME and bool(_NAME.fullmatch(name))


class Tree:
    """Files under construction, below a temporary folder that `close` removes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="evidenced-export-")
        self._root = Path(self._folder.name)
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._names: dict[str, str] = {}

    def write(self, name: str, data: bytes | str) -> None:
        """Append to a file; ValueError for a name that no bundle may have."""
        self._file(name).write(data.encode() if isinstance(data, str) else data)

    def names(self) -> list[str]:
        """Every file so far, sorted by bytes."""
        return sorted(self._names.values())

    def sums(self) -> bytes:
        """SHA256SUMS: one line `<hex>  <path>` for each file there is."""
        self._flush()
        lines = [f"{_digest(self._root / name)}  {name}\n" for name in self.names() if name not in (SUMS, SIGNATURE)]
        return "".join(lines).encode()

    def seal(self, sign: Callable[[bytes], str]) -> bytes:
        """Write SHA256SUMS and its signature; the bytes that were signed come back."""
        sums = self.sums()
        self.write(SUMS, sums)
        self.write(SIGNATURE, sign(sums))
        return sums

    def zip_to(self, out: Path) -> None:
        """Write all files into a zip; what is at `out` is replaced only by a whole one."""
        self._flush()
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=True) as archive:
                for name in self.names():
                    with (self._root / name).open("rb") as source, archive.open(_member(name), "w") as target:
                        shutil.copyfileobj(source, target, _CHUNK)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)

    def size(self, name: str) -> int:
        """Bytes of a file so far."""
        self._flush()
        return (self._root / name).stat().st_size

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a file, without their ends."""
        self._flush()
        with (self._root / name).open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")

    def close(self) -> None:
        """Delete the spooled files."""
        for file in self._open.values():
            file.close()
        self._open.clear()
        self._folder.cleanup()

    def _file(self, name: str) -> BinaryIO:
        file = self._open.get(name)
        if file is not None:
            self._open.move_to_end(name)
            return file
        if not good_name(name):
            raise ValueError(f"{name!r} may not be a member of a bundle")
        if self._names.setdefault(name.lower(), name) != name:
            raise ValueError(f"{name} differs from {self._names[name.lower()]} by case alone")
        if len(self._open) >= _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        file = self._open[name] = path.open("ab")
        return file

    def _flush(self) -> None:
        for file in self._open.values():
            file.flush()


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    info.create_system = 3
    return info


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
