"""Image repositories: what is pushed is scanned."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check

_SCANNED = ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")


@check("scanner-enabled", over="aws.ecr.repositories")
def images_scanned(repository: Facts, ctx: Context) -> Verdict:
    """Images are scanned when they are pushed, or by Inspector.

    A repository's own setting counts where the registry scans by itself (BASIC), not where it leaves that
    to Inspector.
    """
    frequency, place = repository["scan_frequency"], _place(repository)
    if frequency in _SCANNED:
        return passed(f"images are scanned: {frequency}", frequency=frequency)
    if repository["scan_on_push"]:
        registry = ctx.here("aws.ecr.registries").one(place)
        if registry is not None and registry["scan_type"] == "BASIC":
            return passed("images are scanned on push, as the repository says", scan_on_push=True, scan_type="BASIC")
    scanner = ctx.here("aws.detect.scanners").one(place)
    if scanner is None:
        return undecided(Reason.DEPENDENCY, f"not scanned on push, and Inspector was not looked at in {place}")
    inspector = scanner["inspector"]
    images = inspector["parts"].get("ecr")
    if inspector["status"] == "ENABLED" and images == "ENABLED":
        return passed("Inspector scans images", frequency=frequency, ecr=images)
    return failed("not scanned on push, and Inspector does not scan images", frequency=frequency, ecr=images)


def _place(repository: Facts) -> str:
    """Account and region of a repository: the key of what there is one of in each."""
    _, _, _, region, account, _ = repository.key.split(":", 5)
    return f"{account}/{region}"
