"""Which environment each collected account and registry is of, as the configuration says."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Verdict, failed, passed
from agent.registry import check


@check("env-accounts-mapped", over="aws.iam.account")
@check("env-accounts-mapped", over="mlflow.server.access")
def environment_named(place: Facts, ctx: Context) -> Verdict:
    """Every collected account and registry has an environment label.

    Source: `scope.environments` of the configuration. One without counts as production wherever a rule asks.
    """
    label = ctx.thresholds["environments"].get(place.scope)
    if label:
        return passed(f"{place.scope} is {label}", scope=place.scope, environment=label)
    return failed(f"{place.scope} has no label in scope.environments: it counts as production", scope=place.scope)
