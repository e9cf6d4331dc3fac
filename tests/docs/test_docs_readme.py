"""The README: short, first what it is, a table with every command and every subcommand that it names."""

from __future__ import annotations

import re

import pytest
import typer

from qraft.cli import app
from tests.docs.pages import text_of, twin

BOTH = pytest.mark.parametrize("page", ["README.md", twin("README.md")])
MOST_LINES = 250


@BOTH
def test_it_is_short_and_says_first_what_it_is(page: str) -> None:
    text = text_of(page)
    assert len(text.splitlines()) <= MOST_LINES
    begin = text.index("\n\n") + 2
    first = text[begin : text.index("\n\n", begin)]
    assert first.startswith("Qraft")
    assert len(re.findall(r"\.(?:\s|$)|。", first)) == 3
    assert text.index("![") < text.index("```") < text.index("\n## ")


@BOTH
def test_every_command_stands_in_the_table(page: str) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    rows = [row for row in text_of(page).splitlines() if row.startswith("| `qraft ")]
    told = [name for row in rows for name in re.findall(r"`qraft (\w+)`", row.split("|")[1])]
    assert sorted(told) == sorted(name for name, command in group.commands.items() if not command.hidden)
    for row in rows:
        for name in re.findall(r"`qraft (\w+)`", row.split("|")[1]):
            command = group.commands[name]
            if isinstance(command, typer.core.TyperGroup) and command.commands.keys() - {"list"}:
                assert {one for one in command.commands if f"`{one}`" not in row} <= {"list"}, row
