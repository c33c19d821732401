"""A random world: after every append the whole store verifies, and reads give what was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.ledger.verify import verify_store
from tests.ledger.world import World, open_at


@pytest.mark.parametrize("seed", range(6))
def test_store_verifies_after_every_append(tmp_path: Path, seed: int) -> None:
    ledger = open_at(tmp_path, create=True)
    world = World(ledger, seed)
    for _ in range(60):
        world.step()
        report = verify_store(ledger, ledger.fingerprint)
        assert report.problems == []
        assert report.size == ledger.head().size
    world.check()
    ledger.close()
    again = open_at(tmp_path)
    assert again.head().root == report.root
    world.ledger = again
    world.run(20)
    world.check()
    assert verify_store(again).problems == []
    again.close()


def test_long_world_keeps_nodes(tmp_path: Path) -> None:
    """Past 256 entries the kept nodes count: for the root, for proofs and for a process that starts anew."""
    ledger = open_at(tmp_path, create=True)
    world = World(ledger, 7)
    world.run(420)
    world.seal()
    world.check()
    head = ledger.head()
    assert head.size > 512
    ledger.close()
    again = open_at(tmp_path)
    assert again.head() == head
    report = verify_store(again)
    assert report.problems == []
    assert (report.sealed, report.root) == (head.size, head.root)
    again.close()
