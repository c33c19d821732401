"""What the files of a production version say of it."""

from __future__ import annotations

import re

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

PRODUCTION = "mlflow.registry.production"

_EXACT = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*={2,3}\s*[^\s*,<>=!~]+")
_COMMIT_URL = re.compile(r"(?:git|hg)\+\S+@(?:[0-9a-f]{40}|[0-9a-f]{64})(?:#\S*)?")
_WHEEL = re.compile(r"\S+\.whl(?:[#?]\S*)?")
_HASHED_URL = re.compile(r"\S+#sha256=[0-9a-f]{64}")
_OTHER_FILE = ("-r", "-c", "--requirement", "--constraint")
_IMAGE_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


@check("model-signature-present", over=PRODUCTION)
def model_signature_present(version: Facts, ctx: Context) -> Verdict:
    """The files of a production version say what goes in and what comes out.

    Source: mlflow.artifacts.models, the `MLmodel` file.
    """
    files = _files(version, ctx)
    if isinstance(files, Verdict):
        return files
    if files["mlmodel"] is None:
        return failed("the version has no MLmodel file")
    model = files["mlmodel"]
    flavors = model["flavors"].names()
    missing = [part for part in ("inputs", "outputs") if not model["signature"].plain(part)]
    if missing:
        return failed(f"the signature has no {' and no '.join(missing)}", flavors=flavors, missing=missing)
    return passed("the signature has inputs and outputs", flavors=flavors)


@check("run-environment-pinned", over=PRODUCTION, tags=["mlflow.docker.image.uri"])
def run_environment_pinned(version: Facts, ctx: Context) -> Verdict:
    """Every package a production version requires is fixed, or its run's image is.

    Source: `requirements.txt` of the version (`==`, a wheel, a commit), run tag `mlflow.docker.image.uri`.
    """
    files = _files(version, ctx)
    if isinstance(files, Verdict):
        return files
    lines = files["requirements"]
    loose = [line for line in lines or [] if not is_pinned(line)]
    if lines and not loose:
        return passed(f"{len(lines)} requirements, each of them fixed", requirements=len(lines))
    image = _image(version, ctx)
    if image and _IMAGE_DIGEST.search(image):
        return passed(f"the run's image is fixed by digest: {image}", image=image)
    facts = {"requirements": len(lines or []), "not_fixed": loose, "image": image}
    if lines is None:
        return failed("the version has no requirements.txt, and its run no image fixed by digest", **facts)
    if not lines:
        return failed("requirements.txt of the version is empty, and its run has no image fixed by digest", **facts)
    return failed(f"not fixed: {', '.join(loose)}", **facts)


def is_pinned(line: str) -> bool:
    """Whether a line of a requirements file names exactly one build, or names no package at all.

    >>> [is_pinned(line) for line in ("torch==2.5.1", "torch>=2", "torch==2.*", "--index-url https://example.org")]
    [True, False, False, True]
    """
    what = re.split(r"\s;|;\s|\s--hash", line)[0].strip()
    if what.split(" ")[0].split("=")[0] in _OTHER_FILE or what.startswith(("-r", "-c")):
        return False
    if what.startswith(("-e ", "--editable")):
        what = re.split(r"[\s=]", what, maxsplit=1)[1].strip()
    elif what.startswith("-"):
        return True
    if _EXACT.fullmatch(what):
        return True
    place = what.partition("@ ")[2].strip() or what.partition(" @")[2].strip() or what
    return any(form.fullmatch(place) for form in (_COMMIT_URL, _WHEEL, _HASHED_URL))


def _files(version: Facts, ctx: Context) -> Facts | Verdict:
    if version["kind"] == "prompt":
        return inapplicable("a prompt has no model files")
    files = ctx.here("mlflow.artifacts.models").one(version.key)
    if files is None and version["version_gone"]:
        return undecided(Reason.DEPENDENCY, "the version is gone, and what its files said was not kept")
    return files or undecided(Reason.DEPENDENCY, "the files of the version were not looked at yet")


def _image(version: Facts, ctx: Context) -> str | None:
    run_id = version["run_id"]
    run = ctx.here("mlflow.tracking.source_runs").one(run_id) if run_id else None
    if run is None or run["lifecycle_stage"] == "gone":
        return None
    image = run["tags"].get("mlflow.docker.image.uri")
    return None if image is None else str(image)
