"""Where the files of registered versions lie, the other way round: from a place to its versions."""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Context
from agent.history import History
from agent.model import Record
from agent.registry import derived

SOURCES = "mlflow.registry.sources"


@derived(SOURCES, kind="state", of=("mlflow.registry.versions",))
def sources(history: History, ctx: Context) -> Iterator[Record]:
    """Places of files to the model versions there.

    Key: a source, or `models:/` and the id of a logged model.
    """
    del ctx
    found: dict[str, set[str]] = {}
    for version in history.now("mlflow.registry.versions"):
        if version["source"]:
            found.setdefault(version["source"].rstrip("/"), set()).add(version.key)
        if version["model_id"]:
            found.setdefault(f"models:/{version['model_id']}", set()).add(version.key)
    for place, versions in sorted(found.items()):
        yield Record(place, {"versions": sorted(versions)})
