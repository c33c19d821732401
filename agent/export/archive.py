"""A bundle's zip read in place: nothing is ever written, and no member is trusted before it is checked."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from agent.errors import UsageError
from agent.export.tree import good_name

MAX_MEMBERS = 60_000
MAX_TOTAL = 8 << 30
"""Bytes of all members together, unpacked."""
MAX_SMALL = 64 << 20
"""Bytes of a member that is read whole, and of one line."""
MAX_RATIO = 400
"""How much larger than packed a member may be; ours stay below 40."""
_CHUNK = 1 << 20
_REGULAR = (0, 0o100000)

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What reading a zip that is none, or is damaged, may raise."""

Complain = Callable[[str, str, str], None]


class Archive:
    """The members of a zip file, by name; damaged ones raise ValueError when they are read."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        try:
            self._zip = zipfile.ZipFile(path)
        except BROKEN as error:
            raise ValueError(f"not a zip file: {error}") from None
        self._members: dict[str, zipfile.ZipInfo] = {}

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def admit(self, complain: Complain) -> bool:
        """Look at the directory of the zip; whether its members may be read at all."""
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_TOTAL:
            complain("zip", "the zip", f"{len(infos)} members, or unpacked more than {MAX_TOTAL >> 30} GiB")
            return False
        if self._zip.comment or (infos and min(info.header_offset for info in infos) != 0):
            complain("zip", "the zip", "bytes that belong to no member")
        lowered: set[str] = set()
        for info in infos:
            name = info.filename
            shown = ascii(info.orig_filename[:80])
            if not good_name(name) or name != info.orig_filename:
                complain("name", shown, "no name that a bundle may hold")
            elif name.lower() in lowered:
                complain("duplicate", shown, "the name is there twice")
            elif info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                complain("zip", shown, "encrypted, or packed in an unknown way")
            elif (info.external_attr >> 16) & 0o170000 not in _REGULAR or info.comment:
                complain("zip", shown, "not a plain file")
            elif info.file_size > MAX_RATIO * info.compress_size + _CHUNK:
                complain("zip", shown, f"unpacks to more than {MAX_RATIO} times its size")
            else:
                self._members[name] = info
            lowered.add(name.lower())
        return True

    def names(self) -> list[str]:
        """Members that were admitted, sorted."""
        return sorted(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def digest(self, name: str) -> str:
        """SHA-256 (hex) of a member."""
        total = hashlib.sha256()
        for chunk in self._chunks(name):
            total.update(chunk)
        return total.hexdigest()

    def whole(self, name: str, most: int = MAX_SMALL) -> bytes:
        """A small member; ValueError when it is missing or not small."""
        info = self._members.get(name)
        if info is None:
            raise ValueError(f"{name} is missing")
        if info.file_size > most:
            raise ValueError(f"{name} is larger than {most >> 20} MiB")
        return b"".join(self._chunks(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """Lines of a member, each ended by LF; ValueError for one that is not, or is too long."""
        if name not in self._members:
            raise ValueError(f"{name} is missing")
        rest = b""
        for chunk in self._chunks(name):
            parts = (rest + chunk).split(b"\n")
            rest = parts.pop()
            if len(rest) > MAX_SMALL:
                raise ValueError(f"{name} has a line of more than {MAX_SMALL >> 20} MiB")
            yield from parts
        if rest:
            raise ValueError(f"{name} ends within a line")

    def _chunks(self, name: str) -> Iterator[bytes]:
        info = self._members[name]
        read = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(_CHUNK):
                    read += len(chunk)
                    yield chunk
        except BROKEN as error:
            raise ValueError(f"{name} cannot be read: {error}") from None
        if read != info.file_size:
            raise ValueError(f"{name} has {read} bytes instead of {info.file_size}")
