"""Threat detection and vulnerability scanning: on in every region, over what runs there."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Verdict, failed, inapplicable, passed
from agent.registry import check

_PARTS = ("ec2", "ecr", "lambda")
"""The parts of Inspector that the rule asks for."""


@check("detector-enabled", over="aws.detect.detectors")
def detector_enabled(region: Facts, ctx: Context) -> Verdict:
    """GuardDuty is on in the region and watches who reaches into buckets."""
    detector = region["detector"]
    if detector is None:
        return failed("no GuardDuty detector in this region", status=None)
    status, features = detector["status"], detector["features"]
    buckets, malware = features.get("S3_DATA_EVENTS"), features.get("EBS_MALWARE_PROTECTION")
    facts = {"status": status, "S3_DATA_EVENTS": buckets, "EBS_MALWARE_PROTECTION": malware}
    if status != "ENABLED":
        return failed(f"the GuardDuty detector is {status}", **facts)
    if buckets != "ENABLED":
        return failed(f"GuardDuty does not watch buckets: S3_DATA_EVENTS is {buckets or 'not set'}", **facts)
    return passed("GuardDuty is on and watches buckets", **facts)


@check("scanner-enabled", over="aws.detect.scanners")
def scanner_enabled(region: Facts, ctx: Context) -> Verdict:
    """Inspector scans the hosts and functions of the region.

    A kind of workload that the region does not have needs no scanner. Images are judged by repository.
    """
    inspector = region["inspector"]
    status, parts = inspector["status"], inspector["parts"]
    on = [part for part in _PARTS if status == "ENABLED" and parts.get(part) == "ENABLED"]
    facts = {"status": status, "on": on}
    if len(on) == len(_PARTS):
        return passed("Inspector scans hosts, images and functions", **facts)
    there = {"ec2": region["has_hosts"], "lambda": region["has_functions"]}
    wanted = [part for part, any_ in there.items() if any_]
    if not wanted:
        return inapplicable("no host and no function in this region, lists complete", **facts)
    missing = [part for part in wanted if part not in on]
    if missing:
        return failed(f"Inspector ({status}) does not scan {', '.join(missing)}, which the region has", **facts)
    return passed(f"Inspector scans what the region has: {', '.join(wanted)}", **facts)
