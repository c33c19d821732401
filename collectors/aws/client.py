"""One AWS service client as collectors get it: declared reads, refusals as gaps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from agent import clock
from agent.model import Gap, Json, Reason, SourceError, Tape
from collectors.aws.refusals import NotSignedIn, sdk_errors, why_refused

_NAMING = frozenset({"AccountId", "Bucket", "Name", "UserName"})
"""Parameters that name one resource: they would make the receipt differ from poll to poll."""
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


class Call:
    """One operation of one client: call it, or have all pages `listed`."""

    __slots__ = ("_client", "_method", "_need", "_recorder", "_sign_out", "operation")

    def __init__(self, client: Any, method: str, recorder: Recorder, sign_out: Callable[[], None]) -> None:
        self.operation: str = client.meta.method_to_api_mapping[method]
        self._need = recorder.need(self.operation)
        self._client, self._method, self._recorder, self._sign_out = client, method, recorder, sign_out

    def __call__(self, **parameters: Any) -> Mapping[str, Any]:
        """The answer; SourceError when there is none."""
        return self._ask(lambda: getattr(self._client, self._method)(**parameters), parameters, page=False)

    def listed(self, member: str, **parameters: Any) -> Iterator[Any]:
        """Each element of `member` over all pages; SourceError when it breaks off."""
        for page in self._pages(parameters):
            if not isinstance(page.get(member), list):
                raise self._gap(Reason.MALFORMED, f"No{member}")
            yield from page[member]
            if page.get("IsTruncated") and not any(page.get(token) for token in _TOKENS):
                raise self._gap(Reason.PARTIAL, "NoToken")

    def _pages(self, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if self._client.can_paginate(self._method):
            pages = iter(self._client.get_paginator(self._method).paginate(**parameters))
            while page := self._ask(lambda: next(pages, {}), parameters, page=True):
                yield page
        else:
            yield from self._by_token(parameters)

    def _by_token(self, parameters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Pages of the few operations that the SDK has no paginator for."""
        method, seen, asked = getattr(self._client, self._method), set(), dict(parameters)
        while True:
            page = self._ask(lambda: method(**asked), parameters, page=True)
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
            refusal = why_refused(error, self.operation, self._need)
            if isinstance(refusal, NotSignedIn):
                self._sign_out()
            raise refusal from error
        if answer:
            self._recorder.called(self.operation, parameters, self._client.meta.endpoint_url)
            self._recorder.answered(answer, page=page)
        return answer

    def _gap(self, reason: Reason, code: str) -> SourceError:
        return SourceError(Gap(reason, self.operation, code, self._need))


class Client:
    """An SDK client whose methods are `Call`s.

    An operation that the stream does not declare is a RuntimeError.
    """

    def __init__(self, client: Any, recorder: Recorder, sign_out: Callable[[], None]) -> None:
        self._client, self._recorder, self._sign_out = client, recorder, sign_out

    def __getattr__(self, method: str) -> Call:
        """The operation with this SDK name (`list_buckets`); it is made once."""
        if method not in self._client.meta.method_to_api_mapping:
            raise AttributeError(f"AWS {self._client.meta.service_model.service_id} has no {method}")
        call = Call(self._client, method, self._recorder, self._sign_out)
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
