"""Job records from JSON-lines files, one job a line, later lines replacing earlier ones."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from agent.clock import parse_iso
from agent.model import Gap, Json, Reason, Record, SourceError, Window
from agent.registry import stream
from collectors.files import reason_of
from collectors.training import JobLog
from collectors.training.normal import STATUSES, job_status

_TEXTS = ("name", "group", "environment", "mlflow_run_id")
_OBJECTS = ("image", "network", "encryption", "code", "env", "params", "tags", "log")
_TIMES = ("created_at", "started_at", "ended_at")
REQUIRED = ("job_id", "name", "created_at", "status", "started_by")
ENDINGS = (".jsonl", ".jsonl.gz")
OPEN = ("running", "unknown")
"""Statuses that are not the last."""


@stream(
    "trainlog.training.jobs", kind="life", per="source", every="6h", tags=["/env", "/tags"], unordered=["/env_names"],
    is_open=lambda facts: facts.get("status") in OPEN,
    needs={"ListLog": "read access to the folder with the job log", "ReadLog": "read access to the job log"},
)  # fmt: skip
def jobs(log: JobLog, window: Window) -> Iterator[Record | Gap]:
    """Training jobs as the log's newest line about each says."""
    # Every file is read each time: a line may come late, into an old file, with an old time.
    del window
    newest: dict[str, Record | Gap] = {}
    unended: set[str] = set()
    doubts: dict[str, Gap] = {}
    for path in _files(log):
        for found in _read(log, path):
            if found.key is None:
                yield found
                # what could not be read may tell of the end of any job that has none so far
                doubts.update(dict.fromkeys(unended, found))
                unended.clear()
            else:
                newest[found.key] = found
                doubts.pop(found.key, None)
                (unended.add if _is_open(found) else unended.discard)(found.key)
    for key, job in newest.items():
        yield Record(key, {**job.facts, "status": doubts[key]}) if isinstance(job, Record) and key in doubts else job


def _is_open(job: Record | Gap) -> bool:
    return isinstance(job, Record) and job.facts["status"] in OPEN


def _files(log: JobLog) -> list[Path]:
    need = log.need("ListLog")
    try:
        if log.path.is_dir():
            return sorted(path for path in log.path.iterdir() if path.name.endswith(ENDINGS))
        log.path.stat()
    except FileNotFoundError:
        raise SourceError(Gap(Reason.UNREACHABLE, op="ListLog", code="NoSuchPath")) from None
    except OSError as error:
        raise SourceError(_unread(error, "ListLog", type(error).__name__, need)) from None
    return [log.path]


def _read(log: JobLog, path: Path) -> Iterator[Any]:
    """Records and gaps of one file, in its order; the last line counts once it has its end."""
    need = log.need("ReadLog")
    name = path.name.encode(errors="backslashreplace").decode()
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n") and line.strip():
                    yield _job(line, f"{name}:{number}")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        yield Gap(Reason.MALFORMED, op="ReadLog", code=f"{name}:BadGzip")
    except OSError as error:
        yield _unread(error, "ReadLog", f"{name}:{type(error).__name__}", need)
    log.page()


def _unread(error: OSError, op: str, code: str, need: str) -> Gap:
    reason = reason_of(error)
    return Gap(reason, op=op, code=code, need=need if reason is Reason.DENIED else None)


def _job(line: bytes, place: str) -> Record | Gap:
    """The job that a line tells of; a gap where it does not parse or lacks what is required."""
    bad = Gap(Reason.MALFORMED, op="ReadLog", code=place)
    try:
        job = json.loads(line, parse_constant=str)
    except (ValueError, RecursionError):
        return bad
    if not isinstance(job, dict):
        return bad
    id = job.get("job_id")
    if not isinstance(id, str) or not _can_be_key(id):
        return bad
    if any(not job.get(name) for name in REQUIRED) or not _well_formed(job):
        return Gap(Reason.MALFORMED, op="ReadLog", code=place, key=id)
    return Record(id, _normal(job))


def _well_formed(job: Mapping[str, Json]) -> bool:
    """Whether the known fields have the type that the normal form gives them; any may be left out or null."""
    return (
        isinstance(job["started_by"], (str, dict))
        and all(isinstance(job.get(name), (str, NoneType)) for name in _TEXTS)
        and all(isinstance(job.get(name), (dict, NoneType)) for name in _OBJECTS)
        and all(job.get(name) is None or _is_time(job[name]) for name in _TIMES)
    )


def _normal(job: Mapping[str, Json]) -> dict[str, Json]:
    """The normal form: unknown fields kept, status in its five words, names of the environment beside its values."""
    facts = dict(job)
    if facts["status"] not in STATUSES:
        facts["status"], facts["status_said"] = job_status(facts["status"]), facts["status"]
    if isinstance(facts["started_by"], str):
        facts["started_by"] = {"principal": facts["started_by"], "source": "log", "assurance": "self_asserted"}
    # values of `env` are scanned for secrets and then dropped, as those of a tag map
    if isinstance(facts.get("env"), dict):
        facts["env_names"] = sorted(facts["env"])
    return facts


def _is_time(value: Json) -> bool:
    try:
        parse_iso(value)
    except (TypeError, ValueError):
        return False
    return True


def _can_be_key(id: str) -> bool:
    try:
        return 0 < len(id.encode()) <= 1024 and min(id) > "\x1f"
    except UnicodeEncodeError:
        return False
