"""The pictures in docs/pictures are those that the program draws now; ``python -m tests.snapshots.pictures`` renews them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.snapshots.pictures import FOLDER, PICTURES, draw, text_of


@pytest.mark.parametrize("name", PICTURES)
async def test_a_picture_is_current(name: str) -> None:
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == await draw(name), "draw it anew: make pictures"
    assert ET.fromstring(kept).tag.endswith("svg")
    assert "http" not in kept.replace("http://www.w3.org/2000/svg", "").replace("http://127.0.0.1", "")
    words = text_of(kept)
    for text in PICTURES[name].tells:
        assert text in words


def test_no_picture_is_kept_that_nothing_draws() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)
