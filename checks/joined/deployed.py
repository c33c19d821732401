"""What serves requests is exactly an approved, registered version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.approvals import APPROVED
from checks.aws.deployment import COMPONENTS, ENDPOINTS, PACKAGES, SERVING, models_of, package_named
from checks.aws.production import ARCHIVES
from checks.joined.story import rows_about
from checks.mlflow.sources import SOURCES

MODELS, VERSIONS = "mlflow.registry.models", "mlflow.registry.versions"
_TAGS = ["mlflow_model", "mlflow_version", "approved_by", "approved_on"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A registered version that something runs, and by what that was told."""

    version: str
    by: str
    approved: bool | None
    """None where nothing says whether it is."""
    said: str


@check("deployed-version-known", over=ENDPOINTS, tags=_TAGS)
def endpoint_runs_known_versions(endpoint: Facts, ctx: Context) -> Verdict:
    """Every variant in service runs an approved, registered version.

    Resolved in this order: the package that a container names; tags `mlflow_model` and `mlflow_version` of
    model or endpoint; the URI of a model in the container's environment; the digest, then the place, of
    its model data. Approved: by the package's status, by the approval tags of the MLflow version, or by a
    row of the register model_approvals. Shadow variants answer nobody and are left out.
    """
    if other := _out_of_service(endpoint["status"]):
        return other
    if endpoint["config"] is None:
        return undecided(Reason.DEPENDENCY, "the configuration of the endpoint was deleted: what it runs is not told")
    if not any(True for _ in models_of(endpoint)):
        return inapplicable("its variants run inference components, which are judged one by one")
    return _judge(endpoint, ctx)


@check("deployed-version-known", over=COMPONENTS, tags=_TAGS)
def component_runs_known_version(component: Facts, ctx: Context) -> Verdict:
    """Every inference component in service runs an approved, registered version.

    Resolved as for the variants of an endpoint.
    """
    return _out_of_service(component["status"]) or _judge(component, ctx)


def _out_of_service(status: str | None) -> Verdict | None:
    return None if status in SERVING else inapplicable(f"answers nobody: {status}", status=status)


def _judge(runner: Facts, ctx: Context) -> Verdict:
    found: list[Resolved] = []
    unknown: list[str] = []
    for model in models_of(runner):
        by_tag = _by_tags(model, runner, ctx)
        loaded = [container for container in model["containers"] if _loads(container)]
        for container in loaded:
            resolved = _by_package(container, runner, ctx) or by_tag or _by_data(container, ctx)
            if resolved is None:
                unknown.append(_spoken(container))
            else:
                found.append(resolved)
        if not loaded and by_tag:
            found.append(by_tag)
        elif not loaded:
            unknown.append(f"model {model['name'] or 'without a name'}, which names no model data")
    facts: dict[str, Any] = {
        "runs": sorted({f"{each.version} ({each.by})" for each in found}),
        "not_resolved": sorted(set(unknown)),
    }
    if wrong := [each for each in found if each.approved is False]:
        return failed(f"runs {'; '.join(sorted({f'{one.version}, {one.said}' for one in wrong}))}", **facts)
    if unknown:
        return undecided(Reason.DEPENDENCY, f"resolves to no registered version: {', '.join(unknown)}", **facts)
    if untold := [each for each in found if each.approved is None]:
        return undecided(Reason.DEPENDENCY, f"runs {untold[0].version}, {untold[0].said}", **facts)
    return passed(f"runs {'; '.join(sorted({f'{one.version}, {one.said}' for one in found}))}", **facts)


def _loads(container: Facts) -> bool:
    """Whether a container has a model in it: in a pipeline some hold only code."""
    return bool(container["package"] or container["data_url"] or container["model_uris"])


def _by_package(container: Facts, runner: Facts, ctx: Context) -> Resolved | None:
    if not container["package"]:
        return None
    arn = package_named(container["package"], runner.key)
    package = ctx.everywhere(PACKAGES).one(arn)
    if package is None:
        return Resolved(arn, "ModelPackageName", None, "which is not among the packages collected")
    return _package(package, "ModelPackageName")


def _package(package: Facts, by: str) -> Resolved:
    status, source = package["approval_status"], package["source_uri"]
    said = f"{status or 'without approval status'}" + (f", from {source}" if source else "")
    return Resolved(package.key, by, None if status is None else status == APPROVED, said)


def _by_tags(model: Facts, runner: Facts, ctx: Context) -> Resolved | None:
    if not ctx.configured(VERSIONS):
        return None
    for tags in _tag_maps(model, runner):
        name, number = tags.get("mlflow_model"), tags.get("mlflow_version")
        if name and number:
            return _version(f"{name}/{number}", "tags", ctx)
    return None


def _tag_maps(model: Facts, runner: Facts) -> Iterator[Facts]:
    named, held = model["name"], runner["model_tags"]
    if named and named in held.names():
        yield held[named]
    yield runner["tags"]


def _by_data(container: Facts, ctx: Context) -> Resolved | None:
    """By the URI of a model, the digest of its data, or where they lie."""
    for uri in container["model_uris"]:
        if ctx.configured(VERSIONS) and (resolved := _by_uri(uri, ctx)):
            return resolved
    if container["mode"] == "MultiModel":
        return None  # the place holds any number of models
    place, digest = container["data_url"], container["data_etag"]
    for key, by in ((f"etag:{digest}" if digest else None, "digest"), (place and place.rstrip("/"), "ModelDataUrl")):
        if key and (resolved := _at(key, by, ctx)):
            return resolved
    return None


def _by_uri(uri: str, ctx: Context) -> Resolved | None:
    name, slash, number = uri.removeprefix("models:/").rpartition("/")
    if uri.startswith("models:/") and slash and number.isdigit():
        return _version(f"{name}/{number}", "environment", ctx)
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if uri.startswith("models:/") and at:
        model = ctx.everywhere(MODELS).one(name)
        number = "" if model is None else model["aliases"].get(alias, "")
        return _version(f"{name}/{number}", "environment", ctx) if number else None
    return _at(uri.rstrip("/"), "environment", ctx)


def _at(place: str, by: str, ctx: Context) -> Resolved | None:
    """The version whose files are these; an approved one where several share them."""
    found: list[Resolved] = []
    if packages := ctx.everywhere(ARCHIVES).one(place):
        held = ctx.everywhere(PACKAGES)
        found += [_package(package, by) for key in packages["packages"] if (package := held.one(key))]
    if ctx.configured(VERSIONS) and (versions := ctx.everywhere(SOURCES).one(place)):
        found += [_version(key, by, ctx) for key in versions["versions"]]
    return next((each for each in found if each.approved), found[0] if found else None)


def _version(key: str, by: str, ctx: Context) -> Resolved:
    version = ctx.everywhere(VERSIONS).one(key)
    if version is None:
        return Resolved(key, by, None, "which the registry does not list")
    names = ctx.thresholds.get("approval") or {}
    approver, at = (version["tags"].get(names.get(name, tag)) for name, tag in (
        ("by_tag", "approved_by"), ("on_tag", "approved_on")))  # fmt: skip
    if approver and at:
        return Resolved(key, by, True, f"approved by {approver}")
    row = next(rows_about(version["model"], version["version"], ctx), None)
    if row is not None and row.get("approved_by"):
        return Resolved(key, by, True, f"approved by {row['approved_by']}, by the register")
    return Resolved(key, by, False, "which nobody approved")


def _spoken(container: Facts) -> str:
    return str(container["data_url"] or next(iter(container["model_uris"]), None) or container["image"])
