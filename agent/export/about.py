"""What a bundle says of itself, on every page that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.clock import iso

NAMESPACE = "evidenced-bundle"
"""Namespace of the signature over SHA256SUMS: it is good for nothing else."""
SIGNER = "evidenced"
"""Principal in `allowed_signers`."""

VERIFY_LINES = (
    f"ssh-keygen -Y verify -f allowed_signers -I {SIGNER} -n {NAMESPACE} -s SHA256SUMS.sig < SHA256SUMS\n"
    "sha256sum --quiet -c SHA256SUMS"
)


@dataclass(frozen=True, slots=True)
class About:
    """Whose bundle, of which ledger, made when and by what."""

    entity: str
    demo: bool
    made_at_ms: int
    version: str
    origin: str
    size: int
    root: str
    fingerprint: str
    anchors: tuple[Mapping[str, Any], ...] = ()
    """Kind, last day and number of the anchors on record; empty: unanchored."""
    since_ms: int = 0
    """Time of the ledger's first entry."""
    recoveries: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def anchors_said(self) -> str:
        """One clause on anchors, also when there is none."""
        if not self.anchors:
            return f"unanchored since its first entry, {iso(self.since_ms)}"
        kinds = ", ".join(f"{one['type']} ({one['count']}, last {one['last']})" for one in self.anchors)
        return f"anchored by {kinds}"
