"""Amazon Web Services: accounts, regions and the sessions that read them.

Credentials come from the SDK's default chain; each account is read through an assumed role when
one is configured. `AWS_ENDPOINT_URL` and the other settings of the SDK are honoured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agent.collect import spread
from agent.model import Gap, Reason, Scope, SourceError, Tape
from agent.registry import source
from collectors.aws.access import SOURCE_NEEDS, Access, Limits, Role, Shelf
from collectors.aws.client import Client, Recorder, pages, whole
from collectors.aws.limiter import Budget

__all__ = ["SOURCE_NEEDS", "AwsAccount", "AwsSource", "connect", "pages", "whole"]

_SESSION_NAME = "evidenced"


class AwsSettings(Protocol):
    """The part of `[collect.aws]` that says where to look and as whom."""

    @property
    def role(self) -> str | None:
        """ARN of the role to assume, `{account}` standing for the account's number."""

    @property
    def external_id(self) -> str | None:
        """Reference to the external id that the role's trust policy asks for."""

    @property
    def accounts(self) -> Sequence[str]:
        """Numbers of the accounts; none means the account of the credentials."""

    @property
    def regions(self) -> str | Sequence[str]:
        """Names of regions, or `all-enabled`."""

    @property
    def calls_per_day(self) -> int:
        """How many calls may be made in any 24 hours; 0 for as many as are needed."""

    @property
    def artifacts(self) -> Sequence[str]:
        """Where model artifacts lie, `s3://BUCKET/PREFIX`, in whichever account the bucket is."""

    @property
    def scan_job_logs(self) -> bool:
        """Whether the logs of jobs are searched for secrets."""


class AwsAccount:
    """What a collector is given: clients of one account for what its stream declares."""

    def __init__(
        self,
        access: Access,
        scope: Scope,
        recorder: Recorder,
        pause: Callable[[float], None],
        settings: AwsSettings,
    ) -> None:
        self.id: str = scope.detail["account"]
        self.region: str | None = scope.detail.get("region")
        self.partition = access.caller().split(":")[1]
        self.pause = pause
        """Waits this many seconds."""
        self.places = access.places
        self._access, self._recorder, self._settings = access, recorder, settings
        self._clients: dict[tuple[str, str | None], Client] = {}
        self._lock = threading.Lock()

    @property
    def arn(self) -> str:
        """The account as an ARN: key of the records that there is one of per account."""
        return f"arn:{self.partition}:iam::{self.id}:root"

    @property
    def artifacts(self) -> Sequence[str]:
        """Where model artifacts lie, as configured: `s3://BUCKET/PREFIX`."""
        return self._settings.artifacts

    @property
    def scan_job_logs(self) -> bool:
        """Whether the logs of jobs are searched for secrets, as configured."""
        return self._settings.scan_job_logs

    def client(self, service: str, region: str | None = None) -> Client:
        """The client of a service in a region, by default the scope's or the session's."""
        with self._lock:
            place = (service, region or self.region)
            if place not in self._clients:
                self._clients[place] = Client(self._access.way(*place), self._recorder)
            return self._clients[place]


class AwsSource:
    """The configured accounts; clients are shared by all polls of an account."""

    name = "aws"

    def __init__(
        self, settings: AwsSettings, secrets: Callable[[str], str], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings, self._secrets = settings, secrets
        self.pause = pause
        """Waits this many seconds; set before the first call, it is what every pace and every wait uses."""
        self._accesses: dict[str, Access] = {}
        self._limits: dict[str, Limits] = {}
        self._budget, self._shelf = Budget(settings.calls_per_day), Shelf()
        self._lock = threading.RLock()
        self.blind: dict[str, Gap] = {}
        """Account (`aws:123456789012`) -> why it could not name its regions."""

    def begin(self, calls: int) -> None:
        """A sweep begins: refusals are forgotten, and this many calls were made in the 24 hours before."""
        self._budget.begin(calls)
        with self._lock:
            for access in self._accesses.values():
                access.forget()

    def scopes(self, per: str) -> Sequence[Scope]:
        """One scope per account or per region; SourceError when they cannot be named.

        An account that refuses to name its regions is in `blind` and has its home region alone.
        """
        if per not in ("account", "region"):
            raise ValueError(f"AWS has no scopes per {per}")
        accounts = list(self._settings.accounts) or [self._access("").caller().split(":")[4]]
        if per == "account":
            return [Scope(f"aws:{id}", f"aws:{id}", {"account": id}) for id in accounts]
        return [
            Scope(f"aws:{id}:{region}", f"aws:{id}", {"account": id, "region": region})
            for id, regions in zip(accounts, spread(self._regions_or_home, accounts), strict=True)
            for region in regions
        ]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> AwsAccount:
        """An account that may call what is in `needs`; SourceError without credentials."""
        if "region" in scope.detail and scope.judging in self.blind:
            raise SourceError(self.blind[scope.judging])
        access = self._access(scope.detail["account"])
        tape.identity = access.caller()
        if tape.identity.split(":")[4] != scope.detail["account"]:
            gap = Gap(Reason.NOT_CONFIGURED, "GetCallerIdentity", "OtherAccount")
            raise SourceError(gap, f"{scope.name}: the credentials belong to another account; configure a role")
        return AwsAccount(access, scope, Recorder(tape, needs), self.pause, self._settings)

    def close(self) -> None:
        """Close the connections of every account."""
        with self._lock:
            for access in self._accesses.values():
                access.close()
            self._accesses.clear()

    def _access(self, account: str) -> Access:
        """The session for an account, or for the credentials' own (`""`)."""
        with self._lock:
            known = self._accesses.get(account)
            if known is None or known.signed_out:
                role = self._role(account) if account and self._settings.role else None
                limits = self._limits.setdefault(account, Limits(self._budget, self._shelf, self.pause))
                self._accesses[account] = Access(self._first_region(), limits, role)
            return self._accesses[account]

    def _role(self, account: str) -> Role:
        extra = {"RoleSessionName": _SESSION_NAME}
        if self._settings.external_id:
            extra["ExternalId"] = self._secrets(self._settings.external_id)
        return Role(self._access(""), str(self._settings.role).replace("{account}", account), extra)

    def _first_region(self) -> str | None:
        named = self._settings.regions
        return None if isinstance(named, str) or not named else named[0]

    def _regions_or_home(self, account: str) -> Sequence[str]:
        try:
            regions = self._regions(account)
        except SourceError as error:
            self.blind[f"aws:{account}"] = error.gap
            return [self._access("").home]
        self.blind.pop(f"aws:{account}", None)
        return regions

    def _regions(self, account: str) -> Sequence[str]:
        if not isinstance(self._settings.regions, str):
            return self._settings.regions
        access = self._access(account)
        access.caller()
        ec2 = Client(access.way("ec2"), Recorder(Tape(), SOURCE_NEEDS))
        answer = ec2.describe_regions()
        if not answer.get("Regions"):
            raise SourceError(Gap(Reason.MALFORMED, "DescribeRegions", "NoRegions", SOURCE_NEEDS["DescribeRegions"]))
        return sorted(region["RegionName"] for region in answer["Regions"])


@source("aws")
def connect(settings: AwsSettings, secrets: Callable[[str], str]) -> AwsSource:
    """The AWS source of a configuration; nothing is called yet."""
    return AwsSource(settings, secrets)
