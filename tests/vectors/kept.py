"""Rules whose evidence people keep."""

from __future__ import annotations

from typing import Any

from tests.judging import DENIED, NOW_MS
from tests.vectors import Vector

DAY = 86_400_000
DRIFT, GONE, SAFE, RESTORED, REVOKED = (
    "config-drift-explained", "disposal-verified", "output-safeguard-listed", "restore-test-fresh",
    "access-review-actions-done",
)  # fmt: skip
BUCKETS = "aws.s3.buckets"
CHANGE = {
    "resource": "arn:aws:s3:::models", "facet": "block",
    "interval": {"not_before": "2027-01-04T00:00:00Z", "not_after": "2027-01-05T00:00:00Z"},
}  # fmt: skip
NEW = CHANGE | {"interval": {"not_before": None, "not_after": "2027-01-14T00:00:00Z"}}


def rows(name: str, *given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"docs.registers.{name}": {str(number): row for number, row in enumerate(given)}}


def changed(**more: Any) -> dict[str, dict[str, Any]]:
    return rows("changes", {"id": "CH-1", "system": "models", "approved_by": "cto", "merged_on": "2027-01-04"} | more)


def disposed(place: str) -> dict[str, dict[str, Any]]:
    return rows("disposals", {"id": "D-1", "done_on": "2027-01-02", "ref": place})


def tested(**more: Any) -> dict[str, dict[str, Any]]:
    return rows("restore_tests", {"id": "RT-1", "kind": "restore", "done_on": "2026-05-05", "result": "success"} | more)


THERE = {BUCKETS: {"b": {"name": "kept"}}}
HELD = {"model": "fraud", "holds_now": True}
TAKEN = {"review": "R-1", "decided": "2026-12-01", "gone_by": "2026-12-10T00:00:00Z"}

VECTORS = [
    Vector(DRIFT, "pass", CHANGE, here=changed()),
    Vector(DRIFT, "pass", CHANGE, here=changed(system="", ref="PR 7, arn:aws:s3:::models")),
    Vector(DRIFT, "fail", CHANGE, here=changed(system="other-models")),
    Vector(DRIFT, "fail", CHANGE, here=changed(merged_on="2027-01-09"), says="explains it"),
    Vector(DRIFT, "fail", CHANGE, here=changed(approved_by="")),
    Vector(DRIFT, "not_evaluated", NEW, here=rows("changes"), says="to be explained by"),
    Vector(DRIFT, "not_evaluated", CHANGE),
    Vector(GONE, "pass", here=disposed("s3://old") | THERE),
    Vector(GONE, "fail", here=disposed("s3://kept/") | THERE, says="kept"),
    Vector(GONE, "not_evaluated", here=disposed("s3://kept/part") | THERE, says="D-1"),
    Vector(GONE, "not_evaluated", here=disposed("s3://old") | THERE, partial={BUCKETS: DENIED}),
    Vector(GONE, "not_evaluated", here=THERE),
    Vector(GONE, "not_applicable", here=disposed("laptop 7") | THERE),
    Vector(SAFE, "pass", HELD, here=rows("models", {"name": "fraud", "output_validation": "range check"})),
    Vector(SAFE, "fail", HELD, here=rows("models", {"name": "fraud", "output_validation": ""})),
    Vector(SAFE, "fail", HELD, here=rows("models"), says="no row"),
    Vector(SAFE, "not_evaluated", HELD),
    Vector(SAFE, "not_applicable", HELD | {"holds_now": False}),
    Vector(RESTORED, "pass", here=tested(minutes="30", rto_minutes="60")),
    Vector(RESTORED, "fail", here=tested(minutes="90", rto_minutes="60"), says="within its targets"),
    Vector(RESTORED, "fail", here=tested(done_on="2024-05-05"), says="no restore"),
    Vector(RESTORED, "pass", here=tested(done_on="2025-03-01"), says="2025-03-01"),
    Vector(RESTORED, "fail", here=tested(done_on="2025-03-01"), now=NOW_MS + 40 * DAY),
    Vector(RESTORED, "not_evaluated"),
    Vector(REVOKED, "pass", TAKEN),
    Vector(REVOKED, "fail", TAKEN | {"gone_by": "2026-12-20T00:00:00Z"}, says="only"),
    Vector(REVOKED, "fail", TAKEN | {"gone_by": None}, says="still there"),
    Vector(REVOKED, "not_evaluated", TAKEN | {"gone_by": None, "decided": "2027-01-10"}),
]
NEVER = {
    DRIFT: "not_applicable: without a watched change the population is empty",
    RESTORED: "not_applicable: every company has something to restore",
    REVOKED: "not_applicable: without a revocation the population is empty",
}
