"""Canonical bytes equal RFC 8785's own library, and every value has one form."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.canonical import MAX_INT, NotRepresentable, canonical, canonical_in_profile, fits, in_profile, parse

scalars = st.one_of(st.none(), st.booleans(), st.integers(-MAX_INT, MAX_INT), st.text(st.characters(codec="utf-8")))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner)
    ),
    max_leaves=30,
)


@given(documents)
@settings(max_examples=1500, deadline=None)
def test_canonical_bytes_are_rfc_8785(document):
    data = canonical(document)
    assert data == canonical_in_profile(document) == rfc8785.dumps(document)
    assert fits(document)
    assert parse(data) == json.loads(data)


@given(
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.floats(), st.integers(), st.decimals(), st.binary(), st.datetimes())
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_source_says_ends_in_the_profile(said):
    refused = []
    kept = in_profile(said, lambda at, why: refused.append((at, why)))
    assert fits(kept)
    assert canonical(kept) == canonical_in_profile(kept) == rfc8785.dumps(kept)


@pytest.mark.parametrize("value", [1.0, {"a": [0.5]}, 2**53, b"x", {1: 2}, {"a": {1, 2}}])
def test_outside_the_profile_is_refused(value):
    assert not fits(value)
    with pytest.raises(NotRepresentable):
        canonical(value)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (0.1, "0.1"),
        (1e16, "1e+16"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (2**53, str(2**53)),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.12Z"),
        (date(2026, 1, 2), "2026-01-02"),
        ((1, 2), [1, 2]),
    ],
)
def test_values_as_the_ledger_keeps_them(said, kept):
    assert in_profile(said, lambda at, why: pytest.fail(why)) == kept


def test_what_has_no_form_is_named_by_its_pointer():
    refused = []
    kept = in_profile({"a": {"b/c": [b"x", "\ud800"]}, "t": datetime(2026, 1, 1)}, lambda at, why: refused.append(at))  # noqa: DTZ001
    assert refused == ["/a/b~1c/0", "/a/b~1c/1", "/t"]
    in_profile({"\udc80": 1}, lambda at, why: refused.append(at))
    assert refused[3:] == ["/?"]
    assert kept == {"a": {"b/c": [None, None]}, "t": None}
