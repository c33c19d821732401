"""People who come from elsewhere: federations of an account, and Identity Center."""

from __future__ import annotations

import re

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.subjects import is_workload_issuer, is_workload_subject
from checks.aws.trust import subjects_trusted
from checks.joined.persons import checked_in_time

_MADE_BY_IDENTITY_CENTER = re.compile(r"AWSSSO_[0-9a-f]+_DO_NOT_DELETE")
_UNNAMED = "name the identity source behind it in access.federations"


@check("idp-federation-known", over="aws.iam.federations")
def federation_known(federation: Facts, ctx: Context) -> Verdict:
    """Each provider that people sign in with is one whose people are collected.

    Issuers of workload tokens, told by their address or by the subjects that roles let in, are judged
    by `iam-oidc-trust-scoped`. Source: ListSAMLProviders, ListOpenIDConnectProviders, trust of roles;
    `access.federations` says which identity source is behind one.
    """
    name = federation.text("name")
    source = _source(federation.key, ctx)
    if source:
        return _behind(source, ctx)
    if federation["kind"] == "oidc" and (is_workload_issuer(name) or _trusted_for_workloads(federation, ctx)):
        return inapplicable("speaks for workloads: judged by iam-oidc-trust-scoped", name=name)
    if _MADE_BY_IDENTITY_CENTER.fullmatch(name):
        if next(iter(ctx.here("aws.sso.instances")), None):
            return inapplicable("made by Identity Center, whose instance is judged itself", name=name)
        return undecided(Reason.DEPENDENCY, "made by Identity Center, of which the account sees no instance", name=name)
    return undecided(Reason.NOT_CONFIGURED, f"the people behind it are unseen: {_UNNAMED}", name=name)


@check("idp-federation-known", over="aws.sso.instances")
def instance_known(instance: Facts, ctx: Context) -> Verdict:
    """The people of each Identity Center instance are collected.

    Its own directory is an identity source of its own; where an outside provider keeps the entries,
    that one must be collected. Source: ListInstances; ListUsers, `ExternalIds`.
    """
    told = {"instance": instance.key, "owner_account": instance["owner_account"]}
    if instance["status"] != "ACTIVE":
        return inapplicable(f"the instance is {instance['status']}: nobody signs in by it", **told)
    source = _source(instance.key, ctx)
    if source:
        return _behind(source, ctx)
    if not instance["read_here"]:
        return _read_elsewhere(instance, ctx)
    people = [person for person in ctx.here("aws.sso.users") if person["instance"] == instance.key]
    issuers = sorted({str(issuer) for person in people for issuer in person.list("issuers")})
    if issuers:
        return undecided(
            Reason.NOT_CONFIGURED, f"{', '.join(issuers)} keeps its people: {_UNNAMED}", issuers=issuers, **told
        )
    return passed(f"its own directory, with {len(people)} people, is collected", **told)


@check("idp-mfa-registered", over="aws.sso.users")
def factor_registered(person: Facts, ctx: Context) -> Verdict:
    """Every enabled person of Identity Center has a second factor.

    People of a collected identity provider are judged there. Identity Center has no API for factors:
    `mfa` and `mfa_checked_on` of the people register stand in for it, checked each quarter.
    """
    told = {"status": person["status"]}
    if person["status"] == "DISABLED":
        return inapplicable("disabled: cannot sign in", **told)
    source = _source(person["instance"], ctx)
    if source and _is_collected(source, ctx):
        return inapplicable(f"signs in by {source}, where this is judged", source=source, **told)
    if source:
        return undecided(Reason.NOT_CONFIGURED, f"signs in by {source}, which is not collected", source=source, **told)
    issuers = [str(issuer) for issuer in person.list("issuers")]
    if issuers:
        return undecided(Reason.NOT_CONFIGURED, f"{', '.join(issuers)} keeps the entry: {_UNNAMED}", **told)
    return _self_asserted(person, ctx)


def _trusted_for_workloads(federation: Facts, ctx: Context) -> bool:
    """Whether roles trust a provider that is not known for it, and all of them for programs: a cluster of one's own."""
    subjects = [s for role in ctx.here("aws.iam.roles") for s in subjects_trusted(role.plain("trust"), federation.key)]
    return bool(subjects) and all(map(is_workload_subject, subjects))


def _self_asserted(person: Facts, ctx: Context) -> Verdict:
    """What the people register says of a factor that no API shows."""
    identity = ctx.here("aws.sso.identities").one(person.key) if ctx.configured("docs.registers.people") else None
    for row in identity.list("persons") if identity else ():
        told = {"person": row["id"], "mfa": row["mfa"], "mfa_checked_on": row["mfa_checked_on"]}
        if row["mfa"] in ("no", False):
            return failed(f"{row['id']} has no second factor by people.csv", **told)
        if row["mfa"] in ("yes", True) and checked_in_time(row["mfa_checked_on"], ctx.now):
            return passed(f"checked on {row['mfa_checked_on']} by people.csv (self asserted)", **told)
    return undecided(
        Reason.UNSUPPORTED,
        "Identity Center has no API for second factors: check them each quarter and write mfa and mfa_checked_on in "
        f"people.csv; if another provider signs people in, {_UNNAMED}",
    )


def _read_elsewhere(instance: Facts, ctx: Context) -> Verdict:
    """An instance that a member account sees but may not read."""
    owner, told = instance["owner_account"], {"instance": instance.key, "owner_account": instance["owner_account"]}
    if any(other.key == instance.key and other["read_here"] for other in ctx.everywhere("aws.sso.instances")):
        return inapplicable("read and judged in another account that is collected", **told)
    return undecided(
        Reason.NOT_CONFIGURED,
        f"it belongs to account {owner} and may not be read here: collect that account, or the one that administers it",
        **told,
    )


def _source(federation: str, ctx: Context) -> str | None:
    """The identity source that is configured as the one behind a federation."""
    found: str | None = ctx.thresholds["access"]["federations"].get(federation)
    return found


def _is_collected(source: str, ctx: Context) -> bool:
    return source.startswith("identity:") and ctx.configured(f"identity.{source.removeprefix('identity:')}.users")


def _behind(source: str, ctx: Context) -> Verdict:
    if _is_collected(source, ctx):
        return passed(f"its people are those of {source}, which is collected", source=source)
    return undecided(Reason.NOT_CONFIGURED, f"its people are those of {source}, which is not collected", source=source)
