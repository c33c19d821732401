"""Run one registered check on plain data, without ledger and source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.facts import Context, Facts, StreamView, Unseen
from agent.model import Gap, Reason, Verdict, iter_pointers, undecided
from agent.registry import CheckSpec, discover
from agent.settings import Settings

NOW_MS = 1_800_000_000_000
"""2027-01-15T08:00:00Z, the time at which a subject was observed unless a test says otherwise."""

DENIED = Gap(Reason.DENIED, "GetIt", "AccessDenied", "it:Get")
NO_SOURCE = Gap(Reason.NOT_CONFIGURED, code="NoSuchSource")
Stream = Mapping[str, Mapping[str, Any]] | Gap


def judge(
    check: str,
    facts: Mapping[str, Any] | None = None,
    *,
    over: str | None = None,
    key: str = "subject",
    here: Mapping[str, Stream] | None = None,
    everywhere: Mapping[str, Stream] | None = None,
    partial: Mapping[str, Gap] | None = None,
    gaps: Mapping[str, Gap] | None = None,
    now: int = NOW_MS,
    **thresholds: Any,
) -> Verdict:
    """The verdict of a check; `Unseen` becomes not_evaluated, as the engine makes it.

    `facts` of the subject may hold a `Gap` anywhere, `gaps` adds some by pointer; without facts the
    check is asked once. `over` names the stream where the check is over several. `here` and
    `everywhere` are the other streams: key -> facts, or the `Gap` because of which a stream was not
    seen; one that is not given is not configured. `partial` streams raise their gap at the end.
    """
    spec = _spec(check, over)
    views = (_views(here or {}, partial or {}), _views(everywhere or here or {}, partial or {}))
    named = {**(here or {}), **(everywhere or {})}
    ctx = Context(now, Settings().rule_settings() | thresholds, *views, named.__contains__)
    subject = None if facts is None else as_facts(facts, key, gaps or {}, now)
    try:
        return spec.judge(ctx) if subject is None else spec.judge(subject, ctx)
    except Unseen as unseen:
        need = [unseen.gap.need] if unseen.gap.need else []
        return undecided(unseen.gap.reason, f"not seen: {unseen.where}", need=need)


def as_facts(
    facts: Mapping[str, Any], key: str = "subject", gaps: Mapping[str, Gap] | None = None, at: int = NOW_MS
) -> Facts:
    """Facts as a check gets them; every `Gap` inside is a facet that was not seen."""
    return Facts(facts, {**dict(iter_pointers(facts, Gap)), **(gaps or {})}, key=key, scope="test:1", observed_ms=at)


def _spec(check: str, over: str | None) -> CheckSpec:
    found = [spec for spec in discover().checks[check] if over is None or spec.stream == over]
    assert len(found) == 1, f"{check} has {len(found)} implementations {over=}: name one stream"
    return found[0]


def _views(streams: Mapping[str, Stream], partial: Mapping[str, Gap]) -> Callable[[str], StreamView]:
    def view(name: str) -> StreamView:
        held = streams.get(name, NO_SOURCE)
        if isinstance(held, Gap):
            raise Unseen(held, name)
        records = [as_facts(facts, key) for key, facts in held.items()]
        return StreamView(lambda: iter(records), partial.get(name), name)

    return view
