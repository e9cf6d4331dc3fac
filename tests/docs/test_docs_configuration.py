"""The reference of the configuration is current in both languages, complete, and fully translated."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from qraft.config import Settings
from qraft.config.detect import BuiltInDetectors
from qraft.config.sources import BUILT_IN
from tests.docs.pages import ROOT, text_of, twin

PAGE = "docs/configuration.md"
MADE = runpy.run_path(str(ROOT / "docs" / "generate.py"))
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[str, Any]]:
    made: dict[str, tuple[str, Any]] = MADE["pages"]()
    return made


@LANGUAGES
def test_the_page_is_current(pages: dict[str, tuple[str, Any]], language: str) -> None:
    page = PAGE if language == "en" else twin(PAGE)
    assert text_of(page) == pages[language][0], "run `make docs`"


@LANGUAGES
def test_every_sentence_has_its_words_and_none_is_left_over(pages: dict[str, tuple[str, Any]], language: str) -> None:
    words = pages[language][1]
    assert words.missing == [], "add them to docs/words/configuration.zh.toml"
    assert words.stale == []


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section and all sections below it."""
    yield model
    for field in model.model_fields.values():
        inner = MADE["_model"](field.annotation)
        if inner is not None and not issubclass(inner, BuiltInDetectors):
            yield from models(inner)


def test_every_key_of_every_section_has_a_row() -> None:
    shown = text_of(PAGE)
    roots = [Settings, BuiltInDetectors, *BUILT_IN.values()]
    for model in {one for root in roots for one in models(root)}:
        for name, field in model.model_fields.items():
            if not isinstance(field.default, BaseModel) and name not in ("sources", "adapter"):
                assert f"\n| `{name}` | " in shown, f"{model.__name__}.{name}"


def test_every_key_says_what_it_does() -> None:
    bare = [line for line in text_of(PAGE).splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert bare == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (0.002, "0.002"),
        ('a "b"', "'a \"b\"'"),
        ([], "[]"),
        ([{"a": "*"}], '[{ a = "*" }]'),
        ({}, "{}"),
    ],
)
def test_values_are_written_as_toml(value: object, written: str) -> None:
    import tomllib

    said = MADE["toml"](value)
    assert tomllib.loads(f"x = {said}")["x"] == value
    assert said == written or tomllib.loads(f"x = {written}")["x"] == value
