"""Canonical JSON and the naming of differences."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.digest import canonical_json, differences, json_digest

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_hand_case() -> None:
    value = {"b": [1, 2.0, -0.0, 1 / 3], "a": None, "\u00e9": "x"}
    expected = '{"a":null,"b":[1,2,0,0.333333333],"\\u00e9":"x"}'
    assert canonical_json(value) == expected


def test_noise_in_the_sixteenth_digit_changes_nothing_and_a_tenth_of_a_percent_does() -> None:
    assert json_digest({"a": 0.1 + 0.2}) == json_digest({"a": 0.3})
    assert json_digest({"a": 0.3003}) != json_digest({"a": 0.3})


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": object()}, b"x"])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|entries"):
        canonical_json({"x": value})


@given(_json)
def test_text_is_json_and_survives_a_round_trip(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    assert json_digest(json.loads(json.dumps(value))) == json_digest(value)


@given(_json)
def test_a_document_does_not_differ_from_itself(value: object) -> None:
    assert list(differences(value, json.loads(json.dumps(value)))) == []


@given(_json, _json)
def test_documents_differ_exactly_when_their_digests_do(left: object, right: object) -> None:
    assert (list(differences(left, right)) == []) == (json_digest(left) == json_digest(right))


@pytest.mark.parametrize(
    ("stated", "computed", "told"),
    [
        ({"a": {"b": [1, 2.5]}}, {"a": {"b": [1, 2.6]}}, "$.a.b[1] is 2.5, 2.6 was computed"),
        ({"a": 1}, {}, "$.a is 1, nothing of that name was computed"),
        ({}, {"a": None}, "$.a is missing, null was computed"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a has 1 entries, 2 were computed"),
        ({"a": "x"}, {"a": None}, '$.a is "x", null was computed'),
        ({"a": True}, {"a": 1}, "$.a is true, 1 was computed"),
    ],
)
def test_a_difference_is_named_with_its_place(stated: object, computed: object, told: str) -> None:
    assert list(differences(stated, computed)) == [told]
