"""Every AWS and identity check: a passing, a failing, an unseen and, where there is one, an n/a vector."""

from __future__ import annotations

from collections import defaultdict

import pytest

from agent.registry import discover
from tests.judging import NOW_MS, judge
from tests.vectors import NEVER, VECTORS, Vector

CHECKS = sorted(
    {spec.id for spec in discover().all_checks() if spec.stream.partition(".")[0] in ("aws", "identity")}
)  # fmt: skip


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.check}-{vector.over or ''}-{vector.status}")
def test_the_status_is_the_one_the_catalogue_gives(vector: Vector) -> None:
    verdict = judge(
        vector.check, vector.facts, over=vector.over, key=vector.key, here=vector.here,
        everywhere=vector.everywhere, partial=vector.partial, gaps=vector.gaps,
        now=NOW_MS if vector.now is None else vector.now, **vector.settings,
    )  # fmt: skip
    assert verdict.status.value == vector.status, verdict.message
    assert vector.says in verdict.message


@pytest.mark.parametrize("check", CHECKS)
def test_every_status_is_shown(check: str) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for vector in VECTORS:
        seen[vector.check].add(vector.status)
    wanted = {"pass", "fail", "not_evaluated", "not_applicable"} - set(NEVER.get(check, "").split(":")[0].split())
    assert seen[check] >= wanted, f"{check} lacks {sorted(wanted - seen[check])}"
