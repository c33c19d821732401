"""Sending without ceremony: the plain reads, of which there may be a hundred thousand, at a lower price.

Parameters, endpoint rules, signature, connections and parser are the SDK's own, and its hooks before a request
goes out and after its answer are called. Left out is what it does around every single request: spelling out
the user agent, keeping a history, preparing for retries. So only a plain answer is taken from here: what was
asked for, "there is none", or "not allowed". After any other, a throttled one or none at all, the call is made
by the SDK as usual, with its retries, its slowing down and its redirects, and so are the next ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROTOCOLS = frozenset({"query", "rest-xml"})
"""Those of IAM, S3 and S3 Control: the services that are asked about one resource at a time."""
_PLAIN = frozenset({"AccessDenied"})
_ENDPOINTS = 2_000
"""How many resources' endpoints are remembered: those that are being asked about."""
_BY_THE_SDK = 50
"""How many calls of an operation the SDK makes itself after an answer that was not plain."""


class Endpoints:
    """Where an SDK client sends what it asks about one resource; by the SDK's rules, which are slow to follow."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk
        self._known: dict[Any, tuple[str, Mapping[str, str], dict[str, Any]]] = {}

    def of(
        self, model: Any, given: Mapping[str, Any], context: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, str], dict[str, Any]]:
        """URL, headers and what to add to the context; found once for all operations about a resource."""
        asked_about = [(named.name, str(given.get(named.member_name))) for named in model.context_parameters]
        express = any(name == "Bucket" and value.endswith("--x-s3") for name, value in asked_about)
        fixed = [(each.name, str(each.value)) for each in model.static_context_parameters]
        # the rules ask for this one only of directory buckets, and those are known by their names
        place = (*asked_about, *(each for each in fixed if express or each[0] != "UseS3ExpressControlEndpoint"))
        known = None if model.operation_context_parameters else self._known.get(place)
        if known is None:
            if len(self._known) >= _ENDPOINTS:
                self._known.clear()
            with_place = dict(context)
            url, headers, properties = self._sdk._resolve_endpoint_ruleset(model, given, with_place)
            found = {name: value for name, value in with_place.items() if value is not context.get(name)}
            known = self._known[place] = (url, headers, {**found, "endpoint_properties": properties})
        return known


class Direct:
    """One operation of an SDK client."""

    def __init__(self, sdk: Any, operation: str, endpoints: Endpoints) -> None:
        self._sdk, self._model = sdk, sdk.meta.service_model.operation_model(operation)
        self._endpoints = endpoints
        self._resting = 0
        service = sdk.meta.service_model.service_id.hyphenize()
        self._events = {
            name: f"{name}.{service}.{operation}"
            for name in ("before-parameter-build", "before-call", "before-send", "before-parse", "after-call")
        }
        self._context = {
            "client_region": sdk.meta.region_name,
            "client_config": sdk.meta.config,
            "has_streaming_input": False,
            "auth_type": self._model.resolved_auth_type,
            "unsigned_payload": self._model.unsigned_payload,
            "auth_options": sdk.meta.service_model.metadata.get("auth"),
        }

    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The answer; ClientError for a plain refusal; None when the SDK has to make the call itself."""
        from botocore.exceptions import HTTPClientError
        from botocore.parsers import ResponseParserError

        if self._resting:
            self._resting -= 1
            return None
        try:
            answer = self._sent(parameters)
        except (HTTPClientError, ResponseParserError):
            answer = None
        if answer is None:
            self._resting = _BY_THE_SDK
        return answer

    def _sent(self, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        from botocore.awsrequest import create_request_object, prepare_request_dict

        sdk, model, events = self._sdk, self._model, self._events
        context = dict(self._context)
        given = dict(parameters)
        sdk.meta.events.emit(events["before-parameter-build"], params=given, model=model, context=context)
        url, headers, found = self._endpoints.of(model, given, context)
        context |= found
        asked = sdk._serializer.serialize_to_request(given, model)
        asked.pop("host_prefix", None)
        asked["headers"].update(headers)
        prepare_request_dict(asked, endpoint_url=url, user_agent=sdk.meta.config.user_agent, context=context)
        _, faked = sdk.meta.events.emit_until_response(
            events["before-call"], model=model, params=asked, request_signer=sdk._request_signer, context=context
        )
        if faked is not None:
            return self._taken(faked[0], faked[0].status_code, faked[1], context)
        request = create_request_object(asked)
        request.stream_output = False
        sdk._request_signer.sign(model.name, request)
        prepared = request.prepare()
        replies = sdk.meta.events.emit(events["before-send"], request=prepared)
        told = next((reply for _, reply in replies if reply is not None), None)
        if told is None:
            told = sdk._endpoint.http_session.send(prepared)
        body = {
            "headers": told.headers,
            "status_code": told.status_code,
            "body": told.content,
            "context": {"operation_name": model.name},
        }
        customized: dict[str, Any] = {}
        sdk.meta.events.emit(
            events["before-parse"], operation_model=model, response_dict=body, customized_response_dict=customized
        )
        parsed = sdk._response_parser.parse(body, model.output_shape)
        parsed.update(customized)
        return self._taken(told, body["status_code"], parsed, context)

    def _taken(
        self, told: Any, status: int, parsed: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        # the SDK's own hooks read what its parser cannot: the place of a bucket, encoded names of objects
        self._sdk.meta.events.emit(
            self._events["after-call"], http_response=told, parsed=parsed, model=self._model, context=context
        )
        if status < 300:
            return parsed
        code = parsed.get("Error", {}).get("Code")
        if status == 404 or code in _PLAIN:
            raise self._sdk.exceptions.from_code(code)(parsed, self._model.name)
        return None
