"""Model packages: documented, tested for bias, replaceable by the one before, none lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.deployment import PACKAGES, see_all
from checks.aws.production import NUMBERS, PRODUCTION
from checks.cards import TOPICS, lacking
from checks.people_affected import affects_nobody
from checks.registers import exempting

CARDS = "aws.sagemaker.model_cards"


@check("model-card-present", over=PRODUCTION, tags=["environment"])
def model_card_present(held: Facts, ctx: Context) -> Verdict:
    """A model package in production has an approved card that covers every topic.

    Source: the card of the package itself, else a model card that names the package, or its group.
    """
    package = _in_production(held, ctx)
    if isinstance(package, Verdict):
        return package
    cards = list(_cards(package, ctx))
    approved = [(where, topics) for where, status, topics in cards if status == "Approved"]
    facts = {"cards": sorted(f"{where} {status}" for where, status, _ in cards)}
    if not cards:
        return failed("no model card", **facts)
    if not approved:
        return failed(f"no model card is approved: {', '.join(facts['cards'])}", **facts)
    where, topics = min(approved, key=lambda card: len(lacking(card[1])))
    if missing := lacking(topics):
        return failed(f"the card ({where}) says nothing of: {', '.join(missing)}", **facts, missing=missing)
    return passed(f"an approved card ({where}) covers all {len(TOPICS)} topics", **facts)


@check("bias-evaluation-present", over=PRODUCTION, tags=["environment"])
def bias_evaluation_present(held: Facts, ctx: Context) -> Verdict:
    """A model package in production has a bias report.

    Source: `ModelMetrics.Bias` of the package; a row of the register models that says it affects nobody.
    """
    package = _in_production(held, ctx)
    if isinstance(package, Verdict):
        return package
    if reports := package["metrics"].list("bias"):
        return passed(f"bias report at {', '.join(reports)}", reports=list(reports))
    if said := affects_nobody(held["model"], ctx):
        return inapplicable(said)
    return failed("the package has no bias report", reports=[])


@check("previous-version-present", over=PRODUCTION, tags=["environment", "fallback", "withdrawn"])
def previous_version_present(held: Facts, ctx: Context) -> Verdict:
    """The package that production ran before the present one can be run again.

    It is there, complete, not rejected nor withdrawn (metadata `withdrawn`), and names its model data. The
    first one ever needs a documented fallback (metadata `fallback`).
    """
    package = _in_production(held, ctx)
    if isinstance(package, Verdict):
        return package
    before = held["before"]
    if before is None:
        if fallback := package["customer_metadata"].get("fallback"):
            return inapplicable(f"the first version in production; its fallback: {fallback}", fallback=fallback)
        if held["since"]["before_first_poll"]:
            return undecided(Reason.UNDETERMINED, "in production before the first poll: what ran before was not seen")
        return failed("the first version in production, without a documented fallback", before=None)
    previous = ctx.everywhere(PACKAGES).one(before)
    facts = {"before": before}
    if previous is None:
        return failed(f"{before}, which ran before, is gone", **facts)
    places = [container["data_url"] for container in previous["containers"] if container["data_url"]]
    if previous["status"] != "Completed":
        return failed(f"{before}, which ran before, has status {previous['status']}", **facts)
    if previous["approval_status"] == "Rejected" or previous["customer_metadata"].get("withdrawn"):
        return failed(f"{before}, which ran before, was rejected or withdrawn", **facts)
    if not places:
        return failed(f"{before}, which ran before, names no model data", **facts)
    return passed(f"{before} ran before and lies at {', '.join(places)}", **facts, places=places)


@check("version-numbers-contiguous", over=NUMBERS, tags=["environment"])
def numbers_contiguous(group: Facts, ctx: Context) -> Verdict:
    """Of a group's versions seen none that held production or staging is gone.

    Source: aws.sagemaker.model_packages over time; rows of the register changes with kind `model_deletion`
    whose `ref` or `system` is the group and version, as in `credit/3`, explain a deletion. Versions that held
    neither are listed, as are numbers missing when the registry was first read.
    """
    explained = set(_explained(group, ctx))
    important = [number for number in group.list("deleted_after_production_or_staging") if number not in explained]
    others, unseen = group.list("deleted_others"), [n for n in group.list("never_seen") if n not in explained]
    facts = {
        "lowest": group["lowest"],
        "highest": group["highest"],
        "deleted": sorted([*group.list("deleted_after_production_or_staging"), *others]),
        "explained": sorted(explained),
        "never_seen": unseen,
        "before_first_observation": group.list("missing_at_first_poll"),
    }
    if important:
        return failed(f"held production or staging and gone: {_spoken(important)}", **facts)
    # of a list that is not complete nobody knows what is still there
    packages = ctx.here(PACKAGES)
    for number in group.list("present"):
        if package := packages.one(f"{group.key}/{number}"):
            package["version"]
    packages.count()
    if unseen:
        said = f"{_spoken(unseen)} came and went between two polls: whether production was held was not seen"
        return undecided(Reason.UNDETERMINED, said, **facts)
    listed = f"; gone, but never in production or staging: {_spoken(others)}" if others else ""
    return passed(f"versions {group['lowest']} to {group['highest']} are accounted for{listed}", **facts)


def _in_production(held: Facts, ctx: Context) -> Facts | Verdict:
    """The package itself, or what follows where it is not in production or was not collected."""
    see_all(ctx)
    if not held["holds_now"]:
        return inapplicable("no longer in production")
    package = ctx.everywhere(PACKAGES).one(held["package"])
    return package or undecided(
        Reason.DEPENDENCY, f"package {held['package']} is not among those collected", runs_on=held.plain("places")
    )


def _cards(package: Facts, ctx: Context) -> Iterator[tuple[str, str, set[str]]]:
    """(where, status, topics) of each card about a package."""
    if package["card"] is not None:
        card = package["card"]
        yield "of the package", card["status"], set(card["content"]["topics"])
    wanted = {package.key, package["group"]} - {None}
    for card in ctx.here(CARDS):
        content = card["content"]
        if wanted & {content["package"], content["model"], content["model_id"], card["name"]}:
            yield card["name"], card["status"], set(content["topics"])


def _explained(group: Facts, ctx: Context) -> Iterator[int]:
    for row in exempting(ctx, "changes"):
        if str(row.get("kind")) == "model_deletion":
            for named in (row.get("ref"), row.get("system")):
                name, _, number = str(named or "").rpartition("/")
                if number.isdigit() and name in (group["group"], group.key):
                    yield int(number)


def _spoken(numbers: Sequence[int]) -> str:
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
