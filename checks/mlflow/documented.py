"""What is written of a production version: its card, its evaluation for bias."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.cards import TOPICS, lacking, topics_of
from checks.mlflow.holding import MODELS, VERSIONS
from checks.people_affected import affects_nobody

PRODUCTION = "mlflow.registry.production"
_GOOD = ("passed", "accepted")


@check("model-card-present", over=PRODUCTION)
def model_card_present(version: Facts, ctx: Context) -> Verdict:
    """A model version in production has a card that covers every topic.

    Source: headings in the description of the version, else of the registered model. A card kept elsewhere
    (artifact `model_card.md`, a document) is not read: without one here nothing is concluded.
    """
    if other := _outside(version, ctx):
        return other
    record = ctx.here(VERSIONS["model"]).one(version.key)
    model = ctx.here(MODELS["model"]).one(version["model"])
    written = {"version": record["description"] if record else None, "model": model["description"] if model else None}
    cards = {where: found for where, text in written.items() if text and (found := topics_of(text))}
    if not cards:
        return undecided(Reason.DEPENDENCY, "no card in the description; cards kept elsewhere are not read")
    where, topics = next(iter(cards.items()))
    facts = {"where": f"description of the {where}", "topics": sorted(topics)}
    if missing := lacking(topics):
        return failed(f"the description of the {where} says nothing of: {', '.join(missing)}", **facts)
    return passed(f"the description of the {where} covers all {len(TOPICS)} topics", **facts)


@check("bias-evaluation-present", over=PRODUCTION, tags=["bias_evaluation", "bias_evaluation_ref"])
def bias_evaluation_present(version: Facts, ctx: Context) -> Verdict:
    """A model version in production was evaluated for bias.

    Source: tags `bias_evaluation` (`passed`, `accepted`) with `bias_evaluation_ref`, of the version or its run;
    a row of the register models that says it affects nobody. Metrics and files of runs are not read.
    """
    if other := _outside(version, ctx):
        return other
    record = ctx.here(VERSIONS["model"]).one(version.key)
    run = ctx.here("mlflow.tracking.source_runs").one(version["run_id"]) if version["run_id"] else None
    holders = [one for one in (record, run) if one is not None and one.get("lifecycle_stage") != "gone"]
    for tags in (one["tags"] for one in holders):
        result, ref = tags.get("bias_evaluation"), tags.get("bias_evaluation_ref")
        facts = {"bias_evaluation": result, "bias_evaluation_ref": ref}
        if result and str(result).casefold() not in _GOOD:
            return failed(f"the evaluation for bias says {result}", **facts)
        if result and ref:
            return passed(f"the evaluation for bias says {result}: {ref}", **facts)
        if result:
            return failed(
                f"the evaluation for bias says {result}, without saying where (tag bias_evaluation_ref)", **facts
            )
    if said := affects_nobody(version["model"], ctx):
        return inapplicable(said)
    return undecided(Reason.DEPENDENCY, "no tag bias_evaluation; metrics and files of the run are not read")


def _outside(version: Facts, ctx: Context) -> Verdict | None:
    """Why a rule about models in production is not about this version."""
    if version["kind"] == "prompt":
        return inapplicable("a prompt has no model card, and is not trained")
    # in a list that is not complete an alias may have moved on unseen
    ctx.here(MODELS["model"]).count()
    return None if version["holds_now"] else inapplicable("no longer in production")
