"""Files of production models in buckets."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
BUCKET = "arn:aws:s3:::models"
PLACE = "s3://models/production/2/model"
LISTED = {"artifacts": ["s3://models/production"]}
FOLDERS = "artifacts.listings.folders"


def _version(location: Any = PLACE, previous: Any = None) -> dict[str, Any]:
    return {"model": "fraud", "version": "2", "location": location, "previous": previous}


def _exposed(public: bool = False, name: str = BUCKET, account: Any = None) -> dict[str, Any]:
    shut = dict.fromkeys(FLAGS, False)
    exposure = {"name": "models", "block": shut, "policy_status": {"IsPublic": public}, "grants": [], "ownership": None}
    return {
        "aws.s3.exposures": {name: exposure},
        "aws.s3.account": {"arn:aws:iam::1:root": {"block": account}},
        "aws.s3.access_points": {},
    }


def _covered(status: str, location: Any = PLACE, says: str = "", **seen: Any) -> Vector:
    return Vector("model-artifact-location-covered", status, _version(location), everywhere=seen.pop("all", None)
                  or _exposed(**seen), says=says)  # fmt: skip


def _folder(**told: Any) -> dict[str, Any]:
    whole = {"objects": 9, "first_listed": "2026-01-01T00:00:00Z", "seen_again": True}
    return {FOLDERS: {"models/production/2/model": whole | {"changed": [], "gone": [], "added": []} | told}}


def _stable(status: str, says: str = "", location: Any = PLACE, folder: Any = None, **settings: Any) -> Vector:
    return Vector("artifact-checksum-stable", status, _version(location), everywhere=folder or _folder(),
                  settings=settings or LISTED, says=says)  # fmt: skip


def _before(status: str, says: str = "", location: Any = PLACE, folder: Any = None, **settings: Any) -> Vector:
    previous = {"version": "1", "location": location}
    return Vector("previous-artifact-available", status, _version("s3://models/x", previous),
                  everywhere=folder or _folder(), settings=settings or LISTED, says=says)  # fmt: skip


VECTORS = [
    _covered("pass"),
    _covered("pass", "s3a://models/production"),
    _covered("pass", name="arn:aws-cn:s3:::models"),
    _covered("pass", public=True, account=dict.fromkeys(FLAGS, True)),
    _covered("fail", public=True, says="the bucket policy is public"),
    _covered("fail", "s3://other/production", "not collected"),
    _covered("fail", "/srv/artifacts", "is no bucket"),
    _covered("fail", "file:///srv/artifacts", "is no bucket"),
    _covered("not_evaluated", "mlflow-artifacts:/1/a", "does not tell"),
    _covered("not_evaluated", "models:/m-1", "does not tell"),
    _covered("not_evaluated", "gs://models/a", "no buckets of this kind"),
    _covered("not_evaluated", None, "no location"),
    _covered("not_evaluated", all={"aws.s3.exposures": DENIED}),
    _covered("not_evaluated", DENIED),
    Vector("model-artifact-location-covered", "not_evaluated", _version("s3://other/a"), everywhere=_exposed(),
           partial={"aws.s3.exposures": Gap(Reason.PARTIAL)}),
    # ---
    _before("pass", "9 objects"),
    _before("fail", "nothing is listed", folder={FOLDERS: {}}),
    _before("fail", "nothing is listed", folder=_folder(objects=0)),
    _before("not_evaluated", "collect.aws.artifacts", location="s3://elsewhere/1"),
    _before("not_evaluated", "collect.aws.artifacts", artifacts=[]),
    _before("not_evaluated", "does not tell", location="mlflow-artifacts:/1/a"),
    _before("not_evaluated", "is no bucket", location="/srv/artifacts"),
    _before("not_evaluated", folder={FOLDERS: DENIED}),
    Vector("previous-artifact-available", "not_applicable", _version(), says="no other version"),
    # ---
    _stable("pass", "as first recorded"),
    _stable("pass", folder=_folder(added=["models/production/2/model/later"])),
    _stable("fail", "changed: models/production/2/model/a", folder=_folder(changed=["models/production/2/model/a"])),
    _stable("fail", "gone: models/production/2/model/a", folder=_folder(gone=["models/production/2/model/a"])),
    _stable("fail", "nothing is listed", folder={FOLDERS: {}}),
    _stable("not_applicable", "first observation", folder=_folder(seen_again=False)),
    _stable("not_evaluated", "collect.aws.artifacts", artifacts=[]),
    _stable("not_evaluated", folder={FOLDERS: DENIED}),
]  # fmt: skip
NEVER = {
    "model-artifact-location-covered": "not_applicable: without a production version there is no subject",
}
