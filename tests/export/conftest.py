"""One company and its bundle, made once for all tests of this folder that only read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from agent.clock import DAY_MS
from agent.export.bundle import Exported, export_bundle
from agent.ledger import Ledger
from agent.settings import Settings
from tests.export.company import START_MS, company, registry

PERIOD = (date(2026, 3, 1), date(2026, 3, 10))
MADE_MS = START_MS + 11 * DAY_MS


def settings() -> Settings:
    """The entity's name and nothing else."""
    return Settings.model_validate({"entity": {"name": "Tiny Models <GmbH>"}})


@dataclass(frozen=True)
class Made:
    """A bundle, where it lies, and unpacked."""

    ledger: Ledger
    exported: Exported
    path: Path
    folder: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The bundle of the ten days."""
    folder = tmp_path_factory.mktemp("company")
    ledger = company(folder, demo=True)
    path = folder / "bundle.zip"
    exported = export_bundle(ledger, registry(), settings(), out=path, made_at_ms=MADE_MS, period=PERIOD)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "bundle")
    yield Made(ledger, exported, path, folder / "bundle")
    ledger.close()
