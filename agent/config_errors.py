"""What is wrong in a configuration, told by file, line and key, and never by the value."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from agent.errors import UsageError

_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_ARM = re.compile(r"literal|function-|constrained-|nullable|(?:str|int|float|bool|list|dict)(?:\[|$)")
_PART = re.compile(r"""[\w-]+|"([^"]*)"|'([^']*)'""")


def read_toml(file: Path) -> tuple[str, dict[str, Any]]:
    """Text and tables of a file; UsageError with line and column where it is no TOML."""
    try:
        text = file.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or 'cannot be read'}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
        where = f":{found[1]}:{found[2]}" if found and found[1] else ""
        why = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise UsageError(f"{file}{where}: {why[:1].lower()}{why[1:]}") from None


def describe(error: ValidationError, model: type[BaseModel], file: Path | None, text: str) -> Iterator[str]:
    """One line for each thing wrong."""
    # several lines about one place are the arms of "this or that"
    told: dict[str, list[str]] = {}
    for wrong in error.errors(include_input=False, include_url=False, include_context=False):
        path = _path(model, wrong["loc"])
        if wrong["type"] == "extra_forbidden":
            why = f"unknown key{suggestion(path[-1], _fields(model, path[:-1]))}"
        else:
            why = wrong["msg"].removeprefix("Value error, ")
            why = f"{why[:1].lower()}{why[1:]}"
        told.setdefault(place(path, file, text), []).append(why)
    for where, reasons in told.items():
        yield f"{where}: {'; or '.join(dict.fromkeys(reasons))}"


def place(path: Sequence[str], file: Path | None, text: str) -> str:
    """`evidenced.toml:7: collect.aws.region`, or the environment variable that set it."""
    key = ".".join(path)
    for length in range(len(path), 0, -1):
        variable = "EVIDENCED_" + "__".join(path[:length]).upper()
        if variable in {name.upper() for name in os.environ}:
            return f"${variable}: {key}"
    if file is None:
        return key
    line = line_of(path, text)
    return f"{file}:{line}: {key}" if line else f"{file}: {key}"


def line_of(path: Sequence[str], text: str) -> int | None:
    """Number of the line that says this key, or the nearest table around it."""
    best, best_length = None, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            named = table
        elif key := _KEY.match(line):
            named = (*table, *_parts(key[1]))
        else:
            continue
        if len(named) > best_length and tuple(path[: len(named)]) == named:
            best, best_length = number, len(named)
    return best


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean regions?`, or nothing."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6) or [name for name in names if name.startswith(word)][:1]
    return f"; did you mean {close[0]}?" if close else ""


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(match[1] or match[2] or match[0].strip("\"'") for match in _PART.finditer(dotted))


def _path(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys of a place: without indices and without the arms of unions, which are no keys."""
    keys: list[str] = []
    here: Any = model
    for part in loc:
        if isinstance(part, int) or (_below(here, part) is None and _ARM.match(part)):
            continue
        keys.append(part)
        here = _below(here, part)
    return keys


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    here: Any = model
    for part in path:
        here = _below(here, part)
    return list(here.model_fields) if _is_model(here) else []


def _below(annotation: Any, key: str) -> Any:
    """What a key of a model, or of a table of models, leads to; None where it leads nowhere."""
    if _is_model(annotation):
        field = annotation.model_fields.get(key)
        return field.annotation if field else None
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return next((found for arm in get_args(annotation) if (found := _below(arm, key)) is not None), None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
