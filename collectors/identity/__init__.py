"""Identity providers: the people of Google Workspace and Okta, in one normal form.

`users`: id, mail, aliases, name, kind, status (active, suspended, staged, deactivated), factors,
second_factor, enforced, admin, created. `usage`: the day of the last sign-in. `groups`: members by id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from agent.model import Gap, Reason, Scope, SourceError, Tape
from agent.registry import source
from collectors.identity.rest import Directory, session

if TYPE_CHECKING:
    from agent.settings import GoogleWorkspace, Okta

GOOGLE_API = "https://admin.googleapis.com"
_GOOGLE_SCOPES = tuple(
    f"https://www.googleapis.com/auth/admin.directory.{what}.readonly" for what in ("group", "rolemanagement", "user")
)


class Identity(Protocol):
    """Which identity providers are enabled; None where one is not."""

    @property
    def google(self) -> GoogleWorkspace | None:
        """`[collect.google_workspace]`"""

    @property
    def okta(self) -> Okta | None:
        """`[collect.okta]`"""


class IdentitySource:
    """The configured identity providers; each is one scope, and one judging scope."""

    name = "identity"

    def __init__(
        self,
        settings: Identity,
        secrets: Callable[[str], str],
        *,
        google_api: str = GOOGLE_API,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._secrets, self._google_api, self._pause = settings, secrets, google_api, pause
        self._sessions: dict[str, Any] = {}
        self._lock = Lock()

    def scopes(self, per: str) -> Sequence[Scope]:
        """The provider's scope when it is configured, else none."""
        if per not in ("google", "okta"):
            raise ValueError(f"there is no identity provider {per}")
        enabled = getattr(self._settings, per) is not None
        return [Scope(f"identity:{per}", f"identity:{per}", {"provider": per})] if enabled else []

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> Directory:
        """The directory as one poll sees it; SourceError where its credentials cannot be used."""
        google, okta = self._settings.google, self._settings.okta
        if scope.detail["provider"] == "google" and google:
            tape.identity = google.admin
            return Directory(
                self._google(google), self._google_api, needs, tape, {"customer": google.customer}, self._pause
            )
        if okta:
            tape.identity = "API token"
            return Directory(self._okta(okta), okta.url.rstrip("/"), needs, tape, {}, self._pause)
        raise SourceError(Gap(Reason.NOT_CONFIGURED, code="NoSuchSource"))

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for held in self._sessions.values():
                held.close()
            self._sessions.clear()

    def _okta(self, settings: Okta) -> Any:
        with self._lock:
            if "okta" not in self._sessions:
                made = session()
                made.headers["Authorization"] = f"SSWS {self._secrets(str(settings.token))}"
                self._sessions["okta"] = made
            return self._sessions["okta"]

    def _google(self, settings: GoogleWorkspace) -> Any:
        with self._lock:
            if "google" not in self._sessions:
                from google.auth.transport.requests import AuthorizedSession
                from google.oauth2.service_account import Credentials

                try:
                    key = json.loads(self._secrets(str(settings.credentials)))
                    credentials = Credentials.from_service_account_info(
                        key, scopes=_GOOGLE_SCOPES, subject=settings.admin
                    )
                except ValueError:
                    gap = Gap(Reason.DENIED, "SignIn", "NoServiceAccountKey")
                    raise SourceError(
                        gap, "collect.google_workspace.credentials holds no service account key"
                    ) from None
                self._sessions["google"] = session(AuthorizedSession(credentials))
            return self._sessions["google"]


@source("identity")
def connect(settings: Identity, secrets: Callable[[str], str]) -> IdentitySource:
    """The source for the identity providers of a configuration; nothing is called yet."""
    return IdentitySource(settings, secrets)
