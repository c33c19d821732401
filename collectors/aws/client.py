"""One AWS service client as collectors get it: declared reads, refusals as gaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

from agent import clock
from agent.model import Gap, Json, Reason, SourceError, Tape
from collectors.aws.direct import PROTOCOLS, Direct, Endpoints
from collectors.aws.limiter import Budget, Pace, Paces
from collectors.aws.refusals import NotSignedIn, region_off, sdk_errors, why_refused

_NAMING = frozenset(
    {
        "AccountId",
        "BackupPlanId",
        "BackupVaultName",
        "Bucket",
        "CreationTimeAfter",
        "DetectorId",
        "EndTime",
        "GroupId",
        "HyperParameterTuningJobName",
        "KeyId",
        "LastModifiedTimeAfter",
        "ListenerArn",
        "LoadBalancerArn",
        "LoadBalancerName",
        "Name",
        "OpenIDConnectProviderArn",
        "PermissionSetArn",
        "PolicyId",
        "PrefixListId",
        "ProcessingJobName",
        "ResourceArn",
        "StartTime",
        "TrailName",
        "TrainingJobName",
        "TransformJobName",
        "UserName",
        "endTime",
        "logGroupName",
        "logStreamNamePrefix",
        "startTime",
    }
)
"""Parameters that name one resource, or a window: they would make the receipt differ from poll to poll."""
_TOKENS = ("NextToken", "Marker", "NextMarker", "ContinuationToken", "NextContinuationToken")


class Recorder:
    """Writes what the clients of one poll do to its tape; safe between threads."""

    def __init__(self, tape: Tape, needs: Mapping[str, str]) -> None:
        self.tape, self.needs = tape, needs
        self._lock = threading.Lock()

    def need(self, operation: str) -> str:
        """The permission an operation was declared with; RuntimeError without one."""
        if operation not in self.needs:
            raise RuntimeError(f"{operation} is not among the operations this stream declares")
        return self.needs[operation]

    def called(self, operation: str, parameters: Mapping[str, Json], endpoint: str) -> None:
        """Note that a call goes out."""
        with self._lock:
            self.tape.calls += 1
            self.tape.endpoint = self.tape.endpoint or endpoint
            if operation not in self.tape.operations:
                asked = {name: value for name, value in parameters.items() if name not in _NAMING}
                self.tape.operations[operation] = asked

    def answered(self, answer: Mapping[str, Any], *, page: bool) -> None:
        """Note an answer; the first one tells request id and clock skew."""
        told = answer.get("ResponseMetadata", {})
        with self._lock:
            self.tape.pages += page
            if self.tape.request_id is None and told.get("RequestId"):
                self.tape.request_id = str(told["RequestId"])
                date = told.get("HTTPHeaders", {}).get("date")
                if date:
                    self.tape.skew_ms = round(parsedate_to_datetime(date).timestamp() * 1000) - clock.now_ms()


class Way:
    """How the clients of one service in one region reach AWS: shared by all polls of an account."""

    def __init__(
        self,
        sdk: Any,
        doubt: Callable[[], bool] = lambda: False,
        paces: Paces | None = None,
        budget: Budget | None = None,
        *,
        custom: bool = False,
    ) -> None:
        self.sdk = sdk
        self.doubt = doubt
        """Called when credentials are refused; says whether they are good elsewhere, so that the region is off."""
        self.budget = budget or Budget(0)
        self.custom = custom
        """Whether an endpoint of one's own is configured in AWS's place."""
        self._paces = paces or Paces(time.sleep)
        self._endpoints = Endpoints(sdk)
        self._directs: dict[str, Direct] = {}
        self._paginators: dict[str, Callable[[Callable[..., Any]], Any] | None] = {}
        self._lock = threading.Lock()

    def direct(self, operation: str) -> Direct | None:
        """The short way to send an operation, where there is one."""
        if self.sdk.meta.service_model.resolved_protocol not in PROTOCOLS:
            return None
        with self._lock:
            if operation not in self._directs:
                self._directs[operation] = Direct(self.sdk, operation, self._endpoints)
            return self._directs[operation]

    def paginator(self, method: str) -> Callable[[Callable[..., Any]], Any] | None:
        """Makes the SDK's paginator of an operation over a function that makes its calls; None where it has none."""
        with self._lock:
            if method not in self._paginators:
                self._paginators[method] = _paginator(self.sdk, method) if self.sdk.can_paginate(method) else None
            return self._paginators[method]

    def pace(self, operation: str) -> Pace:
        """The pace that an operation keeps."""
        meta = self.sdk.meta
        return self._paces.of(meta.service_model.service_name, meta.region_name or "", operation)


def _paginator(sdk: Any, method: str) -> Callable[[Callable[..., Any]], Any]:
    from botocore.paginate import Paginator

    made = sdk.get_paginator(method)
    # its declared type is wrong: what it calls is no text
    return lambda send: Paginator(cast(Any, send), made._pagination_cfg, made._model)


class Call:
    """One operation of one client: call it, or have all pages `listed`."""

    __slots__ = ("_client", "_direct", "_method", "_need", "_pace", "_recorder", "_way", "operation")

    def __init__(self, way: Way, method: str, recorder: Recorder) -> None:
        self.operation: str = way.sdk.meta.method_to_api_mapping[method]
        self._need = recorder.need(self.operation)
        self._client, self._method, self._recorder, self._way = way.sdk, method, recorder, way
        self._pace = way.pace(self.operation)
        self._direct = way.direct(self.operation)

    def __call__(self, **parameters: Any) -> Mapping[str, Any]:
        """The answer; SourceError when there is none."""
        return self._ask(lambda: self._sent(**parameters), parameters, page=False)

    def _sent(self, **parameters: Any) -> Mapping[str, Any]:
        """Make one call, within the budget and at its pace."""
        if not self._way.budget.take():
            raise self._gap(Reason.THROTTLED, "CallBudget")
        self._pace.wait()
        answer = self._direct(parameters) if self._direct else None
        if answer is None:
            answer = getattr(self._client, self._method)(**parameters)
        return answer

    def listed(self, member: str, **parameters: Any) -> Iterator[Any]:
        """Each element of `member` over all pages; SourceError when it breaks off."""
        for page in self._pages(parameters):
            if not isinstance(page.get(member), list):
                raise self._gap(Reason.MALFORMED, f"No{member}")
            yield from page[member]
            cut = page.get("IsTruncated") or page.get("Truncated")
            if cut and not any(page.get(token) for token in _TOKENS):
                raise self._gap(Reason.PARTIAL, "NoToken")

    def _pages(self, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        paginator = self._way.paginator(self._method)
        if paginator:
            pages = iter(paginator(self._sent).paginate(**parameters))
            while page := self._ask(lambda: next(pages, {}), parameters, page=True):
                yield page
        else:
            yield from self._by_token(parameters)

    def _by_token(self, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Pages of the few operations that the SDK has no paginator for."""
        seen, asked = set(), dict(parameters)
        while True:
            page = self._ask(lambda: self._sent(**asked), parameters, page=True)
            yield page
            name = next((token for token in ("NextToken", "Marker") if page.get(token)), None)
            if name is None:
                return
            if page[name] in seen:
                raise self._gap(Reason.PARTIAL, "TokenTwice")
            seen.add(page[name])
            asked[name] = page[name]

    def _ask(
        self, send: Callable[[], Mapping[str, Any]], parameters: Mapping[str, Any], *, page: bool
    ) -> Mapping[str, Any]:
        try:
            answer = send()
        except sdk_errors() as error:
            self._recorder.called(self.operation, parameters, self._client.meta.endpoint_url)
            self._recorder.answered(getattr(error, "response", None) or {}, page=False)
            raise self._refusal(error) from error
        if answer:
            self._pace.answered()
            self._recorder.called(self.operation, parameters, self._client.meta.endpoint_url)
            self._recorder.answered(answer, page=page)
        return answer

    def _refusal(self, error: Exception) -> SourceError:
        """What an error means, and what follows from it for the calls after this one."""
        refusal = why_refused(error, self.operation, self._need, custom=self._way.custom)
        if refusal.gap.reason is Reason.THROTTLED:
            self._pace.throttled()
        else:
            self._pace.answered()
        if isinstance(refusal, NotSignedIn) and self._way.doubt():
            return region_off(refusal.gap)
        return refusal

    def _gap(self, reason: Reason, code: str) -> SourceError:
        return SourceError(Gap(reason, self.operation, code, self._need))


class Client:
    """An SDK client whose methods are `Call`s.

    An operation that the stream does not declare is a RuntimeError.
    """

    def __init__(self, way: Way, recorder: Recorder) -> None:
        self._way, self._recorder = way, recorder

    @property
    def custom(self) -> bool:
        """Whether an endpoint of one's own answers in AWS's place: it may leave out what AWS always says."""
        return self._way.custom

    def __getattr__(self, method: str) -> Call:
        """The operation with this SDK name (`list_buckets`); it is made once."""
        meta = self._way.sdk.meta
        if method not in meta.method_to_api_mapping:
            raise AttributeError(f"AWS {meta.service_model.service_id} has no {method}")
        call = Call(self._way, method, self._recorder)
        self.__dict__[method] = call
        return call


def pages(client: Client, operation: str, member: str, **parameters: Any) -> Iterator[Any]:
    """Each element of a listing, all pages; SourceError when it is not complete."""
    call: Call = getattr(client, operation)
    return call.listed(member, **parameters)


def whole(
    client: Client, operation: str, member: str, *, absent: str | None = None, **parameters: Any
) -> list[Any] | Gap:
    """All elements of a listing, or the gap where it broke off.

    None of them when AWS answers with the code `absent`.
    """
    try:
        return list(pages(client, operation, member, **parameters))
    except SourceError as error:
        return [] if error.gap.code == absent else error.gap


def some(client: Client, operation: str, member: str, **parameters: Any) -> bool | Gap:
    """Whether a listing has any element, or the gap where it broke off before one; no page is read in vain."""
    try:
        return any(True for _ in pages(client, operation, member, **parameters))
    except SourceError as error:
        return error.gap
