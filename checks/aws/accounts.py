"""Accounts that are the company's own: those collected, those of its organisation, those it names."""

from __future__ import annotations

import re

from agent.facts import Context, Facts, Unseen
from agent.model import Gap, Reason

_ACCOUNT = re.compile(r"\d{12}")
_ORGANISATION, _MEMBERSHIP = "aws.organizations.accounts", "aws.organizations.memberships"


def account_of(principal: str) -> str | None:
    """Number of the account that a principal or resource is of; None where its name holds none.

    >>> account_of("arn:aws:iam::111122223333:role/a"), account_of("111122223333"), account_of("ec2.amazonaws.com")
    ('111122223333', '111122223333', None)
    """
    if _ACCOUNT.fullmatch(principal):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 5 and parts[0] == "arn" and _ACCOUNT.fullmatch(parts[4]) else None


def is_own(account: str, subject: Facts, ctx: Context) -> bool:
    """Whether an account is the company's: that of the subject, named by a setting, or of the organisation.

    The setting `own_accounts` holds the accounts that are collected and those named besides. `Unseen`
    where it is none of these and the organisation's list is not whole.
    """
    own = account_of(subject.key) or next(iter(subject.scope.split(":")[1:2]), None)
    if account == own or account in ctx.thresholds.get("own_accounts", ()):
        return True
    return ctx.configured(_ORGANISATION) and _in_organisation(account, ctx)


def _in_organisation(account: str, ctx: Context) -> bool:
    """Whether an organisation that is collected lists the account; `Unseen` where that of the subject is not listed.

    Only its management account and delegated administrators may list one: a member account sees none.
    """
    managers = set()
    if ctx.configured(_MEMBERSHIP):
        managers = {membership["management_account"] for membership in ctx.here(_MEMBERSHIP)} - {None}
    for listed in ctx.everywhere(_ORGANISATION):
        if listed["id"] == account:
            return True
        managers.discard(listed["id"])
    for manager in managers:
        refused = Gap(Reason.DENIED, "ListAccounts", "AccessDeniedException", "organizations:ListAccounts")
        raise Unseen(refused, f"accounts of the organisation that {manager} manages")
    return False
