"""What each exception of the SDK means."""

from __future__ import annotations

import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from collectors.aws.refusals import NotSignedIn, sdk_errors, why_refused


def answered(code, status=400, operation="GetIt"):
    return sdk.ClientError(
        {"Error": {"Code": code, "Message": "secret"}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


URL = {"endpoint_url": "https://user:hunter22@aws.invalid", "error": "secret"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (answered("AccessDenied", 403), "denied"),
        (answered("AccessDeniedException"), "denied"),
        (answered("UnauthorizedOperation", 403), "denied"),
        (answered("Client.UnauthorizedOperation", 403), "denied"),
        (answered("SomethingNew", 403), "denied"),
        (answered("403", 403), "denied"),
        (answered("Throttling"), "throttled"),
        (answered("ThrottlingException"), "throttled"),
        (answered("SlowDown", 503), "throttled"),
        (answered("RequestLimitExceeded", 503), "throttled"),
        (answered("SomethingNew", 429), "throttled"),
        (answered("RequestTimeout"), "timeout"),
        (answered("NotImplemented", 501), "unsupported"),
        (answered("SomethingNew", 501), "unsupported"),
        (answered("InvalidAction"), "unsupported"),
        (answered("SomethingNew", 400), "unsupported"),
        (answered("OptInRequired", 403), "not_configured"),
        (answered("InternalError", 500), "unreachable"),
        (sdk.ConnectTimeoutError(**URL), "timeout"),
        (sdk.ReadTimeoutError(**URL), "timeout"),
        (sdk.EndpointConnectionError(**URL), "unreachable"),
        (sdk.ConnectionClosedError(**URL), "unreachable"),
        (sdk.SSLError(**URL), "unreachable"),
        (sdk.ProxyConnectionError(proxy_url="http://user:hunter22@proxy", error="secret"), "unreachable"),
        (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), "partial"),
        (sdk.PaginationError(message="secret"), "partial"),
        (sdk.NoRegionError(), "not_configured"),
        (sdk.EndpointProviderError(msg="secret"), "unsupported"),
        (sdk.ParamValidationError(report="secret"), "malformed"),
        (ResponseParserError("secret"), "malformed"),
        (ValueError("secret"), "malformed"),
        (KeyError("secret"), "malformed"),
        (NotImplementedError("secret"), "unsupported"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}-{str(value)[:40]}",
)
def test_reason(error, reason):
    assert isinstance(error, sdk_errors())
    refusal = why_refused(error, "GetIt", "it:Get")
    assert (refusal.gap.reason, refusal.gap.op, refusal.gap.need) == (reason, "GetIt", "it:Get")
    assert not isinstance(refusal, NotSignedIn)
    assert "secret" not in str(refusal)
    assert "hunter22" not in str(refusal)


@pytest.mark.parametrize(
    "error",
    [
        answered("ExpiredToken"),
        answered("ExpiredTokenException"),
        answered("InvalidClientTokenId", 403),
        answered("SignatureDoesNotMatch", 403),
        sdk.NoCredentialsError(),
        sdk.PartialCredentialsError(provider="env", cred_var="x"),
        sdk.CredentialRetrievalError(provider="process", error_msg="secret"),
        sdk.TokenRetrievalError(provider="sso", error_msg="secret"),
        sdk.SSOTokenLoadError(error_msg="secret"),
        sdk.UnauthorizedSSOTokenError(),
        sdk.ProfileNotFound(profile="p"),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:30]}",
)
def test_refused_credentials_name_the_way_to_sign_in(error):
    refusal = why_refused(error, "GetIt", "it:Get")
    assert isinstance(refusal, NotSignedIn)
    assert refusal.gap.reason == "denied"
    assert "aws sso login" in str(refusal)
    assert "secret" not in str(refusal)


def test_a_refused_role_is_told_from_the_call_that_needed_it():
    refusal = why_refused(answered("AccessDenied", 403, "AssumeRole"), "ListBuckets", "s3:ListAllMyBuckets")
    assert (refusal.gap.op, refusal.gap.need) == ("AssumeRole", "sts:AssumeRole")


def test_a_mistake_of_our_own_is_no_refusal():
    assert not isinstance(RuntimeError("an undeclared operation"), sdk_errors())


PAGE = "<!doctype html><html><title>500 Internal Server Error</title>secret</html>"


@pytest.mark.parametrize(
    ("error", "without", "within"),
    [
        (answered("500", 500), ("unreachable", "500"), ("unsupported", "NotAnApi")),
        (answered("404", 404), ("unsupported", "404"), ("unsupported", "NotAnApi")),
        (
            ResponseParserError(f"cannot parse: {PAGE}"),
            ("malformed", "ResponseParserError"),
            ("unsupported", "NotAnApi"),
        ),
        (
            ResponseParserError("cannot parse: {"),
            ("malformed", "ResponseParserError"),
            ("malformed", "ResponseParserError"),
        ),
        (answered("InternalError", 500), ("unreachable", "InternalError"), ("unreachable", "InternalError")),
        (answered("NoSuchBucket", 404), ("unsupported", "NoSuchBucket"), ("unsupported", "NoSuchBucket")),
        (answered("403", 403), ("denied", "403"), ("denied", "403")),
        (answered("503", 503), ("throttled", "503"), ("throttled", "503")),
        (answered("502", 502), ("unreachable", "502"), ("unreachable", "502")),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_page_for_people_means_that_an_endpoint_of_ones_own_lacks_the_operation(error, without, within):
    """What AWS itself answers so is a breakdown; what a proxy says of its backend is one anywhere."""
    for custom, told in ((False, without), (True, within)):
        refusal = why_refused(error, "GetIt", "it:Get", custom=custom)
        assert (refusal.gap.reason, refusal.gap.code) == told
        assert refusal.gap.need == (None if refusal.gap.code == "NotAnApi" else "it:Get")
        assert "secret" not in str(refusal)
