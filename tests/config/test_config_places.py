"""Where each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from typing import Any

import tomli_w
from hypothesis import given, strategies as st

from qraft.config.places import key_lines

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES: Any = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def test_tables_dotted_and_quoted_keys() -> None:
    text = 'a = 1\n[b."c d"]\ne.f = 2 # = \n\n[b]\n[[g]]\nh = 1\n[[g]]\nh = 2\n'
    assert key_lines(text) == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c d"): 2,
        ("b", "c d", "e"): 3,
        ("b", "c d", "e", "f"): 3,
        ("g",): 6,
        ("g", "0"): 6,
        ("g", "0", "h"): 7,
        ("g", "1"): 8,
        ("g", "1", "h"): 9,
    }


def test_tables_below_an_array_belong_to_its_last_element() -> None:
    text = "[[a.b]]\nx = 1\n[a.b.c]\ny = 2\n[[a.b]]\n[a.b.c]\ny = 3\n[[a.b.d]]\nz = 4\n[[a.b.d]]\nz = 5\n"
    assert key_lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", "0"): 1,
        ("a", "b", "0", "x"): 2,
        ("a", "b", "0", "c"): 3,
        ("a", "b", "0", "c", "y"): 4,
        ("a", "b", "1"): 5,
        ("a", "b", "1", "c"): 6,
        ("a", "b", "1", "c", "y"): 7,
        ("a", "b", "1", "d"): 8,
        ("a", "b", "1", "d", "0"): 8,
        ("a", "b", "1", "d", "0", "z"): 9,
        ("a", "b", "1", "d", "1"): 10,
        ("a", "b", "1", "d", "1", "z"): 11,
    }


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_key_stands_where_its_text_is(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document, multiline_strings=True)
    tomllib.loads(text)
    lines = key_lines(text)
    rows = text.split("\n")
    for key in document:
        assert (key,) in lines
        start = rows[lines[key,] - 1].lstrip("[")
        assert start.startswith((key, tomli_w.dumps({key: 0}).split(" = ")[0]))
