"""Amazon Web Services: accounts, regions and the sessions that read them.

Credentials come from the SDK's default chain; each account is read through an assumed role when
one is configured. `AWS_ENDPOINT_URL` and the other settings of the SDK are honoured.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from agent import __version__
from agent.collect import POOL_SIZE, spread
from agent.model import Gap, Reason, Scope, SourceError, Tape
from agent.registry import source
from collectors.aws.client import Client, Recorder, Way, pages, whole
from collectors.aws.limiter import Budget, Paces
from collectors.aws.models import descriptions
from collectors.aws.refusals import NotSignedIn, region_off, sdk_errors, why_refused

__all__ = ["AwsAccount", "AwsSource", "connect", "pages", "whole"]

SOURCE_NEEDS = {"AssumeRole": "sts:AssumeRole", "DescribeRegions": "ec2:DescribeRegions", "GetCallerIdentity": ""}
"""What the source itself calls, beside its collectors; naming the caller needs no permission."""

_FALLBACK_REGION = "us-east-1"
_SESSION_NAME = "evidenced"
_CLIENTS = 256
"""SDK clients kept at once, half a megabyte each."""
_LASTING = frozenset({Reason.DENIED, Reason.NOT_CONFIGURED})
"""Refusals that asking again does not change; any other may pass within the sweep."""


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


class Access:
    """One session with the credentials for one account, and its SDK clients."""

    def __init__(self, region: str | None, limits: Limits, role: Role | None = None) -> None:
        import botocore.session

        with _translated():
            self.session: Any = botocore.session.Session()
            self.session.register_component("data_loader", descriptions())
            self.home: str = self.session.get_config_variable("region") or region or _FALLBACK_REGION
        self.places: dict[tuple[str, Any], str] = {}
        """(bucket, time of its making) -> region, once asked for: a bucket never moves."""
        self.signed_out = False
        """Whether credentials were refused: the next poll then starts from fresh ones."""
        self.session.register("before-sign.s3-control", _plain_host)
        if role:
            from botocore.credentials import CredentialResolver

            providers: list[Any] = [role]
            self.session.register_component("credential_provider", CredentialResolver(providers))
        self._role, self._limits = role, limits
        self._caller: str | None = None
        self._refused: SourceError | None = None
        self._off: set[str] = set()
        self._clients: dict[tuple[str, str], Any] = {}
        self._ways: dict[tuple[str, str], Way] = {}
        self._lock = threading.RLock()

    def way(self, service: str, region: str | None = None) -> Way:
        """How a service in a region is reached; SourceError where the region is known to be off."""
        place = (service, region or self.home)
        self._limits.shelf.used(self, place)
        if place[1] in self._off:
            raise region_off(Gap(Reason.NOT_CONFIGURED, "GetCallerIdentity", "RegionOff"))
        with self._lock:
            if place not in self._ways:
                sdk = self.sdk(*place)
                self._ways[place] = Way(
                    sdk, partial(self._doubt, place[1]), self._limits.paces, self._limits.budget,
                    custom=self._is_custom(sdk.meta.endpoint_url),
                )  # fmt: skip
            return self._ways[place]

    def drop(self, place: tuple[str, str]) -> None:
        """Forget a client; polls that hold it keep it until they end."""
        self._ways.pop(place, None)
        self._clients.pop(place, None)

    def sdk(self, service: str, region: str | None = None) -> Any:
        """The SDK's client, made once: making one costs as much as twenty calls."""
        from botocore.config import Config

        place = (service, region or self.home)
        with self._lock:
            if place not in self._clients:
                # A custom endpoint seldom has a name for each bucket.
                custom = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
                config = Config(
                    retries={"mode": "adaptive"},
                    max_pool_connections=POOL_SIZE,
                    connect_timeout=10,
                    read_timeout=60,
                    user_agent=f"evidenced/{__version__} {self.session.user_agent()}",
                    s3={"addressing_style": "path"} if custom else None,
                )
                with _translated():
                    self._clients[place] = self.session.create_client(service, region_name=place[1], config=config)
            return self._clients[place]

    def caller(self) -> str:
        """ARN of the identity that asks; SourceError when there are no credentials.

        A refusal by the account is remembered until `forget`: its other targets need not ask again.
        """
        with self._lock:
            if self._refused:
                raise SourceError(self._refused.gap, str(self._refused))
            if self._caller is None:
                try:
                    self._caller = self._who()
                except SourceError as error:
                    if error.gap.reason in _LASTING and not isinstance(error, NotSignedIn):
                        self._refused = error
                    raise
            return self._caller

    def _who(self) -> str:
        sts = Client(self.way("sts"), Recorder(Tape(), SOURCE_NEEDS))
        answer = sts.get_caller_identity()
        if not answer.get("Arn"):
            raise SourceError(Gap(Reason.MALFORMED, "GetCallerIdentity", "NoArn"))
        return str(answer["Arn"])

    def forget(self) -> None:
        """Forget who refused: rights may have been granted and regions switched on since."""
        self._refused = None
        self._off.clear()

    def sign_out(self) -> None:
        """Take these credentials as refused, and those that gave them."""
        self.signed_out = True
        if self._role:
            self._role.giver.sign_out()

    def _doubt(self, region: str) -> bool:
        """Whether credentials that a region refused are good at home: then it is the region that is off."""
        if region != self.home and not self.signed_out:
            with self._lock, suppress(SourceError):
                if region in self._off or self._who():
                    self._off.add(region)
                    return True
        self.sign_out()
        return False

    def _is_custom(self, url: str) -> bool:
        resolver = self.session.get_component("endpoint_resolver")
        suffixes = {resolver.get_partition_dns_suffix(name) for name in resolver.get_available_partitions()}
        host = urlsplit(url).hostname or ""
        return not any(host.endswith(f".{suffix}") for suffix in suffixes | {"api.aws", "on.aws"})

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()


class Limits:
    """What keeps one account within what AWS and the operator allow, and all of them within this machine's memory."""

    def __init__(self, budget: Budget, shelf: Shelf, pause: Callable[[float], None]) -> None:
        self.budget, self.shelf, self.paces = budget, shelf, Paces(pause)


class Shelf:
    """Which SDK clients are kept, of all accounts together: of hundreds of accounts there would be thousands."""

    def __init__(self) -> None:
        self._used: OrderedDict[tuple[Access, tuple[str, str]], None] = OrderedDict()
        self._lock = threading.Lock()

    def used(self, access: Access, place: tuple[str, str]) -> None:
        """A client is used now; the one that was not for the longest time is dropped when there are too many."""
        with self._lock:
            self._used[access, place] = None
            self._used.move_to_end((access, place))
            oldest = self._used.popitem(last=False)[0] if len(self._used) > _CLIENTS else None
        if oldest:
            oldest[0].drop(oldest[1])


class Role:
    """A credential provider of the SDK: takes a role with another's credentials."""

    METHOD = "assume-role"

    def __init__(self, giver: Access, arn: str, extra: Mapping[str, str]) -> None:
        self.giver, self._arn, self._extra = giver, arn, dict(extra)

    def load(self) -> Any:
        """Credentials that are fetched at the first call and again when they run out.

        NoCredentialsError when there are none to ask with.
        """
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.exceptions import NoCredentialsError

        own = self.giver.session.get_credentials()
        if own is None:
            raise NoCredentialsError
        create = partial(self.giver.session.create_client, region_name=self.giver.home)
        fetcher = AssumeRoleCredentialFetcher(create, own, self._arn, self._extra)
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method=self.METHOD)


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


@contextmanager
def _translated() -> Iterator[None]:
    """Translate refusals before there is a call: no such profile, half a credential."""
    try:
        yield
    except sdk_errors() as error:
        raise why_refused(error, "GetCallerIdentity", "") from error


def _plain_host(**event: Any) -> None:
    """Take the account out of the host of S3 Control: an address has no subdomains."""
    request = event["request"]
    parts = urlsplit(request.url)
    account, _, host = (parts.hostname or "").partition(".")
    if len(account) == 12 and account.isdigit() and _is_local(host):
        request.url = urlunsplit(parts._replace(netloc=parts.netloc[13:]))


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
