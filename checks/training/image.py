"""Images that training runs: fixed by digest or immutable tag, from a trusted registry."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.training.population import JOBS, PROCESSING, TRAINING, outside_tested

REPOSITORIES = "aws.ecr.repositories"

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[\w-]+)\.amazonaws\.com(?P<cn>\.cn)?/(?P<name>[^:@]+)"
)


@check("job-image-pinned", over=JOBS)
@check("job-image-pinned", over=TRAINING)
@check("job-image-pinned", over=PROCESSING)
def job_image_pinned(job: Facts, ctx: Context) -> Verdict:
    """The image of a training job that feeds production cannot be moved.

    Fixed by digest, or a tag of a repository whose tags are immutable. Source: `image.uri` of the job
    record; ECR repositories that are collected. Tested population.
    """
    image = _image(job, ctx)
    if isinstance(image, Verdict):
        return image
    if _DIGEST.search(image):
        return passed(f"image fixed by digest: {image}", image=image)
    tag = _tag(image)
    if tag in (None, "latest"):
        return failed(f"image {image} has {'no tag' if tag is None else 'the tag latest'}, which moves", image=image)
    immutable = _immutable(image, str(tag), ctx)
    if immutable is None:
        return undecided(
            Reason.DEPENDENCY,
            f"image {image} has a tag; whether its repository lets it be moved is not known",
            image=image,
        )
    if immutable:
        return passed(f"image {image}: its repository lets no tag be moved", image=image)
    return failed(f"image {image}: its repository lets the tag be moved", image=image)


@check("job-image-trusted", over=JOBS)
@check("job-image-trusted", over=TRAINING)
@check("job-image-trusted", over=PROCESSING)
def job_image_trusted(job: Facts, ctx: Context) -> Verdict:
    """The image of a production training job comes from a trusted registry.

    Source: `image.uri` of the job record, threshold `trusted_registries` (hosts, or host/path of which all
    below is trusted). Tested population.
    """
    image = _image(job, ctx)
    if isinstance(image, Verdict):
        return image
    trusted = ctx.thresholds.get("trusted_registries") or []
    host = registry_of(image)
    if not trusted:
        return undecided(Reason.NOT_CONFIGURED, "no trusted_registries are configured", registry=host)
    if any(_lies_in(image, place) for place in trusted):
        return passed(f"registry {host} is trusted", registry=host)
    return failed(f"registry {host} is not among the trusted ones: {', '.join(sorted(trusted))}", registry=host)


def _lies_in(image: str, place: str) -> bool:
    """Whether an image is of a registry, by host, or lies below a path of one."""
    host = registry_of(image)
    whole = image if image.startswith(f"{host}/") else f"{host}/{image}"
    return place == host or whole.startswith(f"{place.rstrip('/')}/")


def registry_of(image: str) -> str:
    """Host of an image reference; without one it is Docker Hub.

    >>> registry_of("ghcr.io/a/b:1"), registry_of("python:3"), registry_of("localhost:5000/x")
    ('ghcr.io', 'docker.io', 'localhost:5000')
    """
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def repository_of(image: str) -> str | None:
    """ARN of the ECR repository that an image lies in; None for any other registry.

    >>> repository_of("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/train:1")
    'arn:aws:ecr:eu-west-1:123456789012:repository/team/train'
    """
    found = _ECR.match(image)
    if not found:
        return None
    gov = "aws-us-gov" if found["region"].startswith("us-gov-") else "aws"
    partition = "aws-cn" if found["cn"] else gov
    return f"arn:{partition}:ecr:{found['region']}:{found['account']}:repository/{found['name']}"


def _immutable(image: str, tag: str, ctx: Context) -> bool | None:
    """Whether the tag of an image cannot be moved; None where its repository is not collected."""
    arn = repository_of(image)
    repository = ctx.everywhere(REPOSITORIES).one(arn) if arn and ctx.configured(REPOSITORIES) else None
    if repository is None:
        return None
    said = repository["tag_mutability"]
    if said in ("IMMUTABLE", "MUTABLE"):
        return bool(said == "IMMUTABLE")
    excluded = any(fnmatchcase(tag, each["filter"]) for each in repository.list("exclusions"))
    if said == "IMMUTABLE_WITH_EXCLUSION":
        return not excluded
    return excluded if said == "MUTABLE_WITH_EXCLUSION" else None


def _tag(image: str) -> str | None:
    name, colon, tag = image.rpartition("/")[2].partition(":")
    del name
    return tag if colon else None


def _image(job: Facts, ctx: Context) -> str | Verdict:
    """The image reference, or what follows where none is to be judged."""
    if outside := outside_tested(job, ctx):
        return outside
    if job.get("algorithm_builtin"):
        return inapplicable("a built-in algorithm of the platform: no image of one's own")
    image = job["image"]
    if image is None or not image["uri"]:
        return failed("the job names no image", image=None)
    return str(image["uri"])
