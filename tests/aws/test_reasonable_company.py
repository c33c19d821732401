"""A reasonable company fails nothing that its owner would dispute, and passes nothing that was not looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Finding, PollStatus, Snapshot, Status
from agent.registry import discover
from agent.settings import Settings
from tests.aws import company as companies
from tests.aws.company import REGIONS, STREAMS, Company
from tests.aws.company_people import MANAGEMENT, ML

PACKAGE = f"arn:aws:sagemaker:us-east-1:{ML}:model-package/churn/1"
ADMINS = f"arn:aws:iam::{ML}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorAccess_*"
FROM_MANAGEMENT = f"arn:aws:iam::{ML}:role/OrganizationAccountAccessRole"

NO_TLS = "a request without TLS is let in: AWS itself refuses none until the bucket's policy does (enc-in-transit)"
NO_VERSIONS = "what is overwritten is lost: AWS keeps no versions until told to (data-tamper-evident)"
NO_DETECTOR = "an intruder takes the region nobody looks at: GuardDuty is off there (mon-threat-detection)"
UNAPPROVED = "administrators change production by hand, and no register says who approved that"

OF_PROJECT = {
    "backup-recent arn:aws:s3:::acme-ml-models": "the approved model is there once, without a backup (avail-backups)",
    f"bias-evaluation-present {PACKAGE}": "nobody looked at bias, and no register says that nobody is affected",
    f"model-card-present {PACKAGE}": "the model in production has no card (ml-model-documented)",
    "bucket-named-principals arn:aws:s3:::acme-ml-*": (
        "the management account reads the data through the role that the organisation made, which nobody allowed"
    ),
    "bucket-tls-only arn:aws:s3:::acme-ml-*": NO_TLS,
    "bucket-versioning arn:aws:s3:::acme-ml-*": NO_VERSIONS,
    f"detector-enabled {ML}/us-west-2": NO_DETECTOR,
    f"detector-enabled {ML}/eu-west-1": NO_DETECTOR,
    f"env-prod-writers-limited {FROM_MANAGEMENT}": UNAPPROVED,
}
"""Finding -> why the owner agrees: what fails of the project's account, whoever reads it."""

FAILS = OF_PROJECT | {
    f"account-public-block arn:aws:iam::{MANAGEMENT}:root": (
        "a new bucket there may be opened by mistake: the block for the whole account is off (storage-not-public)"
    ),
    "bucket-tls-only arn:aws:s3:::acme-audit-logs": NO_TLS,
    "bucket-versioning arn:aws:s3:::acme-audit-logs": "a log bucket keeps versions too (log-retention-protected)",
    f"detector-enabled {MANAGEMENT}/*": NO_DETECTOR,
    f"env-prod-writers-limited {ADMINS}": UNAPPROVED,
    f"sod-permission-overlap {ADMINS}": "Ada and Bob may train and deploy alone, and nobody approved that",
}

NOT_EVALUATED = {
    "not_configured": {
        "access-leaver-removed": "docs.registers.people",
        "access-no-orphan-identity": "docs.registers.people",
        "access-review-actions-done": "whose access a review revoked",
        "asset-tagged": "no people",
        "dataset-used-is-registered": "docs.registers.datasets",
        "disposal-verified": "docs.registers.disposals",
        "iam-admin-inventory": "docs.registers.privileged_access",
        "job-log-no-secrets": "scan_job_logs is off",
        "lifecycle-matches": "no tag retention_days",
        "region-allowed": "no allowed_regions",
        "restore-test-fresh": "docs.registers.restore_tests",
    },
    "undetermined": {"previous-version-present": "in production before the first poll"},
    "unsupported": {"idp-mfa-registered": "Identity Center has no API for second factors"},
}
"""Reason -> check -> what its message says, with both accounts read and no register kept."""

OF_ORGANIZATION = {
    "dependency": {
        "env-prod-writers-limited": "permission set AdministratorAccess",
        "iam-admin-count": f"as arn:aws:iam::{MANAGEMENT}:root",
        "log-retention-365": "acme-audit-logs",
        "sod-permission-overlap": "permission set",
        "trail-active": f"at home where nothing is collected: {companies.TRAIL}",
    },
    "not_configured": {"idp-federation-known": f"belongs to account {MANAGEMENT}"},
}
"""What is not known besides where only the project's account is read: it is the management account's."""

FAILS_NEW = {
    f"account-public-block arn:aws:iam::{ML}:root": "a bucket may be opened by mistake (storage-not-public)",
    f"detector-enabled {ML}/*": NO_DETECTOR,
    f"env-accounts-mapped arn:aws:iam::{ML}:root": "the configuration does not say what the account is for",
    f"iam-root-locked arn:aws:iam::{ML}:root": "root signed in yesterday, and no change says what for",
    f"log-retention-365 aws.cloudtrail.trails@aws:{ML}": "nothing keeps a log: the event history ends after 90 days",
    f"trail-active aws:{ML}": "no trail: what happens is not recorded for longer than 90 days (log-audit-trail)",
}
NOT_EVALUATED_NEW = {
    "not_configured": {
        "access-review-actions-done": "whose access a review revoked",
        "disposal-verified": "docs.registers.disposals",
        "env-prod-writers-limited": "no account has a label",
        "restore-test-fresh": "docs.registers.restore_tests",
    },
}
PASSES_NEW = {
    "agent-identity-read-only": "the reader's policies were read, and hold nothing but what is declared",
    "iam-admin-count": "nobody but root: users, roles and federations are all listed, and there is a warning",
    "iam-no-wildcard-policy": "the policies of the three roles were read",
    "job-population-reconciles": "no jobs and no create events: both lists are whole",
    "no-open-ports": "the default group of each region was read: it lets in its own members alone",
}
"""Check -> what a pass in an account without anything rests on."""


@dataclass(frozen=True)
class Told:
    """What was polled of a world, and what the rules say of it."""

    snapshots: Sequence[Snapshot]
    findings: Sequence[Finding]

    def with_status(self, status: Status) -> dict[str, Finding]:
        """Findings of a status by check and key, those about the agent's own work left out."""
        return {
            f"{one.check} {one.key}": one
            for one in self.findings
            if one.status is status and one.check not in ("collection-coverage", "evidence-fresh")
        }


def told(source: Company, folder: Path, settings: Mapping[str, Any]) -> Told:
    """Poll everything once, judge it, and give both back."""
    snapshots = list(source.polled())
    first, last = min(one.start_ms for one in snapshots), max(one.start_ms for one in snapshots)
    ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=first)
    ledger.declare([snapshot.target for snapshot in snapshots], first)
    for snapshot in snapshots:
        ledger.append_poll(snapshot)
    judge(ledger, discover(), settings, last + 1000)
    found = list(findings(ledger, discover()))
    ledger.close()
    return Told(snapshots, found)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    """The company: both of its accounts read, and the account of the project alone."""
    with companies.company() as source:
        rules, folders = companies.settings(), [tmp_path_factory.mktemp(name) for name in ("whole", "member")]
        return told(source, folders[0], rules), told(source.only(ML), folders[1], rules)


@pytest.fixture(scope="module")
def whole(both: tuple[Told, Told]) -> Told:
    """The company, both of its accounts read."""
    return both[0]


@pytest.fixture(scope="module")
def member(both: tuple[Told, Told]) -> Told:
    """The company, only the account of the project read."""
    return both[1]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """An account of today with nothing in it, and a configuration that says nothing of it."""
    with companies.newcomer() as source:
        return told(source, tmp_path_factory.mktemp("new"), Settings().rule_settings())


@pytest.mark.parametrize(("world", "accounts"), [("whole", 2), ("member", 1), ("new", 1)])
def test_every_poll_is_complete(request, world, accounts):
    """Without a single gap: what a member account may not ask of its organisation is no gap either."""
    polled = request.getfixturevalue(world).snapshots
    per = [accounts * (len(REGIONS) if spec.per == "region" else 1) for spec in STREAMS.values()]
    assert len(polled) == sum(per)
    gaps = {one.target.name: dict(one.unseen) for one in polled if one.unseen or one.status is not PollStatus.COMPLETE}
    assert gaps == {}


@pytest.mark.parametrize(
    ("world", "fails"), [("whole", FAILS), ("member", OF_PROJECT), ("new", FAILS_NEW)], ids=["whole", "member", "new"]
)
def test_what_fails_is_what_the_owner_agrees_with(request, world, fails):
    found = request.getfixturevalue(world).with_status(Status.FAIL)
    matched = {name: next((want for want in fails if fnmatchcase(name, want)), None) for name in found}
    disputed = [f"{name}: {found[name].message}" for name, want in matched.items() if want is None]
    assert (disputed, set(fails) - set(matched.values())) == ([], set())


@pytest.mark.parametrize(
    ("world", "lists"),
    [("whole", [NOT_EVALUATED]), ("member", [NOT_EVALUATED, OF_ORGANIZATION]), ("new", [NOT_EVALUATED_NEW])],
    ids=["whole", "member", "new"],
)
def test_what_is_not_known_says_why(request, world, lists):
    """Nothing crashed, nothing is malformed, and what nobody told is a register, a setting or another account."""
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for reasons in lists:
        for reason, checks in reasons.items():
            wanted[reason] |= checks
    if world == "member":  # its people are the management account's
        for check in ("access-leaver-removed", "access-no-orphan-identity"):
            del wanted["not_configured"][check]
        del wanted["unsupported"]
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for finding in request.getfixturevalue(world).with_status(Status.NOT_EVALUATED).values():
        said = wanted.get(str(finding.reason), {}).get(finding.check, "is not foreseen")
        assert said in finding.message, f"{finding.check} {finding.key}: {finding.reason}: {finding.message}"
        found[str(finding.reason)][finding.check] = said
    assert found == wanted


def test_nothing_is_concluded_from_nothing(new):
    """What an account passes in which there is nothing was looked at all the same."""
    assert {finding.check for finding in new.with_status(Status.PASS).values()} == set(PASSES_NEW)


def test_what_the_owner_did_well_passes(whole):
    """The careful settings of the fixture show: it is no account in which everything is merely not applicable."""
    passed = {finding.check for finding in whole.with_status(Status.PASS).values()}
    assert passed >= {
        "account-public-block", "agent-identity-read-only", "asset-unknown-component", "bucket-encryption",
        "bucket-not-public", "bucket-public-block", "deployed-version-known", "detector-enabled", "env-accounts-mapped",
        "env-prod-writers-limited", "flow-logs-on", "iam-admin-count", "iam-ml-service-wildcards",
        "iam-no-wildcard-policy", "iam-oidc-trust-scoped", "iam-root-locked", "idp-federation-known",
        "job-attributable", "job-image-pinned", "job-image-trusted", "job-in-vpc", "job-lineage", "job-log-exists",
        "job-population-reconciles", "kms-policy-scoped", "kms-rotation", "log-retention-365", "no-open-ports",
        "production-version-approved", "scanner-enabled", "sod-permission-overlap", "trail-active", "volume-encryption",
    }  # fmt: skip
