"""Volumes of the two accounts."""

from __future__ import annotations

import boto3

from tests.aws.worlds import Answer

SERVICES = ("ec2",)


def fill(*, good: bool) -> None:
    """Encryption of new volumes."""
    if good:
        boto3.client("ec2").enable_ebs_encryption_by_default()


def answers(*, good: bool) -> dict[str, Answer]:
    """One volume; the emulator would make up its id anew each time."""
    return {"ec2.DescribeVolumes": lambda _: {"Volumes": [{"VolumeId": "vol-1", "Encrypted": good}]}}
