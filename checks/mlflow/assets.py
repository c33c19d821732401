"""Registered models as assets: an owner and a class of data each."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Verdict
from agent.registry import check
from checks.owners import labels


@check("asset-tagged", over="mlflow.registry.models", tags=["owner", "data_class"])
def model_tagged(model: Facts, ctx: Context) -> Verdict:
    """A registered model has an owner, a person still there, and a known class.

    By its tags `owner` and `data_class`, or its row of the assets register. Source: tags of the model, the
    people register or an identity source.
    """
    return labels(model, ctx)
