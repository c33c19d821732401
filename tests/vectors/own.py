"""What the configuration says of collected places."""

from __future__ import annotations

from tests.vectors import Vector

ACCOUNT, SERVER = "aws.iam.account", "mlflow.server.access"

VECTORS = [
    Vector("env-accounts-mapped", "pass", {}, ACCOUNT, settings={"environments": {"test:1": "production"}}),
    Vector("env-accounts-mapped", "fail", {}, ACCOUNT, settings={"environments": {"aws:2": "staging"}}, says="test:1"),
    Vector("env-accounts-mapped", "fail", {}, SERVER),
]
NEVER = {"env-accounts-mapped": "not_applicable not_evaluated: the configuration is always there"}
