"""Volumes: each is encrypted, and so will be the next one."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Verdict, failed, inapplicable, passed
from agent.registry import check


@check("volume-encryption", over="aws.compute.volumes")
def volume_encryption(volume: Facts, ctx: Context) -> Verdict:
    """The volume is encrypted; its key is listed."""
    if volume["encrypted"] is True:
        return passed(f"encrypted with {volume['kms_key'] or 'a key of AWS'}", kms_key=volume["kms_key"])
    return failed("not encrypted", encrypted=volume["encrypted"])


@check("volume-encryption", over="aws.compute.defaults")
def encryption_by_default(region: Facts, ctx: Context) -> Verdict:
    """The region encrypts each new volume by itself.

    A region without any volume does not count.
    """
    if region["encrypted"] is True:
        return passed("new volumes are encrypted by default", encrypted=True)
    if region["has_volumes"] is False:
        said = "no volume in this region, list complete; encryption of new volumes is not the default"
        return inapplicable(said, encrypted=region["encrypted"])
    return failed("new volumes of this region are not encrypted by default", encrypted=region["encrypted"])
