"""The ledger: where evidence is kept so that nothing can be altered, removed or back-dated unseen."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from agent import __version__
from agent.errors import IntegrityError, StoreError, UsageError
from agent.ledger.append import Writer
from agent.ledger.checkpoint import good_origin
from agent.ledger.lines import event_line, origin_of
from agent.ledger.rows import events
from agent.ledger.schema import event
from agent.ledger.sign import FileSigner, Signer, create_key, fingerprint, read_key, read_redaction_key, redaction_file
from agent.ledger.store import Store, create_store, exists, locate, open_store


class Ledger(Writer):
    """An open ledger. Threads may share it; close it at the end."""

    def __init__(self, store: Store, signer: Signer, genesis: Mapping[str, Any], redaction_key: bytes) -> None:
        super().__init__(store, signer, origin_of(genesis))
        self.genesis = dict(genesis)
        self.redaction_key = redaction_key
        """32 bytes with which secrets are hashed before anything is stored."""
        self.created = False
        """Whether this opening made the store and its key."""

    @classmethod
    def open(
        cls, url: str, key_file: Path, *, create: bool = False, demo: bool = False, origin: str | None = None,
        now_ms: int,
    ) -> Ledger:  # fmt: skip
        """Open the ledger at a database URL (or path of an SQLite file) with its signing key.

        With `create`, store and key are made when neither exists; `demo`, `origin` and `now_ms` are
        for that moment. StoreError when the store is missing, foreign, of another revision or cannot
        be written, or when the key is missing or another one; UsageError for a bad URL or origin.
        """
        place, key_file = locate(url), key_file.expanduser()
        created = not exists(place)
        if created:
            if not create:
                raise StoreError(f"there is no store at {place.render_as_string(hide_password=True)}")
            _create(place, key_file, demo, origin, now_ms)
        store = open_store(place)
        try:
            signer = read_key(key_file)
            with store.read() as connection:
                genesis, key = keys(connection)
            if signer.public_key != key:
                raise StoreError(
                    f"{key_file} is not the key of this store",
                    f"the store's is {fingerprint(key)}, the file's is {fingerprint(signer.public_key)}",
                )
            ledger = cls(store, signer, genesis, read_redaction_key(key_file))
        except (StoreError, IntegrityError):
            store.close()
            raise
        ledger.created = created
        return ledger

    @property
    def fingerprint(self) -> str:
        """Of the signing key, as `ssh-keygen -l` prints it: `SHA256:...`."""
        return fingerprint(self.signer.public_key)

    @property
    def demo(self) -> bool:
        """Whether the store was made by `demo` and holds nothing real."""
        return bool(self.genesis["demo"])

    def close(self) -> None:
        """Give every connection back."""
        self.store.close()


def keys(connection: Connection) -> tuple[dict[str, Any], bytes]:
    """The genesis event and the public key that is valid now; IntegrityError when the first entry is none."""
    genesis = next(events(connection, None, 0, 1), None)
    if genesis is None or genesis.get("k") != "genesis":
        raise IntegrityError("the log does not begin with its genesis")
    key = genesis["key"]
    for body in events(connection, "key"):
        key = body["key"]
    return genesis, base64.b64decode(key)


def _create(place: URL, key_file: Path, demo: bool, origin: str | None, now_ms: int) -> None:
    """Make key and store; neither stays when the other cannot be made."""
    if key_file.exists():
        raise StoreError(
            f"there is a key at {key_file} and no store",
            "restore the store from its backup, or name another key file for a new one",
        )
    if origin is not None and not good_origin(origin):
        raise UsageError("ledger.origin may hold neither white space nor a plus sign")
    signer = create_key(key_file)

    def begin(connection: Connection) -> None:
        line = event_line("genesis", _genesis(signer, demo, origin), 0, now_ms)
        connection.execute(sa.insert(event), [{"idx": 0, "line": line}])

    try:
        create_store(place, begin)
    except BaseException:
        key_file.unlink(missing_ok=True)
        redaction_file(key_file).unlink(missing_ok=True)
        raise


def _genesis(signer: FileSigner, demo: bool, origin: str | None) -> dict[str, Any]:
    key = base64.b64encode(signer.public_key).decode()
    return {"key": key, "version": __version__, "demo": demo, "origin": origin}
