"""Pages hold together: both languages show the same, links lead somewhere, what they show as configuration is valid."""

from __future__ import annotations

import json
import re

import pytest

from qraft.config import parse
from qraft.model import decode_pattern, encode
from tests.docs.pages import PAGES, ROOT, SHELL, anchors, blocks, links, text_of, twin

MANUAL = [page for page in PAGES if page != "CONTRIBUTING.md"]
BOTH = [*PAGES, *(twin(page) for page in MANUAL)]


@pytest.mark.parametrize("page", MANUAL)
def test_both_languages_show_the_same_code(page: str) -> None:
    def bare(one: str) -> list[str]:
        return [re.sub(r" +#.*", "", block.text) for block in blocks(one)]

    assert bare(page) == bare(twin(page))


@pytest.mark.parametrize("page", MANUAL)
def test_both_languages_have_the_same_sections_tables_and_pictures(page: str) -> None:
    def shape(one: str) -> list[str]:
        text = re.sub(r"^```.*?^```", "", text_of(one), flags=re.MULTILINE | re.DOTALL)
        marks = re.findall(r"^(#+) |^(\|)[-| ]+\|$|^!\[[^\]]*\]\((?:\.\./)*([^)]*)\)", text, re.MULTILINE)
        return ["".join(mark) for mark in marks]

    assert shape(page) == shape(twin(page))


@pytest.mark.parametrize("page", BOTH)
def test_every_link_leads_somewhere(page: str) -> None:
    for target, anchor in links(page):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(str(path.resolve().relative_to(ROOT))), f"{target}#{anchor}"


@pytest.mark.parametrize("page", [page for page in MANUAL if any(block.language == "toml" for block in blocks(page))])
def test_every_configuration_shown_is_valid(page: str) -> None:
    for block in blocks(page):
        if block.language == "toml" and not re.search(
            r"^\[\[case\]\]|^\[project\]|acme_|^\[detect\.jumps\]", block.text, re.MULTILINE
        ):
            assert parse(block.text), block.line


@pytest.mark.parametrize("page", MANUAL)
def test_a_drawing_says_that_it_is_no_command(page: str) -> None:
    for block in blocks(page):
        assert block.is_shell == (block.language in SHELL), block.line


def test_the_index_names_every_page() -> None:
    for index in ("docs/README.md", "docs/zh-CN/README.md"):
        named = {target.rpartition("/")[2] for target, _ in links(index)}
        assert {page.rpartition("/")[2] for page in PAGES if page.startswith("docs/")} - {"README.md"} <= named


def test_the_first_block_is_the_two_commands() -> None:
    for page in ("README.md", twin("README.md")):
        assert [line.split("#")[0].strip() for line in blocks(page)[0].text.splitlines()] == ["make demo", "make test"]


@pytest.mark.parametrize("page", ["docs/reading-a-pattern.md", twin("docs/reading-a-pattern.md")])
def test_the_pattern_shown_is_one(page: str) -> None:
    (shown,) = [block.text for block in blocks(page) if block.language == "json"]
    assert json.loads(encode(decode_pattern(shown.encode()))) == json.loads(shown)
