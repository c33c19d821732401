"""Amazon Web Services: accounts, regions and the sessions that read them.

Credentials come from the SDK's default chain; each account is read through an assumed role when
one is configured. `AWS_ENDPOINT_URL` and the other settings of the SDK are honoured.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from agent import __version__
from agent.collect import POOL_SIZE
from agent.model import Gap, Reason, Scope, SourceError, Tape
from agent.registry import source
from collectors.aws.client import Client, Recorder, pages, whole
from collectors.aws.refusals import sdk_errors, why_refused

__all__ = ["AwsAccount", "AwsSource", "connect", "pages", "whole"]

SOURCE_NEEDS = {"AssumeRole": "sts:AssumeRole", "DescribeRegions": "ec2:DescribeRegions", "GetCallerIdentity": ""}
"""What the source itself calls, beside its collectors; naming the caller needs no permission."""

_FALLBACK_REGION = "us-east-1"
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


class AwsAccount:
    """What a collector is given: clients of one account for what its stream declares."""

    def __init__(self, access: Access, scope: Scope, recorder: Recorder, pause: Callable[[float], None]) -> None:
        self.id: str = scope.detail["account"]
        self.region: str | None = scope.detail.get("region")
        self.partition = access.caller().split(":")[1]
        self.pause = pause
        """Waits this many seconds."""
        self.places = access.places
        self._access, self._recorder = access, recorder
        self._clients: dict[tuple[str, str | None], Client] = {}
        self._lock = threading.Lock()

    @property
    def arn(self) -> str:
        """The account as an ARN: key of the records that there is one of per account."""
        return f"arn:{self.partition}:iam::{self.id}:root"

    def client(self, service: str, region: str | None = None) -> Client:
        """The client of a service in a region, by default the scope's or the session's."""
        with self._lock:
            place = (service, region or self.region)
            if place not in self._clients:
                sdk = self._access.sdk(*place)
                self._clients[place] = Client(sdk, self._recorder, self._access.sign_out)
            return self._clients[place]


class Access:
    """One session with the credentials for one account, and its SDK clients."""

    def __init__(self, region: str | None, role: Role | None = None) -> None:
        import botocore.session

        with _translated():
            self.session: Any = botocore.session.Session()
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
        self._role = role
        self._caller: str | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.RLock()

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
                    user_agent_extra=f"evidenced/{__version__}",
                    s3={"addressing_style": "path"} if custom else None,
                )
                with _translated():
                    self._clients[place] = self.session.create_client(service, region_name=place[1], config=config)
            return self._clients[place]

    def caller(self) -> str:
        """ARN of the identity that asks; SourceError when there are no credentials."""
        with self._lock:
            if self._caller is None:
                recorder = Recorder(Tape(), SOURCE_NEEDS)
                sts = Client(self.sdk("sts"), recorder, self.sign_out)
                self._caller = str(sts.get_caller_identity()["Arn"])
            return self._caller

    def sign_out(self) -> None:
        """Take these credentials as refused, and those that gave them."""
        self.signed_out = True
        if self._role:
            self._role.giver.sign_out()

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()


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
        self._settings, self._secrets, self._pause = settings, secrets, pause
        self._accesses: dict[str, Access] = {}
        self._lock = threading.RLock()

    def scopes(self, per: str) -> Sequence[Scope]:
        """One scope per account or per region; SourceError when they cannot be named."""
        if per not in ("account", "region"):
            raise ValueError(f"AWS has no scopes per {per}")
        accounts = list(self._settings.accounts) or [self._access("").caller().split(":")[4]]
        if per == "account":
            return [Scope(f"aws:{id}", f"aws:{id}", {"account": id}) for id in accounts]
        return [
            Scope(f"aws:{id}:{region}", f"aws:{id}", {"account": id, "region": region})
            for id in accounts
            for region in self._regions(id)
        ]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> AwsAccount:
        """An account that may call what is in `needs`; SourceError without credentials."""
        access = self._access(scope.detail["account"])
        tape.identity = access.caller()
        if tape.identity.split(":")[4] != scope.detail["account"]:
            gap = Gap(Reason.NOT_CONFIGURED, "GetCallerIdentity", "OtherAccount")
            raise SourceError(gap, f"{scope.name}: the credentials belong to another account; configure a role")
        return AwsAccount(access, scope, Recorder(tape, needs), self._pause)

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
                self._accesses[account] = Access(self._first_region(), role)
            return self._accesses[account]

    def _role(self, account: str) -> Role:
        extra = {"RoleSessionName": _SESSION_NAME}
        if self._settings.external_id:
            extra["ExternalId"] = self._secrets(self._settings.external_id)
        return Role(self._access(""), str(self._settings.role).replace("{account}", account), extra)

    def _first_region(self) -> str | None:
        named = self._settings.regions
        return None if isinstance(named, str) or not named else named[0]

    def _regions(self, account: str) -> Sequence[str]:
        if not isinstance(self._settings.regions, str):
            return self._settings.regions
        access = self._access(account)
        ec2 = Client(access.sdk("ec2"), Recorder(Tape(), SOURCE_NEEDS), access.sign_out)
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
