"""Whether a model affects people, as the register of models says."""

from __future__ import annotations

from agent.facts import Context
from checks.registers import exempting


def affects_nobody(model: str, ctx: Context) -> str | None:
    """In words, that the register says a model affects no people, with reason and approver; None where it does not."""
    for row in exempting(ctx, "models"):
        if row.get("name") == model and str(row.get("affects_people")).strip().casefold() == "no":
            reason, approver = row.get("reason"), row.get("approved_by")
            if reason and approver:
                return f"affects no people: {reason}, approved by {approver}"
    return None
