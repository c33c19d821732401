"""CSV that spreadsheets open as it is meant: RFC 4180, UTF-8 with BOM, CRLF, and no cell a formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

BOM = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: what a cell holds and what an empty one means."""

    name: str
    meaning: str
    type: str = "text"
    """text, integer, time (RFC 3339, UTC), day, digest."""
    unit: str | None = None
    null: str = "never empty"

    @property
    def described(self) -> dict[str, str | None]:
        """Its entry in `schema.json`."""
        return {
            "name": self.name, "type": self.type, "unit": self.unit, "meaning": self.meaning, "empty": self.null,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the bundle: `tables/<name>.csv` and its entry in `schema.json`."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    def lines(self, rows: Iterable[Sequence[object]]) -> Iterator[str]:
        """The file, line by line; ValueError when a row has too few or too many cells."""
        yield BOM + ",".join(column.name for column in self.columns) + "\r\n"
        for row in rows:
            cells = (self._cell(column, value) for column, value in zip(self.columns, row, strict=True))
            yield ",".join(cells) + "\r\n"

    @staticmethod
    def _cell(column: Column, value: object) -> str:
        if value is None:
            return ""
        text = str(value)
        if column.type == "integer":
            return str(int(text))
        if text.startswith(_FORMULA):
            text = "'" + text
        if any(mark in text for mark in ',"\r\n'):
            return '"' + text.replace('"', '""') + '"'
        return text
