"""One session of the SDK for one account: its credentials, its clients, and what was refused.

The sessions of hundreds of accounts share what they can: descriptions of services, limits, and the number of
clients that are kept.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agent import __version__
from agent.collect import POOL_SIZE
from agent.model import Gap, Reason, SourceError, Tape
from collectors.aws.client import Client, Recorder, Way
from collectors.aws.limiter import Budget, Paces
from collectors.aws.models import descriptions
from collectors.aws.refusals import NotSignedIn, region_off, sdk_errors, why_refused

SOURCE_NEEDS = {"AssumeRole": "sts:AssumeRole", "DescribeRegions": "ec2:DescribeRegions", "GetCallerIdentity": ""}
"""What the source itself calls, beside its collectors; naming the caller needs no permission."""

_FALLBACK_REGION = "us-east-1"
_CLIENTS = 256
"""SDK clients kept at once, half a megabyte each."""
_LASTING = frozenset({Reason.DENIED, Reason.NOT_CONFIGURED})
"""Refusals that asking again does not change; any other may pass within the sweep."""


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
