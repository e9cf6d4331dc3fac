from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qraft.preprocess.fields import LARGEST, MAX_FIELDS, MAX_ITEMS, FieldFilter, lookup, numeric_fields, parse_number

ALL = FieldFilter([], [], ())


def numbers(payload: dict[str, Any], watched: FieldFilter = ALL) -> dict[str, float]:
    return numeric_fields(payload, watched)[0]


def test_numbers_and_numeric_text_are_fields_and_nothing_else() -> None:
    payload = {
        "f": 1.5,
        "i": 2,
        "text": "61837.63000000",
        "neg": " -1e-3 ",
        "no": "abc",
        "id": "1_000",
        "yes": True,
        "none": None,
        "e": "",
    }
    assert numeric_fields(payload, ALL) == ({"f": 1.5, "i": 2.0, "text": 61837.63, "neg": -0.001}, 0)


def test_nested_names_are_joined() -> None:
    payload = {"a": {"b": {"c": 1}, "d": "2.5"}, "cpu": [10, 20], "bids": [["1.0", "2"]], "x": {}}
    assert numbers(payload) == {"a.b.c": 1.0, "a.d": 2.5, "cpu.0": 10.0, "cpu.1": 20.0, "bids.0.0": 1.0, "bids.0.1": 2.0}


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "nan", "-inf", "Infinity", 1e101, -2 * LARGEST, 10**400, "1e999"]
)
def test_what_is_not_finite_or_too_large_drops_the_field_alone(value: object) -> None:
    assert numeric_fields({"bad": value, "good": 1}, ALL) == ({"good": 1.0}, 1)


def test_zero_has_one_sign() -> None:
    fields = numbers({"float": -0.0, "int": 0, "text": "-0"})
    assert [math.copysign(1.0, value) for value in fields.values()] == [1.0, 1.0, 1.0]


def test_bounds_hold() -> None:
    fields, dropped = numeric_fields({f"f{at}": at for at in range(MAX_FIELDS + 7)}, ALL)
    assert (len(fields), dropped) == (MAX_FIELDS, 7)
    assert numeric_fields({"book": [1.0] * (MAX_ITEMS + 1), "x": 1}, ALL) == ({"x": 1.0}, 1)
    deep: dict[str, Any] = {"x": 1}
    for _ in range(50):
        deep = {"a": deep}
    assert numeric_fields(deep, ALL) == ({}, 1)


def test_only_watched_fields() -> None:
    payload = {"a": 1, "b": {"c": 2, "d": 3}, "ab": 4, "t": 5, "who": 6}
    assert numbers(payload, FieldFilter(["a", "b"], [], ())) == {"a": 1.0, "b.c": 2.0, "b.d": 3.0}
    assert numbers(payload, FieldFilter(["b.c"], [], ())) == {"b.c": 2.0}
    assert numbers(payload, FieldFilter([], ["b", "ab"], ("t", "who", ""))) == {"a": 1.0}
    assert numbers(payload, FieldFilter(["a", "t"], ["a"], ("t",))) == {}


@given(st.text(max_size=80))
def test_text_is_a_number_or_not(text: str) -> None:
    number = parse_number(text)
    assert number is None or isinstance(number, float)


@given(st.floats(-1e99, 1e99))
def test_numeric_text_means_what_it_says(number: float) -> None:
    assert numbers({"x": repr(number)}) == {"x": number}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=40,
    )
)
def test_any_payload_is_taken(value: object) -> None:
    fields, dropped = numeric_fields({"x": value}, ALL)
    assert all(math.isfinite(number) for number in fields.values())
    assert dropped >= 0


def test_lookup_follows_names_dots_and_positions() -> None:
    payload = {"a.b": 1, "a": {"b": 2, "c": [{"d": 3}]}}
    assert lookup(payload, "a.b") == 1
    assert lookup(payload, "a.c.0.d") == 3
    assert lookup(payload, "a.c.9.d") is None
    assert lookup(payload, "nope.x") is None
