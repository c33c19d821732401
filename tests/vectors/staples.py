"""What opens every auditor's request list: ports, flow logs, TLS, encryption, detection, scanning, backups."""

from __future__ import annotations

from typing import Any

from agent.clock import iso
from agent.model import Gap, Reason
from tests.judging import DENIED, NOW_MS
from tests.vectors import Vector

PLACE = "1/us-east-1"
DATABASE = "arn:aws:rds:us-east-1:1:db:mlflow"
CLUSTER = "arn:aws:rds:us-east-1:1:cluster:features"
VOLUME = "arn:aws:ec2:us-east-1:1:volume/vol-1"
BUCKET = "arn:aws:s3:::models"
PARTIAL = Gap(Reason.PARTIAL, "ListIt", "Broken")
HOUR = 3_600_000


def group(protocol: str, first: int | None, last: int | None, *addresses: str, lists: Any = None) -> dict[str, Any]:
    """A security group with one rule."""
    lists = lists or {}
    rule = {
        "protocol": protocol,
        "from_port": first,
        "to_port": last,
        "addresses": list(addresses),
        "prefix_lists": sorted(lists),
    }
    return {"ingress": [rule], "prefix_lists": lists}


def network(*logs: tuple[str, str | None, str], default: bool = False, used: Any = None) -> dict[str, Any]:
    """A network with flow logs of (status, delivery, traffic)."""
    told = [
        {"id": f"fl-{n}", "status": status, "delivery": delivery, "traffic": traffic}
        for n, (status, delivery, traffic) in enumerate(logs)
    ]
    return {"shared_by": None, "default": default, "in_use": used, "flow_logs": told}


def listener(protocol: str, scheme: str = "internet-facing", **more: Any) -> dict[str, Any]:
    """A listener without a policy."""
    return {"scheme": scheme, "protocol": protocol, "policy": None, "tls": None, "rules": None, **more}


def rule(action: str, redirect: str | None = None) -> dict[str, Any]:
    """The default rule of an HTTP listener."""
    return {"priority": "default", "action": action, "redirect": redirect}


def inspector(status: str = "ENABLED", *on: str, hosts: Any = True, functions: Any = False) -> dict[str, Any]:
    """Inspector with these parts on."""
    parts = {name: "ENABLED" if name in on else "DISABLED" for name in ("ec2", "ecr", "lambda")}
    return {"inspector": {"status": status, "parts": parts}, "has_hosts": hosts, "has_functions": functions}


def image(frequency: Any = "MANUAL", *, on_push: bool = False) -> dict[str, Any]:
    """A repository."""
    return {"scan_frequency": frequency, "scan_on_push": on_push}


def database(days: int = 7, tags: Any = None, **more: Any) -> dict[str, Any]:
    """A database with its own backups kept this long."""
    return {"cluster": None, "replica_of": None, "backup_retention": days, "tags": tags or {}, **more}


def point(hours: int = 3, kept: int | None = 35, of: str = DATABASE, region: str = "us-east-1", **more: Any) -> Any:
    """The newest recovery point of a resource, this old."""
    told = {"resource": of, "region": region, "newest": hours_ago(hours), "kept_days": kept, "continuous": False}
    return {f"{of}@{region}": {**told, **more}}


def reach(hours: int | None = 0, of: str = DATABASE) -> Any:
    """How far back a database can be restored."""
    return {of: {"latest": None if hours is None else hours_ago(hours)}}


def hours_ago(hours: int) -> str:
    """A full hour before the observation."""
    return iso(NOW_MS - hours * HOUR)


def backed(facts: Any, status: str, points: Any = None, latest: Any = None, says: str = "", **here: Any) -> Vector:
    """A vector of a database instance."""
    streams = {"aws.backup.points": points or {}, "aws.data.restorable": reach() if latest is None else latest, **here}
    return Vector("backup-recent", status, facts, "aws.data.instances", DATABASE, here=streams, says=says)


def bucket(status: str, versions: str | None = None, replicas: Any = None, says: str = "", **more: Any) -> Vector:
    """A vector of a bucket that has to be kept."""
    tags = more.pop("tags", {"backup": "required"})
    rules = replicas and {"Rules": [{"Status": each} for each in replicas]}
    facts = {"name": "models", "region": "us-east-1", "versioning": {"Status": versions}, "replication": rules}
    here = {"aws.backup.points": more.pop("points", {}), **more}
    return Vector("backup-recent", status, {**facts, "tags": tags}, "aws.s3.buckets", BUCKET, here=here, says=says)


_PORTS = "no-open-ports"
_MORE_PORTS = [
    Vector(_PORTS, "fail", group("tcp", port, port, "0.0.0.0/0"), says=str(port))
    for port in (22, 3389, 3306, 5432, 1433, 27017, 6379, 9200, 9092, 5000, 8888, 6006, 8265, 10001, 8786, 8787, 2375)
    + (2376, 10250)
]
_FLOW = "flow-logs-on"
_TLS = "listener-tls"
_V2, _CLASSIC = "aws.network.listeners", "aws.network.classic_listeners"
_VOLUMES, _DEFAULTS = "aws.compute.volumes", "aws.compute.defaults"
_SCAN, _IMAGES = "aws.detect.scanners", "aws.ecr.repositories"
_OFF = {_SCAN: {PLACE: inspector("DISABLED")}, "aws.ecr.registries": {PLACE: {"scan_type": "BASIC"}}}
_REPOSITORY = "arn:aws:ecr:us-east-1:1:repository/trainer"
_MLFLOW = "mlflow-backend-encrypted"
_ENCRYPTED = {"encrypted": True, "kms_key": None}


def _detector(**features: str) -> dict[str, Any]:
    return {"detector": {"status": "ENABLED", "features": features}}


def _scanned(status: str, facts: Any, says: str = "", here: Any = None) -> Vector:
    here = _OFF if here is None else here
    return Vector("scanner-enabled", status, facts, _IMAGES, _REPOSITORY, here=here, says=says)


VECTORS = [
    Vector(_PORTS, "pass", {"ingress": [], "prefix_lists": {}}),
    Vector(_PORTS, "pass", group("tcp", 443, 443, "0.0.0.0/0", "::/0")),
    Vector(_PORTS, "pass", group("tcp", 22, 22, "10.0.0.0/8")),
    Vector(_PORTS, "pass", group("icmp", -1, -1, "0.0.0.0/0")),
    Vector(_PORTS, "pass", group("50", None, None, "0.0.0.0/0")),
    *_MORE_PORTS,
    Vector(_PORTS, "fail", group("tcp", 22, 22, "::/0"), says="::/0"),
    Vector(_PORTS, "fail", group("tcp", 0, 65535, "0.0.0.0/0"), says="3389 (Remote Desktop)"),
    Vector(_PORTS, "fail", group("udp", 4000, 6000, "0.0.0.0/0"), says="5000 (MLflow)"),
    Vector(_PORTS, "fail", group("-1", None, None, "0.0.0.0/0"), says="all protocols"),
    Vector(_PORTS, "fail", group("6", -1, -1, "0.0.0.0/0"), says="ports 0-65535"),
    Vector(_PORTS, "pass", group("tcp", 22, 22, lists={"pl-1": ["10.0.0.0/8"]})),
    Vector(_PORTS, "fail", group("tcp", 22, 22, lists={"pl-1": ["0.0.0.0/0"]}), says="by pl-1"),
    Vector(_PORTS, "not_evaluated", group("tcp", 22, 22, lists={"pl-1": DENIED})),
    Vector(_PORTS, "not_evaluated", {"ingress": DENIED}),
    Vector(_FLOW, "pass", network(("ACTIVE", "SUCCESS", "ALL"))),
    Vector(_FLOW, "pass", network(("ACTIVE", "SUCCESS", "REJECT"), ("ACTIVE", "FAILED", "ALL"))),
    Vector(_FLOW, "fail", network(), says="no flow log"),
    Vector(_FLOW, "fail", network(("ACTIVE", "SUCCESS", "ACCEPT")), says="only what is let in"),
    Vector(_FLOW, "fail", network(("ACTIVE", "FAILED", "ALL")), says="delivery"),
    Vector(_FLOW, "fail", network(("INACTIVE", "SUCCESS", "ALL"))),
    Vector(_FLOW, "not_evaluated", network(("ACTIVE", None, "ALL"))),
    Vector(_FLOW, "not_applicable", network(default=True, used=False), says="no network interface"),
    Vector(_FLOW, "fail", network(default=True, used=True)),
    Vector(_FLOW, "not_applicable", network() | {"shared_by": "2"}, says="belongs to account 2"),
    Vector(_FLOW, "not_evaluated", network(default=True, used=DENIED)),
    Vector(_FLOW, "not_evaluated", network() | {"flow_logs": DENIED}),
    Vector(_TLS, "pass", listener("HTTPS", policy="p", tls=["TLSv1.2", "TLSv1.3"]), _V2),
    Vector(_TLS, "pass", listener("TLS", policy="p", tls=["TLSv1.3"]), _V2),
    Vector(_TLS, "fail", listener("HTTPS", policy="p", tls=["TLSv1.1", "TLSv1.2"]), _V2, says="TLSv1.1"),
    Vector(_TLS, "not_evaluated", listener("HTTPS", policy="p"), _V2),
    Vector(_TLS, "not_evaluated", listener("HTTPS", policy="p", tls=DENIED), _V2),
    Vector(_TLS, "pass", listener("HTTP", rules=[rule("redirect", "HTTPS")]), _V2),
    Vector(_TLS, "fail", listener("HTTP", rules=[rule("redirect", "HTTPS"), rule("forward")]), _V2, says="forward"),
    Vector(_TLS, "fail", listener("HTTP", rules=[rule("redirect", "#{protocol}")]), _V2),
    Vector(_TLS, "fail", listener("TCP"), _V2),
    Vector(_TLS, "not_evaluated", listener("QUIC"), _V2),
    Vector(_TLS, "not_applicable", listener("HTTP", "internal"), _V2, says="internal"),
    Vector(_TLS, "pass", listener("SSL", tls=["TLSv1.2"]), _CLASSIC),
    Vector(_TLS, "fail", listener("HTTPS", tls=["TLSv1", "TLSv1.2"]), _CLASSIC),
    Vector(_TLS, "fail", listener("HTTP", tls=[]), _CLASSIC),
    Vector(_TLS, "not_evaluated", listener("HTTPS", tls=[]), _CLASSIC),
    Vector(_TLS, "not_applicable", listener("HTTP", "internal"), _CLASSIC),
    Vector("volume-encryption", "pass", {"encrypted": True, "kms_key": "arn:aws:kms:key/1"}, _VOLUMES, says="key/1"),
    Vector("volume-encryption", "fail", {"encrypted": False}, _VOLUMES),
    Vector("volume-encryption", "not_evaluated", {"encrypted": DENIED}, _VOLUMES),
    Vector("volume-encryption", "pass", {"encrypted": True, "has_volumes": DENIED}, _DEFAULTS),
    Vector("volume-encryption", "fail", {"encrypted": False, "has_volumes": True}, _DEFAULTS),
    Vector("volume-encryption", "not_applicable", {"encrypted": False, "has_volumes": False}, _DEFAULTS),
    Vector("volume-encryption", "not_evaluated", {"encrypted": False, "has_volumes": DENIED}, _DEFAULTS),
    *(
        vector
        for stream in ("aws.data.instances", "aws.data.clusters", "aws.data.snapshots")
        for vector in (
            Vector("db-encryption", "pass", _ENCRYPTED, stream),
            Vector("db-encryption", "fail", {"encrypted": False}, stream),
            Vector("db-encryption", "not_evaluated", {"encrypted": DENIED}, stream),
        )
    ),
    Vector(_MLFLOW, "pass", settings={"mlflow_backend": "sagemaker"}, says="SageMaker"),
    Vector(_MLFLOW, "pass", settings={"mlflow_backend": DATABASE}, here={"aws.data.instances": {DATABASE: _ENCRYPTED}}),
    Vector(
        _MLFLOW, "fail", settings={"mlflow_backend": CLUSTER},
        here={"aws.data.instances": {}, "aws.data.clusters": {CLUSTER: {"encrypted": False}}},
    ),
    Vector(_MLFLOW, "not_evaluated", says="does not say"),
    Vector(_MLFLOW, "not_evaluated", settings={"mlflow_backend": DATABASE}, here={"aws.data.instances": {}}),
    Vector(
        _MLFLOW, "not_evaluated", settings={"mlflow_backend": CLUSTER},
        here={"aws.data.instances": {}, "aws.data.clusters": {CLUSTER: _ENCRYPTED}},
        partial={"aws.data.instances": PARTIAL},
    ),
    Vector("detector-enabled", "pass", _detector(S3_DATA_EVENTS="ENABLED")),
    Vector("detector-enabled", "fail", {"detector": None}, says="no GuardDuty detector"),
    Vector("detector-enabled", "fail", _detector(S3_DATA_EVENTS="DISABLED", EBS_MALWARE_PROTECTION="ENABLED")),
    Vector("detector-enabled", "fail", {"detector": {"status": "DISABLED", "features": {"S3_DATA_EVENTS": "ENABLED"}}}),
    Vector("detector-enabled", "not_evaluated", {"detector": DENIED}),
    Vector("scanner-enabled", "pass", inspector("ENABLED", "ec2", "ecr", "lambda"), _SCAN),
    Vector("scanner-enabled", "pass", inspector("ENABLED", "ec2"), _SCAN, says="what the region has"),
    Vector("scanner-enabled", "fail", inspector("ENABLED", "ec2", functions=True), _SCAN, says="lambda"),
    Vector("scanner-enabled", "fail", inspector("SUSPENDED", "ec2", "ecr", "lambda"), _SCAN),
    Vector("scanner-enabled", "not_applicable", inspector("DISABLED", hosts=False), _SCAN),
    Vector("scanner-enabled", "not_evaluated", inspector("DISABLED", hosts=DENIED), _SCAN),
    Vector("scanner-enabled", "not_evaluated", inspector() | {"inspector": DENIED}, _SCAN),
    _scanned("pass", image("SCAN_ON_PUSH")),
    _scanned("pass", image("CONTINUOUS_SCAN")),
    _scanned("pass", image(on_push=True), "as the repository says"),
    _scanned("fail", image()),
    _scanned("fail", image(on_push=True), here=_OFF | {"aws.ecr.registries": {PLACE: {"scan_type": "ENHANCED"}}}),
    _scanned("pass", image(), "Inspector", {_SCAN: {PLACE: inspector("ENABLED", "ecr")}}),
    _scanned("not_evaluated", image(DENIED)),
    _scanned("not_evaluated", image(), here={_SCAN: {}}),
    backed(database(35), "pass"),
    backed(database(7), "fail", says="no backup is kept 35 days"),
    backed(database(7), "pass", point()),
    backed(database(7), "pass", point(hours=400, kept=None)),
    backed(database(7), "pass", point(region="eu-west-1")),
    backed(database(6), "fail", point(), says="own backups are kept 6 days, needs 7"),
    backed(database(0), "fail", latest=reach(None), says="nothing to restore"),
    backed(database(35), "fail", latest=reach(25), says="limit 24 h"),
    backed(database(35), "pass", latest=reach(24)),
    backed(database(35), "pass", point(hours=999, continuous=True), latest=reach(25)),
    backed(database(35), "not_evaluated", latest={}),
    backed(database(7), "not_evaluated", DENIED),
    backed(database(tags=DENIED), "not_evaluated"),
    backed(database(0, {"backup": "none", "backup_reason": "rebuilt nightly"}), "not_applicable", says="rebuilt"),
    backed(database(0, {"backup": "none"}), "fail"),
    backed(database(0, cluster="features"), "not_applicable", **{"aws.data.clusters": {CLUSTER: {}}}),
    backed(database(0, cluster="features"), "fail", **{"aws.data.clusters": {}}),
    backed(database(0, cluster="features"), "not_evaluated", **{"aws.data.clusters": DENIED}),
    backed(
        database(0, replica_of="main"), "not_applicable",
        **{"aws.data.instances": {DATABASE.replace("mlflow", "main"): {}}},
    ),
    backed(database(0, replica_of="main"), "fail", **{"aws.data.instances": {}}),
    Vector(
        "backup-recent", "pass", database(35), "aws.data.clusters", CLUSTER,
        here={"aws.data.restorable": reach(of=CLUSTER)},
    ),
    Vector(
        "backup-recent", "pass", {}, "aws.backup.tagged", VOLUME, here={"aws.backup.points": point(of=VOLUME)},
    ),
    Vector("backup-recent", "fail", {}, "aws.backup.tagged", VOLUME, here={"aws.backup.points": {}}),
    Vector(
        "backup-recent", "fail", {}, "aws.backup.tagged", VOLUME,
        here={"aws.backup.points": point(of=VOLUME, kept=7)}, says="kept 35 days",
    ),
    Vector("backup-recent", "not_evaluated", {}, "aws.backup.tagged", VOLUME, here={"aws.backup.points": DENIED}),
    bucket("pass", "Enabled", ["Disabled", "Enabled"]),
    bucket("fail", "Enabled", ["Disabled"], says="not versioned and replicated"),
    bucket("fail", "Suspended", ["Enabled"]),
    bucket("pass", points=point(of=BUCKET)),
    bucket("not_applicable", tags={}, says="not tagged"),
    bucket("not_applicable", tags={"backup": "none", "backup_reason": "cache"}, says="cache"),
    bucket("fail", tags={}, **{"aws.backup.model_buckets": {"models": {}}}),
    bucket("fail", tags={}, **{"aws.backup.package_buckets": {"models": {}}}),
    bucket("not_evaluated", tags={}, **{"aws.backup.package_buckets": DENIED}),
    bucket("not_applicable", tags={}, **{"aws.backup.model_buckets": {"other": {}}}),
    bucket("not_evaluated", tags={}, **{"aws.backup.model_buckets": DENIED}),
]  # fmt: skip
NEVER = {
    "no-open-ports": "not_applicable: the catalogue gives no such case, without groups there is no finding",
    "db-encryption": "not_applicable: without databases there is no finding",
    "detector-enabled": "not_applicable: without an AWS scope there is no finding",
    "mlflow-backend-encrypted": "not_applicable: the catalogue gives no such case",
}
