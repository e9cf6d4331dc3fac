"""Events a page at a time: their cursors. What the lists hold is tested over REST (tests/api/test_api_events.py)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from qraft.store import Place, StoreRejected

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.builds(Place, st.integers(-(2**62) + 1, 2**62 - 1), TEXT, TEXT, TEXT))
def test_a_cursor_names_its_place_and_fits_a_url(place: Place) -> None:
    assert Place.read(place.cursor) == place
    assert re.fullmatch(r"[A-Za-z0-9_-]+", place.cursor)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)))
def test_whatever_else_is_refused(text: str) -> None:
    with pytest.raises(StoreRejected, match="is no cursor"):
        Place.read(text)
