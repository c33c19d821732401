"""What is stored of a directory, and how its interface is spoken to."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.canonical import parse
from agent.model import PollStatus, Reason
from agent.settings import Settings
from collectors.identity import IdentitySource
from tests.identity.directory import OKTA, Web, answer, poll, source
from tests.identity.worlds import google, okta


def facts(snapshot: Any) -> dict[str, Any]:
    assert (snapshot.status, snapshot.gaps) == (PollStatus.COMPLETE, 0), snapshot.unseen
    return {item.key: parse(snapshot.documents[item.digest])["facts"] for item in snapshot.items}


def test_people_of_both_have_one_form():
    ours = facts(poll("identity.okta.users", source(Web("okta", okta(good=True)))))
    theirs = facts(poll("identity.google.users", source(Web("google", google(good=True)))))
    assert ours["ada"] == {
        "id": "ada", "mail": "ada@example.com", "aliases": [], "name": "ada X", "kind": "human", "status": "active",
        "state": "ACTIVE", "factors": ["token:software:totp"], "second_factor": True,
        "created": "2025-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert theirs["ada"]["factors"] == ["two-step verification"]
    assert set(ours["ada"]) - {"state"} <= set(theirs["ada"])


def test_two_polls_of_an_unchanged_directory_give_equal_bytes():
    of = source(Web("okta", okta(good=True)))
    for name in ("identity.okta.users", "identity.okta.apps", "identity.okta.policies", "identity.okta.groups"):
        first, second = poll(name, of), poll(name, of)
        assert [item.digest for item in first.items] == [item.digest for item in second.items]


@pytest.mark.parametrize(
    ("status", "active"), [("ACTIVE", True), ("LOCKED_OUT", True), ("STAGED", False), ("SUSPENDED", False)]
)
def test_who_is_locked_out_still_has_an_account(status, active):
    world = okta(good=True)
    world["/api/v1/users"][0]["status"] = status
    told = facts(poll("identity.okta.users", source(Web("okta", world))))
    assert (told["ada"]["status"] == "active") is active


class Paged(Web):
    """Hands out one element a page."""

    def send(self, request: Any, **parameters: Any) -> requests.Response:
        made = super().send(request, **parameters)
        body = made.json()
        page = int(request.url.partition("after=")[2] or 0)
        link = {"Link": f'<{self.next}?after={page + 1}>; rel="next"'} if page + 1 < len(body) else {}
        return answer(request, 200, body[page : page + 1], link)

    next = f"{OKTA}/api/v1/users"


def test_all_pages_are_read():
    of = source(Paged("okta", okta(good=True)))
    assert set(facts(poll("identity.okta.usage", of))) == {"ada", "bob"}


def test_the_token_follows_no_link_to_another_host():
    web = Paged("okta", okta(good=True))
    web.next = "https://elsewhere.test/api/v1/users"
    snapshot = poll("identity.okta.usage", source(web))
    assert snapshot.status is PollStatus.PARTIAL
    assert {gap.code for gap in snapshot.unseen} == {"ForeignLink"}
    assert all(request.url.startswith(OKTA) for request in web.sent)


def test_a_page_token_that_repeats_ends_the_listing():
    class Turning(Web):
        def send(self, request: Any, **parameters: Any) -> requests.Response:
            made = super().send(request, **parameters)
            return answer(request, 200, made.json() | {"nextPageToken": "again"})

    snapshot = poll("identity.google.usage", source(Turning("google", google(good=True))))
    assert {gap.code for gap in snapshot.unseen} == {"TokenTwice"}


def test_throttling_is_waited_for_as_the_answer_says():
    class Busy(Web):
        def send(self, request: Any, **parameters: Any) -> requests.Response:
            made = super().send(request, **parameters)
            return answer(request, 429, {}, {"Retry-After": "7"}) if len(self.sent) < 3 else made

    pauses: list[float] = []
    assert len(facts(poll("identity.okta.usage", source(Busy("okta", okta(good=True)), pauses)))) == 2
    assert pauses == [7, 7]


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("rateLimitExceeded", Reason.THROTTLED),
        ("accessNotConfigured", Reason.NOT_CONFIGURED),
        ("forbidden", Reason.DENIED),
    ],
)
def test_google_says_403_for_three_things(reason, wanted):
    class Refusing(Web):
        def send(self, request: Any, **parameters: Any) -> requests.Response:
            return answer(request, 403, {"error": {"code": 403, "errors": [{"reason": reason}], "message": "00secret"}})

    snapshot = poll("identity.google.users", source(Refusing("google", google(good=True))))
    (gap,) = snapshot.unseen
    assert (gap.reason, gap.code, gap.need) == (wanted, reason, "admin.directory.user.readonly")


def test_no_secret_is_kept(tmp_path):
    snapshot = poll("identity.okta.users", source(Web("okta", okta(good=True), "ListUsers", "denied")))
    stored = json.dumps(snapshot.receipt) + "".join(str(gap) for gap in snapshot.unseen) + repr(snapshot.tape)
    assert "00secret" not in stored


class SignIn(BaseHTTPRequestHandler):
    """Google's token address and directory, on one local port."""

    tokens: list[str] = []

    def do_POST(self) -> None:
        self.tokens.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._say(200, {"access_token": "made-up", "expires_in": 3600, "token_type": "Bearer"})

    def do_GET(self) -> None:
        signed_in = self.headers["Authorization"] == "Bearer made-up"
        self._say(200 if signed_in else 401, google(good=True)[self.path.partition("?")[0]])

    def _say(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_google_is_asked_as_the_administrator_with_read_scopes_only():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), SignIn)
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    account = {"type": "service_account", "client_email": "x@y.test", "private_key": pem, "token_uri": f"{base}/token"}
    settings = SimpleNamespace(
        google=SimpleNamespace(admin="reader@example.com", credentials="env:KEY", customer="my_customer"), okta=None
    )
    of = IdentitySource(settings, lambda _reference: json.dumps(account), google_api=base)
    try:
        assert set(facts(poll("identity.google.users", of))) == {"ada", "bob"}
    finally:
        of.close()
        server.shutdown()
        server.server_close()
    claims = requests.compat.unquote(SignIn.tokens[0])
    payload = claims.partition("assertion=")[2].split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert told["sub"] == "reader@example.com"
    assert all(scope.endswith(".readonly") for scope in told["scope"].split())


def test_what_is_no_service_account_key_is_said_without_showing_it():
    settings = SimpleNamespace(
        google=SimpleNamespace(admin="reader@example.com", credentials="env:KEY", customer="my_customer"), okta=None
    )
    snapshot = poll("identity.google.users", IdentitySource(settings, lambda _reference: "hunter2 is no key"))
    (gap,) = snapshot.unseen
    assert (snapshot.status, gap.code) == (PollStatus.FAILED, "NoServiceAccountKey")


def test_both_tables_configure_one_source():
    settings = Settings(
        collect={"okta": {"url": "https://example.okta.com", "token": "env:T"}, "aws": {"enabled": False}}
    )
    assert list(settings.collect.enabled()) == ["identity"]
    of = IdentitySource(settings.collect.enabled()["identity"], lambda reference: reference)
    assert [scope.name for scope in of.scopes("okta")] == ["identity:okta"]
    assert of.scopes("google") == []
