"""Okta: whether its policies demand the second factor."""

from __future__ import annotations

from fnmatch import fnmatchcase

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

_ASSURANCE = "ASSURANCE"


@check("idp-mfa-enforced", over="identity.okta.apps")
def app_demands_second_factor(app: Facts, ctx: Context) -> Verdict:
    """Every rule that lets people into an app demands a second factor.

    Of apps that lead to a system in scope (`okta_apps`), by the app's access policy; rules that deny or
    are switched off let nobody in. A rule for few people counts too: it is named with whom it is for.
    """
    if app["status"] != "ACTIVE":
        return inapplicable(f"the app is {app['status']}", status=app["status"])
    patterns = [pattern.casefold() for pattern in ctx.thresholds["okta_apps"]]
    names = [app.text("name").casefold(), app.text("label").casefold()]
    if not any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
        return inapplicable("leads to no system in scope by okta_apps", name=app["name"], label=app["label"])
    if app["policy"] is None:
        return undecided(Reason.UNSUPPORTED, "the app names no access policy: an organisation without per-app policies")
    policy = ctx.here("identity.okta.policies").one(app["policy"])
    if policy is None:
        return undecided(Reason.DEPENDENCY, f"access policy {app['policy']} was not listed", policy=app["policy"])
    letting = [rule for rule in policy.list("rules") if rule["status"] == "ACTIVE" and rule["access"] == "ALLOW"]
    weak, unknown = [], []
    for rule in sorted(letting, key=lambda rule: rule["priority"]):
        if rule["method"] != _ASSURANCE:
            unknown.append(rule["name"])
        elif rule["factors"] != "2FA":
            weak.append(f"{rule['name']} ({_whom(rule)})")
    facts = {"policy": policy["name"], "rules": [rule["name"] for rule in letting], "without": weak}
    if weak:
        return failed(f"policy {policy['name']} lets people in with one factor by {', '.join(weak)}", **facts)
    if unknown:
        return undecided(
            Reason.UNSUPPORTED, f"verification of {', '.join(unknown)} is not one whose factors are known", **facts
        )
    return passed(f"each of {len(letting)} rules of policy {policy['name']} demands two factors", **facts)


def _whom(rule: Facts) -> str:
    """For whom a rule is, in words."""
    people = rule["people"]
    count = len(people["users"].list("include")) + len(people["groups"].list("include"))
    return f"for {count} users or groups" if count else "for everybody"
