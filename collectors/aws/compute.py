"""Volumes of a region, and whether new ones are encrypted by default."""

from __future__ import annotations

from collections.abc import Iterator

from agent.collect import facet
from agent.model import Gap, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import some

_VOLUMES = {"DescribeVolumes": "ec2:DescribeVolumes"}
_A_FEW = 5
"""The smallest page of DescribeVolumes."""


@stream("aws.compute.volumes", per="region", every="1d", needs=_VOLUMES, unordered=["/instances"])
def volumes(account: AwsAccount) -> Iterator[Record | Gap]:
    """Volumes of a region: whether each is encrypted, and with which key."""
    for volume in pages(account.client("ec2"), "describe_volumes", "Volumes"):
        yield Record(
            f"arn:{account.partition}:ec2:{account.region}:{account.id}:volume/{volume['VolumeId']}",
            {
                "id": volume["VolumeId"],
                "encrypted": volume.get("Encrypted"),
                "kms_key": volume.get("KmsKeyId"),
                "instances": [each["InstanceId"] for each in volume.get("Attachments", []) if "InstanceId" in each],
                "created": volume.get("CreateTime"),
            },
        )


@stream(
    "aws.compute.defaults",
    per="region",
    every="1d",
    needs={"GetEbsEncryptionByDefault": "ec2:GetEbsEncryptionByDefault", **_VOLUMES},
)
def defaults(account: AwsAccount) -> Iterator[Record | Gap]:
    """Whether a region encrypts each new volume, and whether it has any."""
    ec2 = account.client("ec2")
    used = some(ec2, "describe_volumes", "Volumes", MaxResults=_A_FEW)
    encrypted = facet(ec2.get_ebs_encryption_by_default, pick="EbsEncryptionByDefault")
    yield Record(
        f"{account.id}/{account.region}", {"region": account.region, "encrypted": encrypted, "has_volumes": used}
    )
