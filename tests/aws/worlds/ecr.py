"""Image repositories of the two accounts."""

from __future__ import annotations

import boto3

SERVICES = ("ecr",)


def fill(*, good: bool) -> None:
    """A repository that is scanned on push, or not."""
    boto3.client("ecr").create_repository(
        repositoryName="trainer",
        imageTagMutability="IMMUTABLE" if good else "MUTABLE",
        imageScanningConfiguration={"scanOnPush": good},
    )
