"""What watches the two accounts."""

from __future__ import annotations

import boto3

from tests.aws.worlds import Answer

SERVICES = ("config-service", "ec2", "guardduty", "inspector2", "lambda", "securityhub")


def fill(*, good: bool) -> None:
    """A detector, Security Hub and Config."""
    features = [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED" if good else "DISABLED"}]
    boto3.client("guardduty").create_detector(Enable=True, Features=features)
    boto3.client("securityhub").enable_security_hub()
    config = boto3.client("config")
    role = "arn:aws:iam::123456789012:role/config"
    recorded = {"allSupported": good, "includeGlobalResourceTypes": good}
    if not good:
        recorded["resourceTypes"] = ["AWS::S3::Bucket"]
    config.put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": role, "recordingGroup": recorded}
    )
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config"})


def answers(*, good: bool) -> dict[str, Answer]:
    """Inspector, on or off, and a host and a function for it to scan."""
    each = {"status": "ENABLED" if good else "DISABLED", "errorCode": "ALREADY_ENABLED", "errorMessage": "none"}
    state = {"accountId": "123456789012", "state": each, "resourceState": {"ec2": each, "ecr": each, "lambda": each}}
    return {
        "inspector2.BatchGetAccountStatus": lambda _: {"accounts": [state]},
        "ec2.DescribeInstances": lambda _: {"Reservations": [{"ReservationId": "r-1"}]},
        "lambda.ListFunctions": lambda _: {"Functions": [{"FunctionName": "score"}]},
    }
