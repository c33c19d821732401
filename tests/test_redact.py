"""Secrets leave the facts before anything is stored, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import PATTERNS, REDACTED, Redactor

KEY = bytes(range(32))
REDACTOR = Redactor(KEY, ["env", "team"])
# put together here, so that no scanner of repositories takes them for real
AWS_KEY = "AKIA" + "Z7QK3M9XW2LD5RTB"
SECRET_40 = "wJalrXUtnFEMIaK7" + "MDENGbPxRfiCYzR4tQ8nLpVe"
RANDOM = "q8Zr" + "m2Lw9TxV7bKd"
JWT = (
    "eyJ"
    + "hbGciOiJIUzI1NiJ9"
    + "."
    + "eyJzdWIiOiIxMjM0NTY3ODkwIn0"
    + "."
    + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)

HITS = [
    ("aws-key-id", {"AWS_ACCESS_KEY_ID": AWS_KEY}, AWS_KEY),
    ("aws-key-id", {"command": f"train --key {AWS_KEY} --lr 0.1"}, AWS_KEY),
    ("aws-secret", {"secret_key": SECRET_40}, SECRET_40),
    ("aws-secret", {"script": f"export AWS_SECRET_ACCESS_KEY={SECRET_40}\npython train.py"}, SECRET_40),
    ("private-key", {"pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIE"}, "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
    ("gcp-sa-json", {"key": '{"type": "service_account", "private_key_id": "0af3"}'}, None),
    (
        "google-api-key",
        {"maps": "AIza" + "SyD4m9xK2pQ7wR1tV8zL5nB3cF6hJ0gA2eX"},
        "AIza" + "SyD4m9xK2pQ7wR1tV8zL5nB3cF6hJ0gA2eX",
    ),
    ("azure-storage-key", {"c": "AccountName=x;AccountKey=" + "Ab3/" * 21 + "Ab==;E=y"}, "Ab3/" * 21 + "Ab=="),
    ("github-token", {"note": "cloned with ghp_" + "a1B2c3D4e" * 4}, "ghp_" + "a1B2c3D4e" * 4),
    ("gitlab-token", {"note": "cloned with glpat-" + "a1B2c3D4e" * 3}, "glpat-" + "a1B2c3D4e" * 3),
    ("slack-token", {"hook": "xoxb-" + "123456789012-abcDEF"}, "xoxb-" + "123456789012-abcDEF"),
    ("hf-token", {"x": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"}, "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"),
    ("model-api-key", {"judge": "sk-proj-" + "aB3dE5fG7h" * 4}, "sk-proj-" + "aB3dE5fG7h" * 4),
    ("model-api-key", {"command": "eval --judge sk-ant-api03-" + "aB3_-" * 8}, "sk-ant-api03-" + "aB3_-" * 8),
    ("jwt", {"header": f"Bearer {JWT}"}, JWT),
    ("url-credentials", {"uri": "postgresql://mlflow:hunter2pass@db.example.com/mlflow"}, "hunter2pass"),
    ("named-secret", {"params": {"db_password": RANDOM}}, RANDOM),
    ("named-secret", {"environment": [{"Name": "API_KEY", "Value": RANDOM}]}, RANDOM),
    ("named-secret", {"args": ["serve", f"--api-key={RANDOM}"]}, RANDOM),
    ("named-secret", {"json": f'{{"auth_token": "{RANDOM}"}}'}, RANDOM),
    ("named-secret", {"tokens": [RANDOM]}, RANDOM),
]


@pytest.mark.parametrize(
    ("pattern", "facts", "secret"), HITS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_secret_is_replaced_and_its_place_pattern_and_hash_stay(
    pattern: str, facts: dict[str, object], secret: str | None
) -> None:
    kept, redacted = REDACTOR.redact(facts, [])
    (hit,) = kept["secrets"]
    assert hit["pattern"] == pattern
    assert redacted == [hit["at"]]
    value = kept
    for token in hit["at"].split("/")[1:]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    assert value == REDACTED
    if secret is not None:
        assert secret not in json.dumps(kept)
        assert hit["hash"] == hmac.new(KEY, secret.encode(), hashlib.sha256).hexdigest()[:32]


def test_every_pattern_has_a_case_above() -> None:
    assert {pattern for pattern, _, _ in HITS} == set(PATTERNS)


@pytest.mark.parametrize(
    "facts",
    [
        {"AccessKeyId": AWS_KEY, "Status": "Active"},
        {"SecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf"},
        {"password": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf"},
        {"db_password": "projects/123456/secrets/db/versions/latest"},
        {"db_password": "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/x)"},
        {"api_key": "${API_KEY_OF_PRODUCTION}"},
        {"api_key": "secretRef:production-api-key"},
        {"api_key": "****************"},
        {"api_key": "<your-api-key-goes-here>"},
        {"api_key": "changeme-changeme"},
        {"url": "https://user:${DB_PASSWORD}@db.example.com/"},
        {"PasswordLastUsed": "2026-03-01T09:15:42Z", "password_last_changed": "2026-03-01T09:15:42+00:00"},
        {"tokenizer": "distilbert-base-uncased-finetuned-sst-2", "max_tokens": "4096"},
        {"token_url": "https://login.example.com/oauth2/v2.0/token"},
        {"password": "short"},
        {"password_policy": "MinimumLength14RequireSymbols"},
        {"secret": "aaaaaaaaaaaaaaaa"},
        {"image": "registry.example.com:5000/train@sha256:" + "ab" * 32},
        {"remote": "docker://train:1.2@sha256:" + "0f" * 32},
        {
            "policy": {
                "Statement": [
                    {
                        "Action": ["secretsmanager:ListSecretVersionIds", "kms:CreateKey"],
                        "Condition": {
                            "StringEquals": {
                                "token.actions.githubusercontent.com:sub": "repo:example/models:ref:refs/heads/main"
                            }
                        },
                    }
                ]
            }
        },
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_what_only_looks_like_a_secret_stays(facts: dict[str, object]) -> None:
    assert REDACTOR.redact(facts, []) == (facts, [])


def test_tags_keep_only_known_names_and_the_values_of_others_are_scanned_before_they_go() -> None:
    facts = {
        "tags": {"env": "prod", "cost/centre": "4711", "leak": AWS_KEY},
        "jobs": [{"Tags": [{"Key": "team", "Value": "ml"}, {"Key": "owner", "Value": "jane"}]}],
    }
    kept, redacted = REDACTOR.redact(facts, ["/tags", "/jobs/*/Tags", "/absent"])
    assert kept["tags"] == {"env": "prod"}
    assert kept["jobs"] == [{"Tags": [{"Key": "team", "Value": "ml"}, {"Key": "owner"}]}]
    assert redacted == ["/jobs/0/Tags/1/Value", "/tags/cost~1centre", "/tags/leak"]
    assert [hit["at"] for hit in kept["secrets"]] == ["/tags/leak"]
    assert facts["tags"] == {"env": "prod", "cost/centre": "4711", "leak": AWS_KEY}, "the given facts are left alone"


def test_the_hash_is_the_same_for_one_secret_and_differs_from_store_to_store() -> None:
    at_home = REDACTOR.scan(f"first {AWS_KEY}")
    assert at_home == REDACTOR.scan(f"second {AWS_KEY}")
    assert at_home != Redactor(b"another store", []).scan(f"first {AWS_KEY}")


def test_the_digest_of_the_patterns_is_stable_and_says_nothing_of_the_key() -> None:
    assert REDACTOR.patterns_digest == Redactor(b"", []).patterns_digest
    assert len(bytes.fromhex(REDACTOR.patterns_digest)) == 32


plain = st.text(string.ascii_lowercase + " -_", max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(plain, json_values, max_size=5), st.sampled_from(HITS))
def test_the_fast_path_never_hides_a_hit(
    around: dict[str, object], case: tuple[str, dict[str, object], object]
) -> None:
    kept, _ = REDACTOR.redact({**around, "here": case[1]}, [])
    assert [hit["pattern"] for hit in kept["secrets"] if hit["at"].startswith("/here/")] == [case[0]]
    assert REDACTOR.redact({k: v for k, v in kept.items() if k != "secrets"}, [])[1] == [], "what is redacted stays so"
