"""Sign-in, passwords, keys and root of an AWS account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import DAY_MS, parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.recorded import change_of, incident_of
from checks.aws.trail_events import ROOT_USE

ROOT = "<root_account>"
"""What the credential report calls the root user."""

_CLASSES = ("RequireLowercaseCharacters", "RequireNumbers", "RequireSymbols", "RequireUppercaseCharacters")


@check("iam-console-mfa", over="aws.iam.credentials")
def console_mfa(user: Facts, ctx: Context) -> Verdict:
    """Every user with a console password has an MFA device.

    Root is judged by `iam-root-locked`.
    """
    if user["user"] == ROOT:
        return inapplicable("root is judged by iam-root-locked")
    password, mfa = user.text("password_enabled"), user.text("mfa_active")
    if password == "false":
        return inapplicable("no console password", password_enabled=password)
    if password != "true" or mfa not in ("true", "false"):
        return undecided(Reason.MALFORMED, "the report says neither true nor false", password_enabled=password, mfa=mfa)
    if mfa == "true":
        return passed("console password with an active MFA device", password_enabled=password, mfa_active=mfa)
    return failed("console password without MFA", password_enabled=password, mfa_active=mfa)


@check("iam-root-locked", over="aws.iam.account")
def root_locked(account: Facts, ctx: Context) -> Verdict:
    """Root has no keys, is protected by MFA or has no password, and is not used.

    `AccountPasswordPresent` is 0 where an organisation took root's password away. Use is what CloudTrail
    shows, where its events are known without a hole for as long as the limit; else the last sign-in of the
    credential report. A row of the registers of changes or incidents that names the account, `root` or the
    event accounts for it.
    """
    summary = account["summary"]
    told = {name: summary[name] for name in summary.names()}
    faults = []
    if told["AccountAccessKeysPresent"]:
        faults.append("root has access keys")
    if told["AccountSigningCertificatesPresent"]:
        faults.append("root has signing certificates")
    if told["AccountMFAEnabled"] != 1 and told["AccountPasswordPresent"] != 0:
        faults.append("root has no MFA device")
    if faults:
        return failed("; ".join(faults), **told)
    if told["AccountAccessKeysPresent"] is None or told["AccountSigningCertificatesPresent"] is None:
        return undecided(Reason.UNSUPPORTED, "the account summary says nothing of root's keys", **told)
    by_events = _root_by_events(account, told, ctx)
    if by_events is not None:
        return by_events
    root = ctx.here("aws.iam.usage").one(account.key)
    if root is None:
        return undecided(Reason.DEPENDENCY, "the credential report has no row for root", **told)
    limit, used = ctx.thresholds["root_unused_days"], root.text("password_last_used")
    told |= {"password_last_used": used, "root_unused_days": limit}
    if _is_time(used) and _days_since(used, ctx.now) <= limit and not _accounted(account, used, ctx):
        return failed(f"root signed in on {used[:10]}; it must be unused for {limit} days", **told)
    last = f"last sign-in {used[:10]}" if _is_time(used) else "no sign-in on record"
    return passed(f"root has no keys and cannot sign in by password alone; {last}", **told)


@check("iam-password-policy", over="aws.iam.account")
def password_policy(account: Facts, ctx: Context) -> Verdict:
    """The account's password rules meet the set minimum where passwords exist.

    An account without password rules fails. Character classes and expiry count only when they are set.
    """
    users = ctx.here("aws.iam.credentials")
    if not any(user["password_enabled"] == "true" and user["user"] != ROOT for user in users):
        return inapplicable("no user has a console password; list complete")
    rules = account["password_policy"]
    if rules is None:
        return failed("the account has no password policy", password_policy=None)
    told = {name: rules[name] for name in rules.names()}
    faults = _password_faults(told, ctx)
    if faults:
        return failed("; ".join(faults), **told)
    return passed("the password policy meets the set minimum", **told)


@check("iam-key-age", over="aws.iam.credentials")
def key_age(user: Facts, ctx: Context) -> Verdict:
    """Each active access key was made or rotated within the allowed number of days."""
    rotated = {n: user.text(f"access_key_{n}_last_rotated") for n in (1, 2) if user[f"access_key_{n}_active"] == "true"}
    if not rotated:
        return inapplicable("no active access key")
    told = {f"access_key_{n}_last_rotated": time for n, time in rotated.items()}
    if not all(map(_is_time, rotated.values())):
        return undecided(Reason.MALFORMED, "the report gives no time for an active key", **told)
    limit = ctx.thresholds["key_max_age_days"]
    said = "; ".join(f"access key {n} last rotated {time[:10]}" for n, time in rotated.items())
    too_old = any(_age_ms(time, ctx.now) > limit * DAY_MS for time in rotated.values())
    return (failed if too_old else passed)(f"{said}, limit {limit} days", key_max_age_days=limit, **told)


@check("iam-key-age", over="aws.iam.service_credentials")
@check("iam-key-age", over="aws.iam.ssh_keys")
def credential_age(credential: Facts, ctx: Context) -> Verdict:
    """Each active SSH key or service credential is within the allowed age."""
    if credential["status"] != "Active":
        return inapplicable("not active", status=credential["status"])
    expires = credential.get("expires")
    if expires and _age_ms(expires, ctx.now) >= 0:
        return inapplicable(f"expired on {expires[:10]}", expires=expires)
    limit, created = ctx.thresholds["key_max_age_days"], credential.text("created")
    too_old = _age_ms(created, ctx.now) > limit * DAY_MS
    said = f"{credential['user']}: created {created[:10]}, limit {limit} days"
    return (failed if too_old else passed)(said, created=created, key_max_age_days=limit)


@check("iam-key-unused", over="aws.iam.usage")
def key_unused(user: Facts, ctx: Context) -> Verdict:
    """Each active access key was used or made within the allowed number of days."""
    active = [n for n in (1, 2) if user[f"access_key_{n}_active"] == "true"]
    if not active:
        return inapplicable("no active access key")
    limit = ctx.thresholds["credential_unused_days"]
    told: dict[str, str] = {}
    unused, unknown = [], []
    for n in active:
        used, made = user.text(f"access_key_{n}_last_used_date"), user.text(f"access_key_{n}_last_rotated")
        told |= {f"access_key_{n}_last_used_date": used, f"access_key_{n}_last_rotated": made}
        times = [time for time in (used, made) if _is_time(time)]
        if not times:
            unknown.append(f"access key {n}")
        elif min(_days_since(time, ctx.now) for time in times) > limit:
            last = f"last used {used[:10]}" if _is_time(used) else f"never used, made {made[:10]}"
            unused.append(f"access key {n} {last}")
    if unused:
        return failed(f"{'; '.join(unused)}, limit {limit} days", credential_unused_days=limit, **told)
    if unknown:
        return undecided(Reason.MALFORMED, f"the report gives no time for {', '.join(unknown)}", **told)
    return passed(f"each active key used or made within {limit} days", credential_unused_days=limit, **told)


@check("iam-user-unused", over="aws.iam.usage")
def user_unused(user: Facts, ctx: Context) -> Verdict:
    """Each user with a console password signed in within the allowed number of days.

    A password that was never used counts from when it was last changed.
    """
    if user["user"] == ROOT or user["password_enabled"] != "true":
        return inapplicable("no user with a console password")
    used, changed = user.text("password_last_used"), user.text("password_last_changed")
    last = used if _is_time(used) else changed
    told = {"password_last_used": used, "password_last_changed": changed}
    if not _is_time(last):
        return undecided(Reason.MALFORMED, "the report gives no time for the password", **told)
    limit = ctx.thresholds["credential_unused_days"]
    said = "last sign-in" if _is_time(used) else "never signed in, password set"
    unused = _days_since(last, ctx.now) > limit
    return (failed if unused else passed)(
        f"{said} {last[:10]}, limit {limit} days", credential_unused_days=limit, **told
    )


def _root_by_events(account: Facts, told: Mapping[str, Any], ctx: Context) -> Verdict | None:
    """What the audit events say of root; None where they do not reach back as far as the limit."""
    if not ctx.configured(ROOT_USE):
        return None
    seen, limit = ctx.here(ROOT_USE).one(account.key.split(":")[4]), ctx.thresholds["root_unused_days"]
    # To the day: the first poll of the events begins a little after that of the account.
    if seen is None or not seen["complete"] or _days_since(seen["since"], ctx.now) < limit:
        return None
    told = {**told, "events_since": seen["since"], "root_unused_days": limit}
    for use in seen.list("uses"):
        lately = _days_since(use["time"], ctx.now) <= limit
        if lately and not _accounted(account, use["time"], ctx, use["id"]):
            said = f"root was used: {use['name']} at {use['time']}; it must be unused for {limit} days"
            return failed(said, use=use["name"], time=use["time"], event=use["id"], **told)
    return passed("root has no keys and cannot sign in by password alone; CloudTrail shows no use of it", **told)


def _accounted(account: Facts, at: str, ctx: Context, *names: str) -> bool:
    """Whether a register explains a use of root at this time."""
    named = ["root", account.key, account.key.split(":")[4], *names]
    return bool(change_of(ctx, named, at) or incident_of(ctx, named, at))


def _password_faults(rules: Mapping[str, int | bool | None], ctx: Context) -> list[str]:
    faults = []
    for name, threshold in (
        ("MinimumPasswordLength", "password_min_length"),
        ("PasswordReusePrevention", "password_reuse_prevention"),
    ):
        least = ctx.thresholds[threshold]
        if (rules[name] or 0) < least:
            faults.append(f"{name} is {rules[name] or 'not set'}, at least {least} is asked for")
    classes = ctx.thresholds["password_classes"]
    on = sum(bool(rules[name]) for name in _CLASSES)
    if classes is not None and on < classes:
        faults.append(f"{on} character classes are required, at least {classes} are asked for")
    most = ctx.thresholds["max_password_age_days"]
    if most is not None and not (rules["ExpirePasswords"] and 0 < (rules["MaxPasswordAge"] or 0) <= most):
        faults.append(f"MaxPasswordAge is {rules['MaxPasswordAge'] or 'not set'}, at most {most} is asked for")
    return faults


def _is_time(text: str) -> bool:
    """Whether the report gives a time here and not a word such as `N/A`."""
    return text[:4].isdigit()


def _age_ms(time: str, now: int) -> int:
    return now - parse_iso(time)


def _days_since(time: str, now: int) -> int:
    """Days in UTC from the day of a time to now: last use is known to the day only."""
    return now // DAY_MS - parse_iso(f"{time[:10]}T00:00:00Z") // DAY_MS
