"""The credential report of an account: passwords, MFA and keys, root included.

AWS makes a report at most every four hours and hands out the last one until then.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from agent.model import AsOf, Gap, Json, Reason, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount

_NEEDS = {
    "GenerateCredentialReport": "iam:GenerateCredentialReport",
    "GetCredentialReport": "iam:GetCredentialReport",
}
_TRIES = 30
_LONGEST_PAUSE_S = 5.0
_KEPT_FOR = timedelta(hours=4)
_FACTS = (
    "user",
    "user_creation_time",
    "password_enabled",
    "password_last_changed",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
)
_USED_WITH = (
    "user",
    "password_enabled",
    "password_last_changed",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_2_active",
    "access_key_2_last_rotated",
)
_LAST_USED = ("password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date")


@stream("aws.iam.credentials", per="account", every="1d", needs=_NEEDS, personal=True)
def credentials(account: AwsAccount) -> Iterator[Record | Gap | AsOf]:
    """Credentials of every user and of root, in the words of the credential report.

    When they were last used is another stream, so that an unchanged user is an unchanged record.
    """
    for row in _report(account):
        yield row if isinstance(row, (AsOf, Gap)) else Record(row["arn"], {name: row[name] for name in _FACTS})


@stream("aws.iam.usage", per="account", every="1d", needs=_NEEDS, personal=True)
def usage(account: AwsAccount) -> Iterator[Record | Gap | AsOf]:
    """When passwords and access keys of users and root were last used, to the day."""
    for row in _report(account):
        if isinstance(row, (AsOf, Gap)):
            yield row
            continue
        facts: dict[str, Json] = {name: row[name] for name in _USED_WITH}
        yield Record(row["arn"], facts | {name: _day(row[name]) for name in _LAST_USED})


def _report(account: AwsAccount) -> Iterator[Mapping[str, str] | Gap | AsOf]:
    """When the report was made, then its rows."""
    iam = account.client("iam")
    for attempt in range(_TRIES):
        if iam.generate_credential_report().get("State") == "COMPLETE":
            break
        account.pause(min(_LONGEST_PAUSE_S, 0.25 * 2**attempt))
    else:
        raise SourceError(_gap(Reason.TIMEOUT, "GenerateCredentialReport", "ReportNotReady"))
    answer = iam.get_credential_report()
    if "Content" not in answer or "GeneratedTime" not in answer:
        raise SourceError(_gap(Reason.MALFORMED, "GetCredentialReport", "NoContent"))
    yield AsOf(_made_at(answer))
    rows = csv.DictReader(io.StringIO(answer["Content"].decode(errors="replace")))
    if not {"arn", *_FACTS, *_LAST_USED} <= set(rows.fieldnames or ()):
        raise SourceError(_gap(Reason.MALFORMED, "GetCredentialReport", "NoSuchColumn"))
    for row in rows:
        # A row with a cell too many or too few has shifted: no cell of it can be trusted.
        shifted = None in row or None in row.values() or not row["arn"]
        yield _gap(Reason.MALFORMED, "GetCredentialReport", "ShiftedRow") if shifted else row


def _made_at(answer: Mapping[str, Any]) -> int:
    """When the report was made, ms UTC: at most four hours before it was handed out.

    A report is never older than that, by AWS's word; a time further back is not that of this report,
    and ages counted from it would make every key look new.
    """
    made: datetime = answer["GeneratedTime"]
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if date:
        made = max(made, parsedate_to_datetime(date) - _KEPT_FOR)
    return round(made.timestamp() * 1000)


def _day(moment: str) -> str:
    """The day of a time in UTC; words such as `no_information` and `N/A` as they are."""
    return moment[:10] if moment[:4].isdigit() else moment


def _gap(reason: Reason, operation: str, code: str) -> Gap:
    return Gap(reason, operation, code, _NEEDS[operation])
