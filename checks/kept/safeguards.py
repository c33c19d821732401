"""Models in production have a named check of what they answer."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Verdict, failed, inapplicable, passed
from agent.registry import check
from checks.registers import register


@check("output-safeguard-listed", over="mlflow.registry.production")
def output_safeguard_listed(version: Facts, ctx: Context) -> Verdict:
    """The register of models names how the outputs of a production model are checked.

    Source: `output_validation` of its row; register models.
    """
    if not version["holds_now"]:
        return inapplicable("no longer in production")
    rows = [row for row in register(ctx, "models") if row["name"] == version["model"]]
    if not rows:
        return failed(f"{version['model']} has no row in the register of models", model=version["model"])
    named = rows[0].get("output_validation")
    if named:
        return passed(f"outputs are checked by {named}", output_validation=named)
    return failed(f"the row of {version['model']} names no output_validation", output_validation=None)
