"""Who may decrypt with each key, and who both administers and uses it: by key policy and IAM together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Record
from agent.registry import derived
from checks.aws.holders import IDENTITIES, Able, Crowd, able
from checks.aws.kms import KEYS, USES

_DECRYPT = ("kms:Decrypt",)
_USING = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
_ADMINISTERING = ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey")
_NAMED = 20
"""Users and roles that a record names; the rest is counted."""


@derived(USES, kind="state", of=(KEYS, *IDENTITIES))
def uses(history: History, ctx: Context) -> Iterator[Record]:
    """Keys of the customer's with the users and roles that may decrypt with them.

    Key: ARN. `may_decrypt` holds at most twenty names, `may_decrypt_count` all; `conditions` are keys of
    conditions that were not evaluated, `unread` policies that were not seen. `both` (administer and use)
    is there for the keys of the setting `access.separate_duties` only. A key whose policy was not seen
    is left out.
    """
    keys = [key for key in history.now(KEYS) if key["manager"] != "AWS" and not key.unseen_at("policy")]
    if not keys:
        return
    apart = set((ctx.thresholds.get("access") or {}).get("separate_duties", []))
    crowd = Crowd.of(ctx)
    may = {actions: _able_anywhere(crowd, actions, keys) for actions in (_DECRYPT, _USING, _ADMINISTERING)}
    for key in keys:
        facts = _told(_asked(crowd, _DECRYPT, key, may[_DECRYPT]))
        if key.key in apart:
            facts |= _both(*(_asked(crowd, actions, key, may[actions]) for actions in (_ADMINISTERING, _USING)))
        yield Record(key.key, facts)


def _able_anywhere(crowd: Crowd, actions: Sequence[str], keys: Sequence[Facts]) -> list[int]:
    """Numbers of the members whose policies allow one of the actions on any key at all."""
    regions = sorted({key.key.rpartition(":")[0] for key in keys})
    return [
        number
        for number, (rights, _, _) in enumerate(crowd.members)
        if any(rights.grants(action, f"{near}:key/*") for action in actions for near in regions)
    ]


def _asked(crowd: Crowd, actions: Sequence[str], key: Facts, among: list[int]) -> Able:
    return able(crowd, actions, key.key, key.plain("policy"), needs_delegation=True, index=_Some(among))


class _Some:
    """An index of a crowd that knows nobody who may do it on every resource, and these who may somewhere."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers

    def sure(self, action: str) -> tuple[frozenset[str], frozenset[str]]:
        """Nobody: each is asked about the key."""
        return frozenset(), frozenset()

    def near(self, action: str, resource: str) -> list[int]:
        """Numbers of those worth asking."""
        return self._numbers


def _told(found: Able) -> dict[str, Any]:
    return {
        "may_decrypt": sorted(found.principals)[:_NAMED],
        "may_decrypt_count": len(found.principals),
        "conditions": sorted(found.conditions),
        "unread": sorted({str(part["name"]) for part in found.unread})[:_NAMED],
    }


def _both(administer: Able, use: Able) -> dict[str, Any]:
    both = sorted(administer.principals & use.principals)
    unread = {str(part["name"]) for part in [*administer.unread, *use.unread]}
    return {"both": both[:_NAMED], "both_count": len(both), "duties_unread": sorted(unread)[:_NAMED]}
