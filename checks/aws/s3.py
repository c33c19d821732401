"""S3 buckets: shut to outsiders, encrypted, versioned, reached by TLS only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.facts import Context, Facts, StreamView
from agent.model import Verdict, failed, inapplicable, passed
from agent.registry import check
from checks.aws.policy import (
    ANY,
    Statement,
    members,
    of_everybody,
    speaks_of_action,
    speaks_of_resource,
    statements,
)
from checks.classes import asset, asset_names, assets

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
"""The four parts of a public access block."""

See = Callable[[str], StreamView]
"""How other streams are reached: `ctx.here` or `ctx.everywhere`."""

_OUTSIDERS = ("/AllUsers", "/AuthenticatedUsers")


@check("account-public-block", over="aws.s3.account")
def account_public_block(account: Facts, ctx: Context) -> Verdict:
    """The account's public access block is on in all four parts.

    Not asked of an account in which a bucket is public with approval (assets register).
    """
    on = _flags(account["block"])
    off = [flag for flag in FLAGS if flag not in on]
    if not off:
        return passed("all four parts are on for the account", on=on)
    for row in filter(_approved, assets(ctx)):
        for name in asset_names(row):
            bucket = name if name.startswith("arn:") else f"arn:{account.key.split(':')[1]}:s3:::{name}"
            if ctx.here("aws.s3.exposures").one(bucket):
                return inapplicable(f"{bucket} is public with approval by {row['approved_by']}", bucket=bucket)
    return failed(f"off for the account: {', '.join(off)}", on=on)


@check("bucket-public-block", over="aws.s3.exposures", tags=["data_class"])
def bucket_public_block(bucket: Facts, ctx: Context) -> Verdict:
    """Each part of the public access block is on for the bucket or for its account.

    Not asked of a bucket of class public that the assets register has with `approved_by`.
    """
    if registered := _registered_public(bucket, ctx):
        return registered
    own = _flags(bucket["block"])
    if len(own) == len(FLAGS):
        return passed("all four parts are on for the bucket", bucket=own)
    account = _account_flags(bucket, ctx.here)
    off = [flag for flag in FLAGS if flag not in own and flag not in account]
    if off:
        return failed(f"off for bucket and account: {', '.join(off)}", bucket=own, account=account)
    return passed("all four parts are on, for the bucket or its account", bucket=own, account=account)


@check("bucket-not-public", over="aws.s3.exposures", tags=["data_class"])
def not_public(bucket: Facts, ctx: Context) -> Verdict:
    """Nobody outside reads or writes the bucket by policy, ACL or access point.

    A part of the public access block counts when it is on for the bucket or its account; an access
    point that the internet reaches needs a block of its own when its policy is public. Not asked of a
    bucket of class public that the assets register has with `approved_by`.
    """
    if registered := _registered_public(bucket, ctx):
        return registered
    ways, notes = ways_in(bucket, ctx.here)
    if ways:
        return failed("; ".join(ways), ways=ways)
    return passed("; ".join(["closed to outsiders", *notes]), notes=notes)


def ways_in(bucket: Facts, see: See) -> tuple[list[str], list[str]]:
    """How outsiders get at a bucket (record of `aws.s3.exposures`), and what only a block keeps from them.

    `see` gives the other streams: of the bucket's account, or of all accounts.
    """
    own = _flags(bucket["block"])
    ways, notes = [], []
    if _is_public(bucket):
        if _on("RestrictPublicBuckets", own, bucket, see):
            notes.append("its public policy is held back by RestrictPublicBuckets")
        else:
            ways.append("the bucket policy is public")
    granted = sorted({grantee for grant in bucket.list("grants") if (grantee := _outsider(grant))})
    if granted and bucket["ownership"] != "BucketOwnerEnforced":
        if _on("IgnorePublicAcls", own, bucket, see):
            notes.append("its public ACL is held back by IgnorePublicAcls")
        else:
            ways.append(f"the ACL grants {', '.join(granted)}")
    if not ways and (point := next(_open_points(bucket, see), None)):
        ways.append(f"access point {point} has a public policy and no block of its own")
    return ways, notes


@check("bucket-encryption", over="aws.s3.buckets")
def encryption(bucket: Facts, ctx: Context) -> Verdict:
    """S3 reports a default encryption of the bucket; algorithm and key are listed."""
    config = bucket["encryption"]
    rules = config.list("Rules") if config else []
    applied = [rule["ApplyServerSideEncryptionByDefault"] for rule in rules]
    algorithms = [each["SSEAlgorithm"] for each in applied if each and each["SSEAlgorithm"]]
    if not algorithms:
        return failed("S3 reports no default encryption", algorithms=[])
    keys = [each["KMSMasterKeyID"] for each in applied if "KMSMasterKeyID" in each]
    with_key = f" with key {', '.join(keys)}" if keys else ""
    return passed(f"encrypted by default: {', '.join(algorithms)}{with_key}", algorithms=algorithms, keys=keys)


@check("bucket-tls-only", over="aws.s3.buckets")
def tls_only(bucket: Facts, ctx: Context) -> Verdict:
    """The bucket policy refuses all requests that are not encrypted in transit."""
    policy = bucket.plain("policy")
    refusing = [statement for statement in statements(policy, "Deny") if _refuses_plain_text(statement)]
    places = {"the bucket": bucket.key, "its objects": f"{bucket.key}/{ANY}"}
    open_ = [
        what for what, arn in places.items() if not any(speaks_of_resource(statement, arn) for statement in refusing)
    ]
    if not open_:
        return passed("the bucket policy denies all requests without TLS", statements=refusing)
    why = "no bucket policy" if policy is None else f"the policy lets requests without TLS reach {' and '.join(open_)}"
    return failed(why, statements=refusing)


@check("bucket-versioning", over="aws.s3.buckets")
def versioning(bucket: Facts, ctx: Context) -> Verdict:
    """Versioning of the bucket is enabled."""
    status = bucket["versioning"]["Status"]
    if status == "Enabled":
        return passed("versioning is Enabled", status=status)
    return failed(f"versioning is {status or 'not set'}", status=status)


def _flags(block: Facts | None) -> list[str]:
    """The parts of a public access block that are on."""
    return [flag for flag in FLAGS if block is not None and block[flag] is True]


def _account_flags(bucket: Facts, see: See) -> list[str]:
    """The parts that are on for the account of a bucket."""
    told = (account["block"] for account in see("aws.s3.account") if account.scope == bucket.scope)
    return _flags(next(told, None))


def _on(flag: str, own: list[str], bucket: Facts, see: See) -> bool:
    return flag in own or flag in _account_flags(bucket, see)


def _approved(row: Facts) -> bool:
    """Whether a row of the assets register approves of something public."""
    return (row.get("data_class") or "").casefold() == "public" and bool(row.get("approved_by"))


def _registered_public(bucket: Facts, ctx: Context) -> Verdict | None:
    """Why a bucket may be public: registered with approval, and no tag of its own says another class."""
    row = asset(bucket, ctx)
    if row is None or not _approved(row):
        return None
    described = ctx.here("aws.s3.buckets").one(bucket.key)
    label = described["tags"].get("data_class") if described else None
    if label and label.casefold() != "public":
        return None
    by = row["approved_by"]
    return inapplicable(f"public with approval by {by}", approved_by=by, row=row.key)


def _is_public(place: Facts) -> bool:
    status = place["policy_status"]
    return status is not None and status["IsPublic"] is True


def _outsider(grant: Facts) -> str | None:
    """The group of outsiders that an ACL entry is for."""
    uri = grant.text("uri")
    return uri.rpartition("/")[2] if uri.endswith(_OUTSIDERS) else None


def _open_points(bucket: Facts, see: See) -> Iterator[str]:
    """Access points through which outsiders reach the bucket."""
    return (
        point["name"]
        for point in see("aws.s3.access_points")
        if point["bucket"] == bucket["name"]
        and point["network"] == "Internet"
        and _is_public(point)
        and point["block"]["RestrictPublicBuckets"] is not True
    )


def _refuses_plain_text(statement: Statement) -> bool:
    """Whether a Deny is for everybody, every S3 action and nothing but missing TLS."""
    tested = [
        (operator, key.lower(), members(value))
        for operator, keys in statement.get("Condition", {}).items()
        for key, value in keys.items()
    ]
    if len(tested) != 1 or not of_everybody(statement) or not speaks_of_action(statement, f"s3:{ANY}"):
        return False
    operator, key, values = tested[0]
    said = [str(value).lower() for value in values]
    return operator in ("Bool", "BoolIfExists") and key == "aws:securetransport" and said == ["false"]
