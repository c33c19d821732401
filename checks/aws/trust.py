"""Who from outside may take the roles of an account: other accounts, vendors, pipelines elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.aws.accounts import account_of, is_own
from checks.aws.policy import members, speaks_of_action, statements
from checks.aws.subjects import fault, is_workload_issuer
from checks.classes import in_production
from checks.registers import register

_EQUAL = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"})
_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}")
_APPLICATION = "cognito-identity.amazonaws.com"

Statement = Mapping[str, Any]


@dataclass(slots=True)
class Outside:
    """Whom a trust policy lets in by account, before anybody asks whose account it is."""

    anybody: bool = False
    named: dict[str, bool] = field(default_factory=dict)
    """Account or organisation -> whether each statement about it demands an external id."""


@check("iam-trust-external", over="aws.iam.roles")
def external_trust(role: Facts, ctx: Context) -> Verdict:
    """Each outside account that may take the role is of a registered vendor.

    A vendor registered as assuming roles from an account of many customers must send an external id;
    nobody trusts `*` without a condition that names accounts. AWS itself comes as a service, not as an
    account; should an account of its own be trusted, it is registered like any other. Source:
    `AssumeRolePolicyDocument`; columns `accounts` and `multi_tenant_role` of the vendors register.
    """
    outside = _outside(role.plain("trust"))
    told: dict[str, Any] = {"trusted": sorted(outside.named)}
    if outside.anybody:
        return failed("trusts every AWS account: no condition names accounts or an organisation", **told)
    foreign = [name for name in sorted(outside.named) if not _own(name, role, ctx)]
    if not foreign:
        return inapplicable("trusts no account outside the company's own", **told)
    told |= {"outside": foreign}
    vendors = _vendors(ctx)
    unknown = [name for name in foreign if name not in vendors]
    if unknown:
        return failed(f"trusts {', '.join(unknown)}, of no vendor in the register", **told)
    names = sorted({vendors[name].text("name") for name in foreign})
    told |= {"vendors": names}
    open_ = [n for n in foreign if vendors[n].get("multi_tenant_role") in ("yes", True) and not outside.named[n]]
    if open_:
        return failed(f"no sts:ExternalId is demanded of {', '.join(open_)}, which takes roles of many", **told)
    return passed(f"trusts {', '.join(foreign)}, of {', '.join(names)}", **told)


@derived("aws.iam.outsiders", kind="state", of=("aws.iam.roles",))
def outsiders(history: History, ctx: Context) -> Iterator[Record]:
    """Outside accounts and organisations that roles of the account trust."""
    found: dict[str, list[str]] = {}
    for role in history.now("aws.iam.roles"):
        for name in _outside(role.plain("trust")).named:
            if name != account_of(role.key):
                found.setdefault(name, []).append(role.key)
    for name, roles in sorted(found.items()):
        yield Record(f"outside:{name}", {"account": name, "roles": sorted(roles)})


@check("vendor-seen-is-listed", over="aws.iam.outsiders")
def outsider_listed(outsider: Facts, ctx: Context) -> Verdict:
    """Each outside account that roles trust is in the vendors register.

    Source: trust policies of roles; column `accounts` of the register.
    """
    name, roles = outsider.text("account"), outsider.plain("roles")
    told = {"account": name, "roles": roles}
    if _own(name, outsider, ctx):
        return inapplicable(f"{name} is the company's own", **told)
    vendor = _vendors(ctx).get(name)
    if vendor is None:
        return failed(f"{name}, trusted by {len(roles)} roles, is of no vendor in the register", **told)
    return passed(f"{name} is of {vendor['name']}", vendor=vendor["name"], **told)


@check("iam-oidc-trust-scoped", over="aws.iam.roles", tags=["environment"])
def workload_trust(role: Facts, ctx: Context) -> Verdict:
    """Each outside workload that may take the role is named exactly.

    In production, where unlabelled accounts count too, the branch, tag or environment as well. Claims
    that STS knows of GitHub and CircleCI count like the same in the subject. Source:
    `AssumeRolePolicyDocument`; `access.federations` for issuers that people sign in with.
    """
    found = [(s, arn) for s in _web_identity(role.plain("trust")) for arn in _federated(s)]
    if not found:
        return inapplicable("trusts no OpenID Connect provider")
    production = in_production(role, ctx)
    faults, unknown, people = [], [], []
    for statement, arn in found:
        issuer = arn.partition(":oidc-provider/")[2] or arn
        tested = _tested(statement, issuer)
        if not _exact(tested.get("aud", []) or tested.get("oaud", [])):
            faults.append(f"{issuer}: no exact audience")
        elif arn in ctx.thresholds["access"]["federations"] or issuer == _APPLICATION:
            people.append(issuer)
        else:
            wide = _too_wide(tested, issuer, production=production)
            faults += [f"{issuer}: {said}" for said in wide if said]
            unknown += [issuer for said in wide if not said]
    told: dict[str, Any] = {"issuers": sorted({issuer for _, issuer in found}), "production": production}
    if faults:
        return failed("; ".join(faults), faults=faults, **told)
    if unknown:
        issuers = ", ".join(sorted(set(unknown)))
        return undecided(Reason.UNDETERMINED, f"{issuers}: what its subjects with wildcards name is not known", **told)
    if len(people) == len(found):
        return inapplicable("trusts providers that people sign in with, with an exact audience", **told)
    where = "organisation, repository and branch or environment" if production else "organisation and repository"
    return passed(f"exact audience; subjects name {where}", **told)


def subjects_trusted(trust: Mapping[str, Any] | None, provider: str) -> list[str]:
    """The subject patterns by which a trust policy lets tokens of an OpenID Connect provider in; "" for any."""
    issuer = provider.partition(":oidc-provider/")[2] or provider
    return [
        subject
        for statement in _web_identity(trust)
        if provider in _federated(statement)
        for subject in _tested(statement, issuer).get("sub") or [""]
    ]


def _outside(trust: Mapping[str, Any] | None) -> Outside:
    """Accounts and organisations that may take a role, its own among them."""
    found = Outside()
    for statement in statements(trust, "Allow"):
        if not speaks_of_action(statement, "sts:AssumeRole"):
            continue
        accounts, organisations = _within(statement)
        external_id = bool(_conditions(statement).get("sts:externalid"))
        for principal in _principals(statement, "AWS"):
            account = account_of(principal)
            if account is None and principal != "*":
                continue  # the id of a user or role that is gone: nobody is that any more
            if account and accounts and account not in accounts:
                continue  # the condition is never true
            names = [account] if account and not organisations else organisations or accounts
            found.anybody |= not names
            for name in names:
                found.named[name] = found.named.get(name, True) and external_id
    return found


def _principals(statement: Statement, kind: str) -> Iterator[str]:
    """Principals of a kind that a statement names; `*` where it names all, or all but some."""
    held = statement.get("Principal")
    if "NotPrincipal" in statement or held == "*":
        yield "*"
    elif isinstance(held, dict):
        yield from (name for name in members(held.get(kind)) if isinstance(name, str))


def _conditions(statement: Statement) -> dict[str, list[str]]:
    """Condition key -> the values of which it must have one; a test that also holds without the key is none."""
    found: dict[str, list[str]] = {}
    condition = statement.get("Condition")
    for operator, keys in condition.items() if isinstance(condition, dict) else ():
        modifier, _, plain = operator.lower().rpartition(":")
        if plain in _EQUAL and modifier != "forallvalues" and isinstance(keys, dict):
            for key, values in keys.items():
                asked = [str(value) for value in members(values)]
                if not _exact(found.get(key.lower(), [])):  # of two tests of a key the narrower one counts
                    found[key.lower()] = asked
    return found


def _within(statement: Statement) -> tuple[list[str], list[str]]:
    """Accounts and organisations that the conditions hold a statement to; empty where they hold it to none."""
    tested = _conditions(statement)
    by_arn = [account_of(value) for value in tested.get("aws:principalarn", [])]
    by_number = [account_of(value) for value in tested.get("aws:principalaccount", [])]
    accounts = next(([n for n in named if n] for named in (by_number, by_arn) if named and all(named)), [])
    for key in ("aws:principalorgid", "aws:principalorgpaths"):
        organisations = [value.partition("/")[0] for value in tested.get(key, [])]
        if organisations and all(map(_ORGANISATION.fullmatch, organisations)):
            return accounts, organisations
    return accounts, []


def _own(name: str, subject: Facts, ctx: Context) -> bool:
    """Whether an account or organisation is the company's own."""
    if not _ORGANISATION.fullmatch(name):
        return is_own(name, subject, ctx)
    return any(membership["organization"] == name for membership in ctx.here("aws.organizations.memberships"))


def _vendors(ctx: Context) -> dict[str, Facts]:
    """Rows of the vendors register by the accounts and organisations they give."""
    found: dict[str, Facts] = {}
    for row in register(ctx, "vendors"):
        held = row.get("accounts")
        for name in held if isinstance(held, list) else re.split(r"[\s,;]+", str(held or "")):
            found[str(name).strip()] = row
    return found


def _web_identity(trust: Mapping[str, Any] | None) -> Iterator[Statement]:
    return (s for s in statements(trust, "Allow") if speaks_of_action(s, "sts:AssumeRoleWithWebIdentity"))


def _federated(statement: Statement) -> Iterator[str]:
    """OpenID Connect providers that a statement trusts; SAML providers are for people."""
    return (name for name in _principals(statement, "Federated") if ":saml-provider/" not in name)


def _tested(statement: Statement, issuer: str) -> dict[str, list[str]]:
    """Claims of an issuer's tokens that a statement tests -> the values it takes."""
    begins = f"{issuer.lower()}:"
    return {key.removeprefix(begins): v for key, v in _conditions(statement).items() if key.startswith(begins)}


def _exact(values: list[str]) -> bool:
    return bool(values) and not any(re.search(r"[*?]", value) for value in values)


def _too_wide(tested: Mapping[str, list[str]], issuer: str, *, production: bool) -> list[str]:
    """What is too wide about the workloads let in; "" for a subject whose form is not known."""
    named = any(_exact(tested.get(claim, [])) for claim in ("repository", "repository_id", "project-id"))
    placed = any(_exact(tested.get(claim, [])) for claim in ("environment", "ref"))
    if is_workload_issuer(issuer) and named and (placed or not production):
        return []
    if not tested.get("sub"):
        return ["no condition on the subject"]
    found = [(subject, fault(subject, issuer, production=production and not placed)) for subject in tested["sub"]]
    return [f"{subject} {said}" if said else "" for subject, said in found if said is not None]
