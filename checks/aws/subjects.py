"""Subjects of workload tokens: what a pattern in a role's trust lets in.

Forms are told by how the subject begins, so that servers of one's own count too. Sources: the
documentation of each issuer on the `sub` claim of its OpenID Connect tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_N = r"[^*?:/]+"
"""A name without wildcards."""
_REF = r"refs/(heads|tags)/[^*?]+.*"


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of issuer writes its subjects."""

    begins: str
    named: str
    """Names organisation and repository, or what takes their place, without wildcards."""
    placed: str
    """Names besides a branch, a tag or an environment, or what takes its place."""


_FORMS = (
    # GitHub Actions; its newer subjects have numbers behind both names: `repo:org@1/repo@2:…`.
    Form("repo:", rf"repo:{_N}/{_N}(:.*)?", rf"repo:{_N}/{_N}:([^*?]+:)?(ref:{_REF}|environment:[^*?:]+.*)"),
    # GitLab, in groups of any depth.
    Form(
        "project_path:",
        rf"project_path:{_N}(/{_N})+(:.*)?",
        rf"project_path:{_N}(/{_N})+:ref_type:(branch|tag):ref:[^*?]+.*",
    ),
    # CircleCI.
    Form("org/", rf"org/{_N}/project/{_N}(/.*)?", rf"org/{_N}/project/{_N}/.*vcs-ref/{_REF}"),
    # Buildkite, then Terraform Cloud, whose workspaces are environments.
    Form("organization:", rf"organization:{_N}:pipeline:{_N}(:.*)?", rf"organization:{_N}:pipeline:{_N}:ref:[^*?:]+.*"),
    Form(
        "organization:",
        rf"organization:{_N}:project:({_N}:workspace:.*|.*:workspace:{_N}(:.*)?)",
        rf"organization:{_N}:project:.*:workspace:{_N}(:.*)?",
    ),
    # Kubernetes: the cluster is in the issuer's address; one service account is one workload.
    Form("system:serviceaccount:", rf"system:serviceaccount:{_N}:{_N}", rf"system:serviceaccount:{_N}:{_N}"),
    # Bitbucket: the workspace is in the issuer's address; `{repository}:{environment}:{step}`.
    Form("{", r"\{[^*?{}]+\}\*?(:.*)?", r"\{[^*?{}]+\}\*?:\{[^*?{}]+\}:.*"),
    # Azure DevOps: one service connection.
    Form("sc://", rf"sc://{_N}/{_N}/{_N}", rf"sc://{_N}/{_N}/{_N}"),
    # Vercel.
    Form("owner:", rf"owner:{_N}:project:{_N}(:.*)?", rf"owner:{_N}:project:{_N}:environment:{_N}"),
)

_WORKLOADS = (
    r"token\.actions\.githubusercontent\.com(/.*)?",
    r"[^/]+/_services/token",
    r"gitlab\.com",
    r"oidc\.circleci\.com/.*",
    r"agent\.buildkite\.com",
    r"app\.terraform\.io",
    r"api\.bitbucket\.org/.*",
    r"vstoken\.dev\.azure\.com/.*",
    r"oidc\.vercel\.com(/.*)?",
    r"oidc[.-]eks\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|api\.aws)/.*",
    r"container\.googleapis\.com/.*",
)

LIBERAL = ("begins with a wildcard", "names no organisation and repository")


def is_workload_issuer(issuer: str) -> bool:
    """Whether an issuer, an address without scheme, is known to speak for programs and not for people."""
    return any(re.fullmatch(pattern, issuer) for pattern in _WORKLOADS)


def is_workload_subject(subject: str) -> bool:
    """Whether a subject pattern is of a form in which only programs are named."""
    return any(subject.startswith(form.begins) for form in _FORMS)


def fault(subject: str, issuer: str, *, production: bool) -> str | None:
    """What is too wide about a subject pattern; "" where its form is not known, None where nothing is."""
    if subject[:1] in ("", "*", "?"):
        return LIBERAL[0]
    forms = [form for form in _FORMS if subject.startswith(form.begins)]
    if not forms:
        if not re.search(r"[*?]", subject):
            return None
        return LIBERAL[1] if is_workload_issuer(issuer) else ""
    if not any(re.fullmatch(form.named, subject) for form in forms):
        return LIBERAL[1]
    if production and not any(re.fullmatch(form.placed, subject) for form in forms):
        return "names no branch, tag or environment"
    return None
