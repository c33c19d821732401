"""The SDK's descriptions of the services: read once for all accounts, without what only people read."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast


class Descriptions:
    """Reads the SDK's files; each account's session would keep a copy of some fifty megabytes of its own."""

    def exists(self, file_path: str) -> bool:
        """Whether there is such a file; the path is without its `.json` or `.json.gz`."""
        return any(Path(file_path + ending).is_file() for ending in _OPENED)

    def load_file(self, file_path: str) -> Any:
        """What the file holds, without documentation; None when there is none."""
        for ending, opened in _OPENED.items():
            path = Path(file_path + ending)
            if path.is_file():
                return json.loads(opened(path), object_hook=_without_prose)
        return None


@cache
def descriptions() -> Any:
    """The one loader of this process, to be registered with every session as its `data_loader`."""
    from botocore.loaders import Loader

    # where the SDK looks besides its own folder
    more = [str(Path(path).expanduser()) for path in os.environ.get("AWS_DATA_PATH", "").split(os.pathsep) if path]
    # typed as a class of its own, called by these two methods
    return Loader(extra_search_paths=more, file_loader=cast(Any, Descriptions()))


_OPENED: dict[str, Callable[[Path], bytes]] = {
    ".json": Path.read_bytes,
    ".json.gz": lambda path: gzip.decompress(path.read_bytes()),
}


def _without_prose(read: dict[str, Any]) -> dict[str, Any]:
    """Empty, since the SDK expects it; a member of a shape may be called so too, which is described by an object."""
    if isinstance(read.get("documentation"), str):
        read["documentation"] = ""
    return read
