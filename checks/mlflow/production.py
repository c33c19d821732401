"""Streams derived from the registry's history: what held production, promotions, version numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.clock import iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, PollStatus, Reason, Record
from agent.registry import derived
from checks.mlflow.holding import MODELS, STAGING, VERSIONS, Held, Rules, Turn, aliases_of, held, last_seen

_REGISTRY = (*MODELS.values(), *VERSIONS.values())


@derived("mlflow.registry.production", kind="state", of=_REGISTRY)
def production(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Model and prompt versions that hold production or held it since the first poll."""
    found = held(history, _rules(ctx))
    if not found:
        yield from _no_rule_matched(history)
        return
    for kind in VERSIONS:
        versions = last_seen(history, VERSIONS[kind])
        for key, one in sorted(found.items()):
            if one.kind == kind:
                yield Record(key, _held_facts(one, *versions.get(key, (None, False))))


@derived("mlflow.registry.promotions", kind="events", of=_REGISTRY)
def promotions(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Versions that began to hold production after the first poll, each time one did."""
    found = held(history, _rules(ctx))
    if not found:
        yield from _no_rule_matched(history)
        return
    approvals = {kind: _approvals(history, VERSIONS[kind], ctx) for kind in VERSIONS}
    known = {kind: _complete_until(history, VERSIONS[kind]) for kind in VERSIONS}
    versions = {kind: last_seen(history, VERSIONS[kind]) for kind in VERSIONS}
    turns = sorted((turn for one in found.values() for turn in one.begun), key=lambda turn: (turn.seen.idx, turn.key))
    for turn in turns:
        if not turn.at_baseline:
            version = versions[turn.kind].get(turn.key, (None, False))[0]
            facts = _promotion_facts(turn, version)
            facts["approvals"] = approvals[turn.kind].get(turn.key, [])
            facts["approvals_known_until"] = known[turn.kind]
            yield Record(f"promotion:{turn.model}:{turn.version}:{turn.seen.idx}", facts)


@derived("mlflow.registry.numbers", kind="state", of=_REGISTRY)
def numbers(history: History, ctx: Context) -> Iterator[Record]:
    """Version numbers of each model and prompt, those there and those gone."""
    rules = _rules(ctx)
    in_production, in_staging = held(history, rules), held(history, STAGING)
    for kind in VERSIONS:
        first = _at_baseline(history, VERSIONS[kind])
        seen: dict[str, dict[int, bool]] = {}
        for facts, there in last_seen(history, VERSIONS[kind]).values():
            seen.setdefault(facts.text("model"), {})[int(facts.text("version"))] = there
        for model, versions in sorted(seen.items()):
            deleted = sorted(number for number, there in versions.items() if not there)
            holes = sorted(set(range(min(versions), max(versions))) - set(versions))
            important = [n for n in deleted if f"{model}/{n}" in in_production or f"{model}/{n}" in in_staging]
            yield Record(
                model,
                {
                    "kind": kind,
                    "model": model,
                    "lowest": min(versions),
                    "highest": max(versions),
                    "present": len(versions) - len(deleted),
                    "deleted_after_production_or_staging": important,
                    "deleted_others": [number for number in deleted if number not in important],
                    "missing_at_first_poll": [number for number in holes if number < first.get(model, 0)],
                    "never_seen": [number for number in holes if number >= first.get(model, 0)],
                    "production_known": bool(in_production),
                },
            )


def _rules(ctx: Context) -> Rules:
    return Rules.of(ctx.thresholds.get("production") or {})


def _no_rule_matched(history: History) -> Iterator[Gap]:
    """A gap when there are models or prompts: what is in production is then not known; none when there are none."""
    present = False
    aliases: set[str] = set()
    for stream in MODELS.values():
        for seen in history.versions(stream):
            if seen.facts is not None:
                aliases.update(aliases_of(seen.facts))
        present = present or any(there for _, there in last_seen(history, stream).values())
    if present:
        named = ", ".join(sorted(aliases)) or "none"
        yield Gap(Reason.NOT_CONFIGURED, code=f"no production rule matches; aliases seen: {named}")


def _held_facts(one: Held, version: Facts | None, there: bool) -> dict[str, Any]:
    first = one.begun[0]
    return {
        "kind": one.kind,
        "model": one.model,
        "version": one.version,
        "holds_now": bool(one.how_now),
        "how": sorted(one.how_now or one.how_ever),
        "since": {**_interval(first), "before_first_poll": first.at_baseline},
        "version_gone": not there,
        **_of_version(version),
    }


def _promotion_facts(turn: Turn, version: Facts | None) -> dict[str, Any]:
    return {
        "kind": turn.kind,
        "model": turn.model,
        "version": turn.version,
        "how": turn.how,
        "interval": _interval(turn),
        **_of_version(version),
    }


def _of_version(version: Facts | None) -> dict[str, Any]:
    """What the version's own record says; nothing where it was never seen, so that asking for it is `Unseen`."""
    if version is None:
        return {}
    return {
        "run_id": version["run_id"],
        "source": version["source"],
        "status": version["status"],
        "creation_timestamp": version["creation_timestamp"],
        "external_source": version["tags"].get("external_source"),
    }


def _interval(turn: Turn) -> dict[str, str | None]:
    return _between(turn.seen.not_before_ms, turn.seen.not_after_ms)


def _between(not_before_ms: int | None, not_after_ms: int) -> dict[str, str | None]:
    return {"not_before": None if not_before_ms is None else iso(not_before_ms), "not_after": iso(not_after_ms)}


def _approvals(history: History, stream: str, ctx: Context) -> Mapping[str, list[dict[str, Any]]]:
    """Per version each state of its approval tags, oldest first, with the interval in which it came to be."""
    names = {part: tag for part, tag in _approval_tags(ctx).items() if tag}
    found: dict[str, list[dict[str, Any]]] = {}
    for seen in history.versions(stream):
        if seen.facts is None:
            continue
        tags = seen.facts["tags"]
        state = {part: tags.get(tag) for part, tag in names.items()}
        states = found.setdefault(seen.key, [])
        if not states or any(states[-1][part] != state[part] for part in state):
            states.append({**state, **_between(seen.not_before_ms, seen.not_after_ms)})
    return found


def _approval_tags(ctx: Context) -> dict[str, str]:
    configured = ctx.thresholds.get("approval") or {}
    return {
        "by": configured.get("by_tag", "approved_by"),
        "on": configured.get("on_tag", "approved_on"),
        "ref": configured.get("ref_tag", "approval_ref"),
    }


def _complete_until(history: History, stream: str) -> str | None:
    """`asof` of the newest complete poll: until then the tags are known."""
    polls = [poll.asof_ms for poll in history.polls(stream) if poll.status is PollStatus.COMPLETE]
    return iso(polls[-1]) if polls and polls[-1] is not None else None


def _at_baseline(history: History, stream: str) -> dict[str, int]:
    """Highest version of each model that the first complete poll showed."""
    highest: dict[str, int] = {}
    for seen in history.versions(stream):
        if seen.facts is not None and (seen.baseline or seen.not_before_ms is None):
            model = seen.facts.text("model")
            highest[model] = max(highest.get(model, 0), int(seen.facts.text("version")))
    return highest
