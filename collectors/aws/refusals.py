"""What an SDK exception means: denied, throttled, unreachable, and so on.

By error code where AWS gave one, by HTTP status where the code is not known, by exception class
where no answer arrived. Only codes and operation names are kept, never the text of a message.

Where an endpoint of one's own stands in AWS's place, an error page that is no answer of an API means
that it lacks the operation: unsupported, `NotAnApi`. AWS itself lacks none, so from AWS the same page
is a breakdown.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from agent.model import Gap, Reason, SourceError

LOGIN = "sign in with `aws sso login` (with `--profile NAME` for a profile), or give the agent a role"
"""What to do about credentials that are absent, expired or refused."""

_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
_CODES = {
    **dict.fromkeys(
        [
            "AccessDenied",
            "AccessDeniedException",
            "AllAccessDisabled",
            "AuthorizationError",
            "AuthorizationErrorException",
            "Forbidden",
            "NotAuthorized",
            "UnauthorizedAccess",
            "UnauthorizedException",
            "UnauthorizedOperation",
        ],
        Reason.DENIED,
    ),
    **dict.fromkeys(
        [
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
            "TooManyRequestsException",
        ],
        Reason.THROTTLED,
    ),
    **dict.fromkeys(["RequestTimeout", "RequestTimeoutException"], Reason.TIMEOUT),
    **dict.fromkeys(["NotSignedUp", "OptInRequired", "SubscriptionRequiredException"], Reason.NOT_CONFIGURED),
    **dict.fromkeys(
        ["InvalidAction", "MethodNotAllowed", "NotImplemented", "UnknownOperationException"], Reason.UNSUPPORTED
    ),
}
_STATUSES = {
    401: Reason.DENIED,
    403: Reason.DENIED,
    408: Reason.TIMEOUT,
    429: Reason.THROTTLED,
    501: Reason.UNSUPPORTED,
    503: Reason.THROTTLED,
}
_NO_CREDENTIALS = frozenset(
    {
        "CredentialRetrievalError",
        "LoginError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "RefreshWithMFAUnsupportedError",
        "SSOError",
        "TokenRetrievalError",
        "UnknownCredentialError",
    }
)
_CLASSES = {
    "ConnectTimeoutError": Reason.TIMEOUT,
    "ReadTimeoutError": Reason.TIMEOUT,
    "PaginationError": Reason.PARTIAL,
    "IncompleteReadError": Reason.PARTIAL,
    "NoRegionError": Reason.NOT_CONFIGURED,
    "EndpointProviderError": Reason.UNSUPPORTED,
    "UnknownEndpointError": Reason.UNSUPPORTED,
    "ParamValidationError": Reason.MALFORMED,
}
"""Class of an SDK exception, or of one it derives from; any other means that no answer arrived."""


_PAGE_STATUSES = frozenset({"400", "404", "405", "500"})
"""Statuses with which a server answers for what it does not know: without a body the SDK makes them the code."""


class NotSignedIn(SourceError):
    """The credentials themselves are absent, expired or refused; says what to do."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap, f"{gap.op}: {gap.code}; {LOGIN}")


@cache
def sdk_errors() -> tuple[type[Exception], ...]:
    """What a call of the SDK may raise.

    Its parsers trip over answers of an unexpected shape with errors of any kind.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    parsing = (ResponseParserError, ValueError, TypeError, KeyError, AttributeError)
    return (ClientError, BotoCoreError, NotImplementedError, *parsing)


def region_off(gap: Gap) -> SourceError:
    """The refusal where a region knows no credentials that are good elsewhere: it is not switched on."""
    told = Gap(Reason.NOT_CONFIGURED, gap.op, "RegionOff", gap.need)
    return SourceError(told, f"{gap.op}: {gap.code}; the region is not switched on for the account")


def why_refused(error: Exception, operation: str, need: str, *, custom: bool = False) -> SourceError:
    """The refusal: reason, operation, code and the permission that would free it.

    `custom` says that an endpoint of one's own was asked, which may lack operations.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if custom and _is_page(error):
        # no permission frees it, so none is named
        return SourceError(Gap(Reason.UNSUPPORTED, operation, "NotAnApi"))

    if isinstance(error, ClientError):
        if error.operation_name == "AssumeRole" and operation != "AssumeRole":
            # The SDK takes the role when it signs the first call; it is that which was refused.
            operation, need = "AssumeRole", "sts:AssumeRole"
        reason, code = _answered(error)
        told = Gap(reason, operation, code, need)
        return NotSignedIn(told) if code in _CREDENTIALS else SourceError(told)
    code = type(error).__name__
    if isinstance(error, BotoCoreError):
        lineage = [kind.__name__ for kind in type(error).__mro__]
        if not _NO_CREDENTIALS.isdisjoint(lineage):
            return NotSignedIn(Gap(Reason.DENIED, operation, code, need))
        reason = next((_CLASSES[name] for name in lineage if name in _CLASSES), Reason.UNREACHABLE)
    else:
        reason = Reason.UNSUPPORTED if isinstance(error, NotImplementedError) else Reason.MALFORMED
    return SourceError(Gap(reason, operation, code, need))


def _is_page(error: Any) -> bool:
    """Whether what was answered is a page for people and no answer of an API."""
    from botocore.exceptions import ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code")) in _PAGE_STATUSES
    # the only place where the SDK shows what it could not parse is the text of the error
    text = str(error).lower() if isinstance(error, ResponseParserError) else ""
    return "<!doctype html" in text or "<html" in text


def _answered(error: Any) -> tuple[Reason, str]:
    """Reason and code of an error that AWS answered with."""
    code = str(error.response.get("Error", {}).get("Code") or "Unknown").removeprefix("Client.")
    # An answer without a body, as to a HEAD request, has its status as code.
    status = int(code) if code.isdigit() else error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _CREDENTIALS:
        return Reason.DENIED, code
    if code in _CODES:
        return _CODES[code], code
    if status in _STATUSES:
        return _STATUSES[status], code
    return (Reason.UNREACHABLE if status >= 500 else Reason.UNSUPPORTED), code
