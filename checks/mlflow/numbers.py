"""Whether the registry's history is whole."""

from __future__ import annotations

from collections.abc import Sequence

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check
from checks.mlflow.holding import MODELS, VERSIONS


@check("version-numbers-contiguous", over="mlflow.registry.numbers")
def numbers_contiguous(model: Facts, ctx: Context) -> Verdict:
    """Of the versions seen none that held production or staging is gone.

    Source: mlflow.registry.models, .versions, .prompts, .prompt_versions over time. Versions of neither
    are listed, as are numbers that were missing when the registry was first read. Needs no register to
    fail; rows of `changes.csv` that explain a deletion are not read yet.
    """
    important = model.list("deleted_after_production_or_staging")
    others, unseen = model.list("deleted_others"), model.list("never_seen")
    facts = {
        "lowest": model["lowest"],
        "highest": model["highest"],
        "deleted": [*important, *others],
        "never_seen": unseen,
        "before_first_observation": model.list("missing_at_first_poll"),
    }
    if important:
        return failed(f"{_named(important)} held production or staging and {_are(important)} gone", **facts)
    # of a list that is not complete nobody knows what is still there, nor which version an alias names by now
    for names in (MODELS, VERSIONS):
        ctx.here(names[model["kind"]]).count()
    if others and not model["production_known"]:
        return undecided(
            Reason.NOT_CONFIGURED,
            f"{_named(others)} {_are(others)} gone; no production rule matches, so what was in production is not known",
            **facts,
        )
    if unseen:
        return undecided(
            Reason.UNDETERMINED,
            f"{_named(unseen)} came and went between two polls: whether production was held was not seen",
            **facts,
        )
    listed = f"; gone, but never in production or staging: {_numbers(others)}" if others else ""
    return passed(f"versions {model['lowest']} to {model['highest']} are accounted for{listed}", **facts)


def _named(numbers: Sequence[int]) -> str:
    return f"version{'s' if len(numbers) > 1 else ''} {_numbers(numbers)}"


def _are(numbers: Sequence[int]) -> str:
    return "are" if len(numbers) > 1 else "is"


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
