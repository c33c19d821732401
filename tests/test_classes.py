"""Class of data and environment: labels, registers, defaults, and what counts as the strictest."""

from __future__ import annotations

import pytest

from agent.facts import Context, StreamView, Unseen
from agent.model import Gap, Reason
from checks import classes
from tests.judging import DENIED, as_facts

ASSETS = "docs.registers.assets"
BUCKET = "arn:aws:s3:::data"


def told(tags, *, scope="aws:1:eu-west-1", rows=None, partial=None, **settings):
    """A resource with these tags, and a context with these rows of the assets register."""
    facts = as_facts({"name": "data", "tags": tags}, BUCKET)
    facts.scope = scope

    def everywhere(stream):
        assert stream == ASSETS
        return StreamView(lambda: (as_facts(row, key) for key, row in (rows or {}).items()), partial, stream)

    given = {"default_data_class": "restricted", "environments": {}} | settings
    return facts, Context(0, given, everywhere, everywhere, lambda stream: rows is not None and stream == ASSETS)


def row(**columns):
    return {"1": {"id": "1", "name": None, "location": None, "data_class": "internal", "retired_on": None} | columns}


@pytest.mark.parametrize(
    ("tags", "given", "found", "words"),
    [
        ({"data_class": "internal"}, {}, "internal", "internal"),
        ({"data_class": " Public "}, {}, "public", "public"),
        ({"data_class": "secret"}, {}, "restricted", "restricted (its label 'secret' is no known class)"),
        ({}, {}, "restricted", "restricted (unlabelled)"),
        ({"data_class": ""}, {}, "restricted", "restricted (unlabelled)"),
        (None, {}, "restricted", "restricted (unlabelled)"),
        ({}, {"default_data_class": "internal"}, "internal", "internal (unlabelled)"),
        ({}, {"default_data_class": ""}, None, "unlabelled"),
        ({}, {"rows": row(id=BUCKET)}, "internal", "internal"),
        ({}, {"rows": row(name="data")}, "internal", "internal"),
        ({}, {"rows": row(location="s3://data/")}, "internal", "internal"),
        ({}, {"rows": row(name="other")}, "restricted", "restricted (unlabelled)"),
        ({}, {"rows": row(name="data", retired_on="2026-01-01")}, "restricted", "restricted (unlabelled)"),
        ({"data_class": "public"}, {"rows": row(name="data")}, "public", "public"),
    ],
)
def test_the_class_of_a_resource(tags, given, found, words):
    facts, ctx = told(tags, **given)
    assert classes.data_class(facts, ctx) == found
    assert classes.class_in_words(facts, ctx) == words
    assert classes.is_labelled(facts, ctx) == ("unlabelled" not in words)


def test_tags_that_were_not_seen_label_nothing():
    with pytest.raises(Unseen):
        classes.data_class(*told(DENIED))


def test_half_a_register_does_not_make_a_resource_unlabelled():
    with pytest.raises(Unseen):
        classes.data_class(*told({}, rows={}, partial=Gap(Reason.MALFORMED)))
    assert classes.data_class(*told({}, rows=row(name="data"), partial=Gap(Reason.MALFORMED))) == "internal"


@pytest.mark.parametrize(
    ("tags", "given", "found", "production"),
    [
        ({"environment": "Prod"}, {}, "prod", True),
        ({"environment": "production"}, {"environments": {"aws:1": "test"}}, "production", True),
        ({"environment": "staging"}, {}, "staging", False),
        ({}, {"environments": {"aws:1": "Development"}}, "development", False),
        ({}, {"environments": {"aws:1": "test", "aws:1:eu-west-1": "production"}}, "production", True),
        ({}, {"environments": {"aws:2": "test"}}, None, True),
        ({}, {"environments": {"mlflow:main": "test"}, "scope": "mlflow:main"}, "test", False),
        ({"environment": " "}, {}, None, True),
        (None, {}, None, True),
    ],
)
def test_the_environment_of_a_resource(tags, given, found, production):
    facts, ctx = told(tags, **given)
    assert classes.environment(facts, ctx) == found
    assert classes.in_production(facts, ctx) is production
