"""What the READMEs and the guide to the terminal show exists: commands, options, configuration; in both languages alike."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from qraft.cli import app
from qraft.config import parse

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "README.zh-CN.md")
GUIDES = ("docs/terminal.md", "docs/zh-CN/terminal.md")


def blocks(page: str) -> list[tuple[str, str]]:
    """Each block of code: its language, its text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Each call of qraft, as words."""
    lines = [line for language, text in blocks(page) if not language for line in text.splitlines()]
    return [shlex.split(found[1], comments=True) for line in lines if (found := re.search(r"(?:^|\| )qraft (.*)", line))]


@pytest.mark.parametrize("page", [*PAGES, *GUIDES])
def test_every_command_shown_can_be_given(page: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    shown = commands(page)
    assert len(shown) > 5
    for words in shown:
        command = group.commands[words[0]]
        if isinstance(command, typer.core.TyperGroup) and words[1:] and not words[1].startswith("-"):
            command = command.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[1:] if word.startswith("-")} <= known, words
    named = set(re.findall(r"`qraft (\w+)", (ROOT / page).read_text(encoding="utf-8")))
    assert named <= set(group.commands)


@pytest.mark.parametrize("page", PAGES)
def test_every_configuration_shown_is_valid(page: str) -> None:
    shown = [text for language, text in blocks(page) if language == "toml"]
    assert len(shown) == 5
    for text in shown:
        assert parse(text).sources


@pytest.mark.parametrize("pages", [PAGES, GUIDES])
def test_both_languages_show_the_same(pages: tuple[str, str]) -> None:
    def bare(page: str) -> list[str]:
        return [re.sub(r" +#.*", "", text) for _, text in blocks(page)]

    assert bare(pages[0]) == bare(pages[1])


def test_the_first_block_is_the_two_commands() -> None:
    for page in PAGES:
        assert [line.split("#")[0].strip() for line in blocks(page)[0][1].splitlines()] == ["make demo", "make test"]
        for target in ("demo", "test"):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
