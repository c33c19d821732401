"""Everything that can be configured: one model per table of the file, with its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agent.model import Json
from agent.references import REFERENCE, secret
from agent.registry import Registry, seconds


def _reference(value: str) -> str:
    if not REFERENCE.fullmatch(value):
        raise ValueError("must be a reference, env:NAME, file:PATH or cred:NAME, never the secret itself")
    return value


def _interval(value: str) -> str:
    seconds(value)
    return value


def _no_anchor(value: list[str]) -> list[str]:
    if value:
        raise ValueError("this version puts its checkpoints nowhere else: leave the list empty, reports will say so")
    return value


def _no_password(url: str) -> str:
    if re.match(r"[^/]*://[^/@]*:[^/@]+@", url) or re.search(r"(?i)[?&](?:\w*password|passwd|pwd|token)=[^&]", url):
        raise ValueError("holds a password in clear; give it as a reference in a key of its own")
    return url


Reference = Annotated[str, AfterValidator(_reference)]
Interval = Annotated[str, AfterValidator(_interval)]
Url = Annotated[str, AfterValidator(_no_password)]
Days = Annotated[int, Field(ge=1)]
Off = Literal["off"]
DataClass = Literal["public", "internal", "confidential", "restricted"]


class Section(BaseModel):
    """A table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Period(Section):
    """An observation period: both days included, in the company's time zone."""

    first_day: date
    last_day: date
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        if self.timezone not in available_timezones():
            raise ValueError("timezone is no name of the IANA time zone database, such as Europe/Berlin")
        return self


class Entity(Section):
    """Whose evidence it is."""

    name: str = ""
    period: Period | None = None


class Scope(Section):
    """What the report is about."""

    default_data_class: DataClass | Literal[""] = "restricted"
    environments: dict[str, str] = {}
    """Judging scope (`aws:123456789012`, `mlflow:main`) -> its environment, such as `production`."""
    own_accounts: list[Annotated[str, Field(pattern=r"^\d{12}$")]] = []
    """Accounts of the company besides those collected and those of its organisation."""
    allowed_regions: dict[DataClass, list[str]] = {}
    """Class of data -> the regions it may lie in; a class left out has no limit."""
    log_stores: list[str] = []
    """Log groups and buckets, by ARN or name, that carry security, training or inference logs."""


class Access(Section):
    """Who is meant to do what: principals by ARN, `*` standing for any text."""

    deployment_identities: list[str] = []
    """Roles of pipelines, which may change production."""
    ml_roles: list[str] = []
    """Roles of ML workloads besides those that SageMaker may take."""
    allowed: dict[str, list[str]] = {}
    """Bucket or managed MLflow server, by ARN -> the principals that may reach it."""
    federations: dict[str, str] = {}
    """Federation, by ARN (provider, Identity Center instance) -> the identity source behind it, `identity:okta`."""
    separate_duties: list[str] = []
    """Keys, by ARN, whose administrators may not be their users."""


class Store(Section):
    """Where the ledger is."""

    url: Url = "sqlite:///evidence.db"
    password: Reference | None = None

    def connection(self) -> str:
        """The URL with the password in it: for the database driver only, never printed."""
        if self.password is None:
            return self.url
        from urllib.parse import quote

        password = quote(secret(self.password), safe="")
        return re.sub(r"://([^/@:]*)@", lambda user: f"://{user[1]}:{password}@", self.url, count=1)


class LedgerSettings(Section):
    """How the ledger is signed and where its checkpoints go."""

    origin: str | None = None
    sign_with: Annotated[str, Field(pattern=r"^file:.+")] = "file:signing_key"
    checkpoint_every: Interval = "1h"
    anchors: Annotated[list[str], AfterValidator(_no_anchor)] = []

    @property
    def key_file(self) -> Path:
        """The private key, Ed25519, mode 0600."""
        return Path(self.sign_with.removeprefix("file:"))


class Schedule(Section):
    """When targets are collected."""

    align: Literal["utc"] = "utc"
    jitter: Interval | Literal["0s"] = "60s"
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 8
    owed: bool = False


class Redact(Section):
    """What is kept besides what checks read."""

    keep_tags: list[str] = []


class Aws(Section):
    """[collect.aws]"""

    enabled: bool = True
    auth: Literal["default-chain"] = "default-chain"
    role: Annotated[str, Field(pattern=r"^arn:[\w-]+:iam::(\d{12}|\{account\}):role/.+")] | None = None
    external_id: Reference | None = None
    accounts: list[Annotated[str, Field(pattern=r"^\d{12}$")]] = []
    regions: Literal["all-enabled"] | Annotated[list[str], Field(min_length=1)] = "all-enabled"
    calls_per_day: Annotated[int, Field(ge=0)] = 0
    """How many calls may be made in any 24 hours; 0 for as many as are needed."""
    artifacts: list[Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/.*)?$")]] = []
    """Where model artifacts lie, `s3://BUCKET/PREFIX`: these objects are listed, never read."""
    scan_job_logs: bool = False
    """Whether the logs of jobs are searched for secrets; no line is kept, but each that is searched is read."""
    every: dict[str, Interval] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Aws:
        if len(self.accounts) > 1 and not self.role:
            raise ValueError("several accounts need role, with {account} in it")
        return self


class GoogleWorkspace(Section):
    """[collect.google_workspace]"""

    enabled: bool = True
    admin: str = ""
    credentials: Reference | None = None
    customer: str = "my_customer"
    signs_in: bool = True
    """Whether Google itself signs people in; when not, its second factors say nothing."""
    every: dict[str, Interval] = {}

    @model_validator(mode="after")
    def _reachable(self) -> GoogleWorkspace:
        if self.enabled and not (self.admin and self.credentials):
            raise ValueError(
                "admin and credentials are needed: as whom to ask, and a reference to the service account key"
            )
        return self


class Okta(Section):
    """[collect.okta]"""

    enabled: bool = True
    url: Url = ""
    token: Reference | None = None
    apps: list[str] = ["*aws*", "*amazon*", "*github*", "*google*", "*mlflow*", "*sagemaker*"]
    """Apps that lead to a system in scope: patterns of an app's name or label, case ignored."""
    every: dict[str, Interval] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Okta:
        if self.enabled and not (self.url and self.token):
            raise ValueError("url and token are needed: https://example.okta.com and a reference to an API token")
        return self


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity providers that are enabled; each is one judging scope, `identity:okta`."""

    google: GoogleWorkspace | None
    okta: Okta | None

    @property
    def every(self) -> dict[str, str]:
        """Intervals of both: a key is told apart by its service (`google.users`)."""
        return {
            f"{name}.{key}" if "." not in key else key: value
            for name, section in (("google", self.google), ("okta", self.okta))
            for key, value in (section.every.items() if section else ())
        }


class Production(Section):
    """What makes a model version the one in production: any of these."""

    aliases: list[str] = ["production", "champion"]
    stages: list[str] = ["Production"]
    tag: dict[str, str] = {}
    registered_model_prefix: str = ""


class Approval(Section):
    """Tags of a model version that record its approval."""

    by_tag: str = "approved_by"
    on_tag: str = "approved_on"
    ref_tag: str = "approval_ref"


class Mlflow(Section):
    """[collect.mlflow]"""

    enabled: bool = True
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "main"
    url: Url = ""
    token: Reference | None = None
    every: dict[str, Interval] = {}
    production: Production = Production()
    approval: Approval = Approval()
    models: list[str] = ["*"]
    experiments: list[str] = ["*"]
    private: bool = False
    """Whether the server is reached over a private network on purpose, so that http is no failure."""
    sign_in_hosts: list[str] = []
    """Hosts to which the server may send a caller who is not signed in: a redirect there counts as a refusal."""
    backend: str = ""
    """What holds the server's own data: a database by ARN, or a managed service, such as `sagemaker`."""

    @model_validator(mode="after")
    def _reachable(self) -> Mlflow:
        if self.enabled and not self.url:
            raise ValueError("url is missing: where does the tracking server answer?")
        return self


class JobProduction(Section):
    """Which training jobs count as production: any of these."""

    groups: list[str] = []
    environments: list[str] = ["production", "prod"]


class Trainlog(Section):
    """[collect.trainlog]"""

    enabled: bool = True
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "main"
    path: str = ""
    every: dict[str, Interval] = {}
    production: JobProduction = JobProduction()

    @model_validator(mode="after")
    def _reachable(self) -> Trainlog:
        if self.enabled and not self.path:
            raise ValueError("path is missing: a folder with JSON lines")
        return self


class Collect(Section):
    """The sources; one whose table is missing is not configured."""

    aws: Aws = Aws(enabled=False)
    google_workspace: GoogleWorkspace = GoogleWorkspace(enabled=False)
    okta: Okta = Okta(enabled=False)
    mlflow: Mlflow = Mlflow(enabled=False)
    trainlog: Trainlog = Trainlog(enabled=False)

    def enabled(self) -> dict[str, Source]:
        """Provider -> settings of each enabled source."""
        google, okta = self.google_workspace, self.okta
        identity = Identity(google if google.enabled else None, okta if okta.enabled else None)
        sources: dict[str, tuple[Source, bool]] = {
            "aws": (self.aws, self.aws.enabled),
            "identity": (identity, google.enabled or okta.enabled),
            "mlflow": (self.mlflow, self.mlflow.enabled),
            "trainlog": (self.trainlog, self.trainlog.enabled),
        }
        return {name: settings for name, (settings, enabled) in sources.items() if enabled}


Source = Aws | Identity | Mlflow | Trainlog


def _by_class() -> dict[DataClass, Literal["provider", "customer"]]:
    return {"public": "provider", "internal": "provider", "confidential": "provider", "restricted": "provider"}


class Thresholds(Section):
    """The numbers the rules compare with; each change of one is an entry of the ledger."""

    key_max_age_days: Days = 90
    credential_unused_days: Days = 45
    root_unused_days: Days = 90
    password_min_length: Days = 14
    password_reuse_prevention: Days = 24
    password_classes: Annotated[int, Field(ge=1, le=4)] | Off = "off"
    max_password_age_days: Days | Off = "off"
    max_admins: Days = 5
    small_team: Days = 6
    leaver_business_days: Days = 1
    key_rotation_days: Days = 365
    log_retention_days: Days = 365
    backup_retention_days: Days = 35
    job_failure_followup_days: Days = 7
    key_standard: dict[DataClass, Literal["provider", "customer"]] = Field(default_factory=_by_class)
    trusted_registries: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> Thresholds:
        """A table given in part keeps the defaults of the rest."""
        self.key_standard = {**_by_class(), **self.key_standard}
        return self


class Limit(Section):
    """Bounds of a metric, both included; either or both."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


class Profile(Section):
    """What a version of one model must show before it is accepted; what is not named is not demanded."""

    metrics: dict[str, Limit] = {}
    required_params: list[str] = []
    seed_required: str | None = None
    fairness: dict[str, Limit] = {}
    tier: Literal["low", "medium", "high"] | None = None
    inputs_required: bool = False


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix="EVIDENCED_", env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
    )

    version: Literal[1] = 1
    entity: Entity = Entity()
    scope: Scope = Scope()
    access: Access = Access()
    store: Store = Store()
    ledger: LedgerSettings = LedgerSettings()
    schedule: Schedule = Schedule()
    redact: Redact = Redact()
    collect: Collect = Collect()
    thresholds: Thresholds = Thresholds()
    profiles: dict[str, Profile] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file."""
        return env_settings, init_settings

    def providers(self, registry: Registry) -> dict[str, Source]:
        """Settings of each enabled source that can be connected, by provider."""
        return {name: section for name, section in self.collect.enabled().items() if name in registry.sources}

    def intervals(self, provider: str) -> dict[str, str]:
        """Configured intervals of a provider: `service.plural`, `plural` or `service` -> `6h`."""
        source = self.collect.enabled().get(provider)
        return dict(source.every) if source else {}

    def secret(self, reference: str) -> str:
        """The secret that a reference names; MissingCredential without its value."""
        return secret(reference)

    def rule_settings(self) -> dict[str, Json]:
        """What rules read as `ctx.thresholds`, in the evidence profile: null = off, limits of metrics as text."""
        numbers = {name: None if value == "off" else value for name, value in self.thresholds.model_dump().items()}
        return {
            **numbers,
            "access": self.access.model_dump(),
            "approval": self.collect.mlflow.approval.model_dump(),
            **self.scope.model_dump(),
            "artifacts": self.collect.aws.artifacts,
            "scan_job_logs": self.collect.aws.scan_job_logs,
            "own_accounts": sorted({*self.scope.own_accounts, *self.collect.aws.accounts}),
            "google_signs_in": self.collect.google_workspace.signs_in,
            "job_production": self.collect.trainlog.production.model_dump(),
            "okta_apps": self.collect.okta.apps,
            "production": self.collect.mlflow.production.model_dump(),
            "mlflow_backend": self.collect.mlflow.backend,
            "sign_in_hosts": self.collect.mlflow.sign_in_hosts,
            "profiles": {name: _texts(profile.model_dump()) for name, profile in self.profiles.items()},
        }

    def redacted(self) -> dict[str, Json]:
        """What a `config` entry of the ledger keeps: references, never what they refer to."""
        return dict(_texts(self.model_dump(mode="json")))


def _texts(value: Any) -> Any:
    """Floats as text: the evidence profile has none."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {name: _texts(inner) for name, inner in value.items()}
    return [_texts(inner) for inner in value] if isinstance(value, list) else value
