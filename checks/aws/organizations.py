"""Accounts of the organisation: which of them are collected."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, inapplicable, passed, undecided
from agent.registry import check


@check("asset-unknown-component", over="aws.organizations.accounts")
def account_collected(account: Facts, ctx: Context) -> Verdict:
    """Every account of the organisation that is in use is collected.

    One that is not is a named gap: nothing in it was looked at. Source: ListAccounts, `State`.
    """
    id, status = account.text("id"), account.text("status")
    told = {"account": id, "name": account["name"], "status": status}
    if status != "ACTIVE":
        return inapplicable(f"account {id} is {status}: nothing runs in it", **told)
    partition = account.key.split(":")[1]
    if ctx.everywhere("aws.iam.account").one(f"arn:{partition}:iam::{id}:root"):
        return passed(f"account {id} is collected", **told)
    return undecided(
        Reason.NOT_CONFIGURED,
        f"account {id} ({account.text('name', 'no name')}) is of the organisation and is not collected",
        **told,
    )
