"""Who reaches a bucket or a managed MLflow server, and whether these are the principals that should."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.aws.holders import IDENTITIES, Able, Crowd, able
from checks.aws.patterns import ANY, covers, is_pattern
from checks.aws.policy import of_everybody, statements
from checks.aws.privileged import unread_verdict
from checks.aws.resource_policy import EVERYBODY
from checks.aws.rights import Rights, conditions_of
from checks.classes import class_in_words, data_class
from checks.registers import names

READ = ("s3:GetObject", "s3:GetObjectVersion")
WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")
"""What reading and writing a bucket's objects is."""

MLFLOW = (
    "sagemaker-mlflow:*", "sagemaker:CreatePresignedMlflowTrackingServerUrl", "sagemaker:CreatePresignedMlflowAppUrl",
)  # fmt: skip
"""What reaches a managed MLflow server or app."""

_CLASSES = ("confidential", "restricted")
_S3 = "arn:*:s3:::*"
_LINKED = ":role/aws-service-role/"
"""Roles that only their service can take: they are told, and not judged."""


@derived("aws.access.reach", kind="state", of=IDENTITIES)
def reach(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """Who reaches each bucket and MLflow server that has a list of principals.

    Key: ARN. Facts: `readers` and `writers` (of a bucket) or `users`, each `principals` (of the account),
    `outsiders`, and `conditions` and `unread` of all of them. A bucket whose policy was not seen is left out.
    """
    wanted = sorted(ctx.thresholds["access"]["allowed"])
    if not wanted:
        return
    crowd = Crowd.of(ctx)
    places = _Places(crowd)
    for arn in wanted:
        service = arn.split(":")[2] if arn.count(":") >= 5 else ""
        if service == "s3" and (bucket := _bucket(arn, ctx)) is not None:
            policy = bucket.plain("policy")
            sides = {
                "readers": able(crowd, READ, f"{arn}/*", policy, index=places),
                "writers": able(crowd, WRITE, f"{arn}/*", policy, index=places),
            }
            yield Record(arn, _told(sides))
        elif service == "sagemaker" and arn.split(":")[4] == crowd.account:
            yield Record(arn, _told({"users": able(crowd, MLFLOW, arn)}))


@check("bucket-named-principals", over="aws.s3.buckets", tags=["data_class"])
def bucket_named_principals(bucket: Facts, ctx: Context) -> Verdict:
    """Who reaches the objects of a sensitive bucket is in its list.

    By identity policies, boundaries and the bucket policy; no Allow to everybody, and no ACLs. Listing
    names of objects is not reading. Access points, conditions and guardrails are not evaluated.
    """
    label = data_class(bucket, ctx)
    if label is None:
        return undecided(Reason.NOT_CONFIGURED, "the bucket has no label data_class")
    if label not in _CLASSES:
        return inapplicable(f"class {class_in_words(bucket, ctx)}", data_class=label)
    allowed = ctx.thresholds["access"]["allowed"].get(bucket.key)
    if allowed is None:
        return undecided(Reason.NOT_CONFIGURED, f"class {label}; access.allowed has no list for the bucket")
    policy = bucket.plain("policy")
    told = ctx.here("aws.access.reach").one(bucket.key)
    if told is None:
        return undecided(Reason.DEPENDENCY, "who reaches the bucket was not worked out")
    faults = []
    if any(of_everybody(statement) or "NotPrincipal" in statement for statement in statements(policy, "Allow")):
        faults.append("the bucket policy allows everybody")
    exposure = ctx.here("aws.s3.exposures").one(bucket.key)
    if exposure is None:
        return undecided(Reason.DEPENDENCY, "the ownership of its objects was not seen")
    if exposure["ownership"] != "BucketOwnerEnforced":
        faults.append(f"ACLs count: object ownership is {exposure['ownership'] or 'not set'}")
    return _judged(told, ("readers", "writers"), allowed, faults)


@check("mlflow-managed-access", over="aws.sagemaker.mlflow_servers")
def mlflow_managed_access(server: Facts, ctx: Context) -> Verdict:
    """Who reaches a managed MLflow server or app is in its list.

    By any right of `sagemaker-mlflow` on it, or by making a signed address of it. Conditions and
    guardrails are not evaluated.
    """
    allowed = ctx.thresholds["access"]["allowed"].get(server.key)
    if allowed is None:
        return undecided(Reason.NOT_CONFIGURED, f"access.allowed has no list for {server['name']}")
    told = ctx.here("aws.access.reach").one(server.key)
    if told is None:
        return undecided(Reason.DEPENDENCY, "who reaches the server was not worked out")
    return _judged(told, ("users",), allowed, [])


def _judged(told: Facts, sides: Iterable[str], allowed: list[str], faults: list[str]) -> Verdict:
    """Whether all who reach something are allowed to."""
    facts: dict[str, Any] = {side: told.plain(side) for side in sides}
    held = {who for side in facts.values() for who in side}
    others = sorted(who for who in held if who != EVERYBODY and _LINKED not in who and not names(allowed, who))
    conditions = list(told.list("conditions"))
    facts |= {"allowed": allowed, "others": others, "conditions": conditions}
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        faults.append(f"not in the list of allowed principals: {', '.join(others[:3])}{more}")
    named = f" (conditions not evaluated: {', '.join(conditions)})" if conditions else ""
    if faults:
        return failed(f"{'; '.join(faults)}{named}", **facts)
    if told.list("unread"):
        return unread_verdict(told.plain("unread"), f"{len(held)} principals, all in the list", **facts)
    return passed(f"{len(held)} principals, all in the list; guardrails not evaluated{named}", **facts)


class _Places:
    """An index of which members of a crowd may reach which bucket by policies of their own."""

    def __init__(self, crowd: Crowd) -> None:
        self._named: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._several: dict[str, list[int]] = defaultdict(list)
        self._sure: dict[str, tuple[set[str], set[str]]] = {action: (set(), set()) for action in (*READ, *WRITE)}
        for number, (rights, principals, _) in enumerate(crowd.members):
            for action in self._sure:
                self._note(action, number, rights, principals)

    def sure(self, action: str) -> tuple[set[str], set[str]]:
        """Principals who may do it in every bucket, and the keys of the conditions."""
        return self._sure[action]

    def near(self, action: str, resource: str) -> list[int]:
        """Members whose policies name the bucket of `BUCKET/*`, or more than one by a pattern."""
        return self._several[action] + self._named.get((action, resource.partition("/")[0]), [])

    def _note(self, action: str, number: int, rights: Rights, principals: list[str]) -> None:
        grants = rights.grants(action, _S3)
        everywhere = [
            one for one in grants if one.resource != _S3 and covers(one.resource, f"arn:aws:s3:::{ANY}/{ANY}")
        ]
        if everywhere and rights.undenied(action) and principals[0].startswith("arn:aws:"):
            found, conditions = self._sure[action]
            found.update(principals)
            conditions.update(conditions_of(everywhere))
            return
        buckets = {grant.resource.partition("/")[0] for grant in grants}
        if any(map(is_pattern, buckets)):
            self._several[action].append(number)
        else:
            for bucket in buckets:
                self._named[action, bucket].append(number)


def _bucket(arn: str, ctx: Context) -> Facts | None:
    """The bucket's record; None where it is not of the account, or its policy was not seen."""
    if not ctx.configured("aws.s3.buckets"):
        return None
    bucket = ctx.here("aws.s3.buckets").one(arn)
    return None if bucket is None or bucket.unseen_at("policy") else bucket


def _told(sides: Mapping[str, Able]) -> dict[str, Any]:
    unread = [part for side in sides.values() for part in side.unread]
    return {
        **{name: sorted(side.principals | side.outsiders) for name, side in sides.items()},
        "conditions": sorted(set().union(*(side.conditions for side in sides.values()))),
        "unread": [part for number, part in enumerate(unread) if part not in unread[:number]],
    }
