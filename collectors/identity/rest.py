"""A directory's REST interface as collectors get it: declared reads, refusals as gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from agent import __version__, clock
from agent.collect import POOL_SIZE
from agent.model import Gap, Json, Reason, SourceError, Tape

_TIMEOUT_S = (10, 60)
_TRIES = 4
_LONGEST_WAIT_S = 60
_THROTTLED = frozenset({"quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED"})
_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_STATUSES = {
    400: Reason.UNSUPPORTED,
    401: Reason.DENIED,
    403: Reason.DENIED,
    404: Reason.DEPENDENCY,
    410: Reason.DEPENDENCY,
    429: Reason.THROTTLED,
    501: Reason.UNSUPPORTED,
}


def session(made: Any = None) -> Any:
    """An HTTP session (`requests.Session`, or the one given) with a connection for each thread of a poll."""
    import requests
    from requests.adapters import HTTPAdapter

    made = made or requests.Session()
    made.mount("https://", HTTPAdapter(pool_maxsize=POOL_SIZE))
    made.headers.update({"Accept": "application/json", "User-Agent": f"evidenced/{__version__}"})
    return made


class Directory:
    """One directory, as one poll sees it: it answers only the operations that the stream declares."""

    def __init__(
        self,
        http: Any,
        url: str,
        needs: Mapping[str, str],
        tape: Tape,
        detail: Mapping[str, str],
        pause: Callable[[float], None],
    ) -> None:
        self.detail = detail
        """What collectors need to know of the configuration, such as Google's customer id."""
        self._http, self._url, self._needs, self._tape, self._pause = http, url, needs, tape, pause
        self._lock = Lock()
        tape.endpoint = url

    def get(self, operation: str, path: str, **parameters: Any) -> Json:
        """The answer to one GET; SourceError when there is none."""
        return self._ask(operation, self._url + path, parameters)[0]

    def listed(self, operation: str, path: str, member: str, **parameters: Any) -> Iterator[Any]:
        """Each element of `member` over all pages, by page token (Google); SourceError when it breaks off.

        An answer without the member is an empty page: Google leaves out what is empty.
        """
        seen: set[str] = set()
        asked = dict(parameters)
        while True:
            page, _ = self._ask(operation, self._url + path, asked)
            if not isinstance(page, dict) or not isinstance(page.get(member, []), list) or "kind" not in page:
                raise self._gap(Reason.MALFORMED, operation, f"No{member}")
            self._page()
            yield from page.get(member, [])
            token = page.get("nextPageToken")
            if not token:
                return
            self._once(operation, token, seen)
            asked["pageToken"] = token

    def linked(self, operation: str, path: str, **parameters: Any) -> Iterator[Any]:
        """Each element over all pages, by `Link: rel="next"` (RFC 8288, Okta); SourceError when it breaks off."""
        seen: set[str] = set()
        url, asked = self._url + path, dict(parameters)
        while True:
            page, links = self._ask(operation, url, asked)
            if not isinstance(page, list):
                raise self._gap(Reason.MALFORMED, operation, "NoList")
            self._page()
            yield from page
            if not links:
                return
            # the token goes nowhere else, whatever an answer says
            if urlsplit(links)[:2] != urlsplit(self._url)[:2]:
                raise self._gap(Reason.MALFORMED, operation, "ForeignLink")
            self._once(operation, links, seen)
            url, asked = links, {}

    def _ask(self, operation: str, url: str, parameters: Mapping[str, Any]) -> tuple[Json, str]:
        """The parsed answer and the address of the next page."""
        import requests
        from google.auth.exceptions import GoogleAuthError

        need = self._need(operation, parameters)
        try:
            for tried in range(1, _TRIES + 1):
                answer = self._http.get(url, params=parameters, timeout=_TIMEOUT_S, allow_redirects=False)
                self._answered(answer)
                if tried == _TRIES or (wait := _wait_s(answer, tried)) is None:
                    break
                self._pause(wait)
            if answer.status_code != 200:
                raise SourceError(_refused(answer, operation, need))
            return answer.json(), answer.links.get("next", {}).get("url", "")
        except requests.JSONDecodeError:
            raise self._gap(Reason.MALFORMED, operation, "NotJSON") from None
        except requests.Timeout:
            raise self._gap(Reason.TIMEOUT, operation, "Timeout") from None
        except requests.RequestException as error:
            raise self._gap(Reason.UNREACHABLE, operation, type(error).__name__) from None
        except GoogleAuthError as error:
            # the text of a refused sign-in may hold what was sent
            gap = Gap(Reason.DENIED, operation, type(error).__name__, need)
            raise SourceError(gap, f"{operation}: Google refused the service account; is delegation granted?") from None

    def _need(self, operation: str, parameters: Mapping[str, Any]) -> str:
        if operation not in self._needs:
            raise RuntimeError(f"{operation} is not among the operations this stream declares")
        with self._lock:
            asked = {name: value for name, value in parameters.items() if name != "pageToken"}
            self._tape.operations.setdefault(operation, asked)
        return self._needs[operation]

    def _answered(self, answer: Any) -> None:
        with self._lock:
            self._tape.calls += 1
            if self._tape.request_id is None:
                self._tape.request_id = answer.headers.get("X-Okta-Request-Id")
            if not self._tape.skew_ms and (date := answer.headers.get("Date")):
                self._tape.skew_ms = round(parsedate_to_datetime(date).timestamp() * 1000) - clock.now_ms()

    def _page(self) -> None:
        with self._lock:
            self._tape.pages += 1

    def _once(self, operation: str, token: str, seen: set[str]) -> None:
        if token in seen:
            raise self._gap(Reason.PARTIAL, operation, "TokenTwice")
        seen.add(token)

    def _gap(self, reason: Reason, operation: str, code: str) -> SourceError:
        return SourceError(Gap(reason, operation, code, self._needs[operation]))


def _wait_s(answer: Any, tried: int) -> float | None:
    """Seconds to wait before asking again; None when that would not help."""
    if answer.status_code in (429, 500, 502, 503, 504) or (answer.status_code == 403 and _code(answer) in _THROTTLED):
        after = answer.headers.get("Retry-After", "")
        if after.isdigit():
            return min(float(after), _LONGEST_WAIT_S)
        reset = answer.headers.get("X-Rate-Limit-Reset", "")
        if reset.isdigit():
            return min(max(1.0, float(reset) - clock.now_ms() / 1000), _LONGEST_WAIT_S)
        return float(2**tried)
    return None


def _refused(answer: Any, operation: str, need: str) -> Gap:
    """What a status other than success means; of the body only its error code is kept."""
    code = _code(answer) or f"HTTP{answer.status_code}"
    if code in _THROTTLED:
        return Gap(Reason.THROTTLED, operation, code, need)
    if code in _OFF:
        return Gap(Reason.NOT_CONFIGURED, operation, code, need)
    status = answer.status_code
    reason = _STATUSES.get(status, Reason.UNSUPPORTED if 300 <= status < 500 else Reason.UNREACHABLE)
    return Gap(reason, operation, code, need)


def _code(answer: Any) -> str:
    """The code of an error answer: Okta's `errorCode`, Google's reason; empty where it has none."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    error = body.get("error")
    if isinstance(error, dict):
        reasons = [each.get("reason") for each in (*error.get("errors", []), *error.get("details", [])) if each]
        return str(next((reason for reason in reasons if reason), error.get("status") or ""))[:64]
    return str(body.get("errorCode") or "")[:64]
