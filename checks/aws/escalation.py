"""Rights that count as administrator, and those by which models are built and deployed: lists of AWS actions.

`VERSION` names the list; this module is part of every rule over `aws.access.principals`, so a changed
list is a changed rule in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from checks.aws.patterns import ANY, covers
from checks.aws.rights import EVERY_ACTION, Grant, Rights

VERSION = "escalation/1"

BUILD = (
    "sagemaker:CreateTrainingJob", "sagemaker:CreateProcessingJob", "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:CreateAutoMLJobV2", "sagemaker:StartPipelineExecution", "sagemaker:CreateModelPackage",
)  # fmt: skip
"""Actions by which a model comes to be."""

DEPLOY = (
    "sagemaker:UpdateModelPackage", "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities", "sagemaker:CreateInferenceComponent",
    "sagemaker:UpdateInferenceComponent",
)  # fmt: skip
"""Actions by which a model comes into use, or gets traffic."""

PRODUCTION_WRITES = (
    "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities",
    "sagemaker:UpdateInferenceComponent",
)  # fmt: skip
"""Actions that change what serves in production; `s3:PutObject` on buckets of models comes to it."""

_ON_IAM = {
    "iam:CreatePolicyVersion": "policy", "iam:SetDefaultPolicyVersion": "policy",
    "iam:AttachUserPolicy": "user", "iam:AttachGroupPolicy": "group", "iam:AttachRolePolicy": "role",
    "iam:PutUserPolicy": "user", "iam:PutGroupPolicy": "group", "iam:PutRolePolicy": "role",
    "iam:AddUserToGroup": "group", "iam:UpdateAssumeRolePolicy": "role",
    "iam:CreateAccessKey": "user", "iam:CreateLoginProfile": "user", "iam:UpdateLoginProfile": "user",
    "iam:DeleteUserPermissionsBoundary": "user", "iam:DeleteRolePermissionsBoundary": "role",
}  # fmt: skip
"""Action -> kind of IAM resource it is on: on any of these it gives rights to oneself or lends another's."""

_HARMLESS_ON_ONESELF = {"iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"}
"""Ways to sign in as somebody: as oneself one holds nothing more by them."""

_DIRECTORY = (
    "sso:CreateAccountAssignment", "sso:PutInlinePolicyToPermissionSet", "sso:AttachManagedPolicyToPermissionSet",
    "identitystore:CreateGroupMembership",
)  # fmt: skip
"""Actions that give rights by Identity Center: they do nothing in an account that does not administer one."""

RUNS_AS = {
    "lambda:CreateFunction": "lambda.amazonaws.com",
    "ec2:RunInstances": "ec2.amazonaws.com",
    "ecs:RunTask": "ecs-tasks.amazonaws.com",
    "cloudformation:CreateStack": "cloudformation.amazonaws.com",
    "glue:CreateJob": "glue.amazonaws.com",
    "codebuild:CreateProject": "codebuild.amazonaws.com",
    "sagemaker:CreateNotebookInstance": "sagemaker.amazonaws.com",
    "sagemaker:CreateTrainingJob": "sagemaker.amazonaws.com",
    "sagemaker:CreateProcessingJob": "sagemaker.amazonaws.com",
}
"""Ways to run code as a role that was passed, and the service that must be able to take the role."""

UPDATE_CODE = "lambda:UpdateFunctionCode"


class Way(NamedTuple):
    """How a right of the list is held."""

    how: str
    grants: tuple[Grant, ...]
    oneself: bool = False
    """Whether the grants count only where they are on somebody else."""

    def counts_for(self, arn: str) -> tuple[Grant, ...]:
        """The grants that matter for this user or role: all, or those that are on others."""
        if not self.oneself:
            return self.grants
        user = ":user/" in arn
        return tuple(grant for grant in self.grants if grant.resource != arn and not (user and grant.oneself))


@dataclass(frozen=True, slots=True)
class Powers:
    """What of the lists a set of policies gives, before it is known which roles are administrators."""

    full: Way | None
    ways: tuple[Way, ...]
    """Rights that count by themselves."""
    directory: tuple[Way, ...]
    """Rights that count where the account administers an Identity Center instance."""
    passes: tuple[str, ...]
    """Roles, or patterns, that may be passed."""
    runs: tuple[Way, ...]
    """Ways to run code as a role that is passed: `how` is the action."""
    updates_code: Way | None
    assumes: tuple[str, ...]
    """Roles of the account, or patterns, that may be taken."""
    build: tuple[str, ...]
    deploy: tuple[str, ...]
    writes: tuple[str, ...]
    puts: tuple[str, ...]
    """Resources, or patterns, of `s3:PutObject`."""
    abroad: tuple[str, ...]
    """Resources, or patterns, of `sts:AssumeRole` in other accounts."""


def powers(rights: Rights, partition: str, account: str) -> Powers:
    """What of the lists these rights give in the account."""
    iam = f"arn:{partition}:iam::{account}:"
    runs = tuple(_held(rights, RUNS_AS))
    return Powers(
        full=_full(rights, partition),
        ways=(*_iam(rights, iam), *_passing(rights, f"{iam}role/{ANY}", runs)),
        directory=tuple(_held(rights, _DIRECTORY)),
        passes=_named(rights, "iam:PassRole", f"{iam}role/*"),
        runs=runs,
        updates_code=next(iter(_held(rights, [UPDATE_CODE])), None),
        assumes=_named(rights, "sts:AssumeRole", f"{iam}role/*"),
        build=tuple(way.how for way in _held(rights, BUILD)),
        deploy=tuple(way.how for way in _held(rights, DEPLOY)),
        writes=tuple(way.how for way in _held(rights, PRODUCTION_WRITES)),
        puts=_named(rights, "s3:PutObject", f"arn:{partition}:s3:::*"),
        abroad=tuple(
            role
            for role in _named(rights, "sts:AssumeRole", f"arn:{partition}:iam::*:role/*")
            if not covers(f"{iam}*", role)
        ),
    )


def passed_to(rights: Rights, runs: Iterable[Way], role: str, services: Iterable[str]) -> list[Way]:
    """How code can be run as this role, which these services may take."""
    taken = set(services)
    fitting = [way for way in runs if RUNS_AS[way.how] in taken]
    grants = rights.grants("iam:PassRole", role) if fitting else []
    return [Way(f"iam:PassRole on {role} with {way.how}", (*grants, *way.grants)) for way in fitting if grants]


def _named(rights: Rights, action: str, space: str) -> tuple[str, ...]:
    return tuple(sorted({grant.resource for grant in rights.grants(action, space)}))


def _full(rights: Rights, partition: str) -> Way | None:
    """All actions on all resources: one that no policy has in mind, and one of IAM that none has in mind."""
    everything = f"arn:{partition}:{ANY}:{ANY}:{ANY}:{ANY}"
    grants = rights.grants(EVERY_ACTION, everything)
    of_iam = rights.grants(f"iam:{ANY}", everything) if grants else []
    return Way("full", (*grants, *of_iam)) if of_iam else None


def _iam(rights: Rights, iam: str) -> Iterable[Way]:
    every = rights.grants(f"iam:{ANY}", f"{iam}{ANY}")
    if every:
        yield Way("iam:*", tuple(every))
    for action, kind in _ON_IAM.items():
        grants = rights.grants(action, f"{iam}{kind}/*")
        if grants:
            yield Way(action, tuple(grants), action in _HARMLESS_ON_ONESELF)


def _passing(rights: Rights, any_role: str, runs: Iterable[Way]) -> Iterable[Way]:
    grants = rights.grants("iam:PassRole", any_role)
    for way in runs if grants else ():
        yield Way(f"iam:PassRole on any role with {way.how}", (*grants, *way.grants))


def _held(rights: Rights, actions: Iterable[str]) -> Iterable[Way]:
    for action in actions:
        grants = rights.grants(action, "*")
        if grants:
            yield Way(action, tuple(grants))
