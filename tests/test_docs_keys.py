"""The docs of the terminal are current: the list of keys, and what the guide says of keys, filters, times and numbers."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC
from pathlib import Path

import pytest

from qraft.commands.keys_lines import markdown, rows
from qraft.config import parse
from qraft.filter import STATES, WORDS, parse as parse_filter
from tui import clipboard, theme
from tui.actions import BY_NAME
from tui.history import backfill, clickhouse
from tui.keymap import resolve, shown
from tui.language import Language, catalogue
from tui.pages.base import TALL, WIDE
from tui.screens.main import SMALLEST
from tui.state import clock, episodes, gaps, inbox, past, raws
from tui.state.labels import JUDGES
from tui.state.pages import PAGE_NAME, Page
from tui.state.window import parse_window
from tui.views import pipe

ROOT = Path(__file__).parents[1]
FOLDER: dict[Language, Path] = {"en": ROOT / "docs", "zh": ROOT / "docs" / "zh-CN"}
LANGUAGES = pytest.mark.parametrize("language", FOLDER)


def guide(language: Language) -> str:
    return (FOLDER[language] / "terminal.md").read_text(encoding="utf-8")


def tables(language: Language) -> list[list[list[str]]]:
    """The cells of each row of each table, without its head."""
    found = re.findall(r"^\|[- |]+\|\n((?:\|.*\|\n)+)", guide(language), re.MULTILINE)
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()] for text in found]


def codes(cell: str) -> list[str]:
    return [code.replace(r"\|", "|") for code in re.findall(r"`([^`]+)`", cell)]


@LANGUAGES
def test_the_list_of_keys_is_current(language: Language) -> None:
    made = "\n".join(markdown(rows(resolve({}), language), language)) + "\n"
    path = FOLDER[language] / "keys.md"
    assert path.read_text(encoding="utf-8") == made, "run `make docs`"


@LANGUAGES
def test_the_guide_names_screens_and_verdicts_by_their_keys(language: Language) -> None:
    words = catalogue(language)
    screens, verdicts = tables(language)[:2]
    assert len(screens) == len(Page)
    for (key, name, _), page in zip(screens, (Page.LIVE, Page.EPISODE, *list(Page)[2:]), strict=True):
        action = "enter" if page is Page.EPISODE else page.value
        assert codes(key) == [shown(BY_NAME[action].keys[0])]
        assert name == words.get(PAGE_NAME[page], PAGE_NAME[page])
    assert [codes(row[0])[0] for row in verdicts] == [BY_NAME[name].keys[0] for name in JUDGES]


@LANGUAGES
def test_the_guide_explains_every_word_of_the_filter(language: Language) -> None:
    explained = tables(language)[2]
    terms = [parse_filter(codes(row[0])[0]).terms[0] for row in explained]
    assert [term.word for term in terms] == ["text", "regex", *WORDS]
    states = codes(next(row[1] for row, term in zip(explained, terms, strict=True) if term.word == "state"))
    assert {STATES[state] for state in states} == set(STATES.values())
    for example in re.findall(r"`(state:new score>[^`]+)`", guide(language)):
        assert parse_filter(example).terms


@LANGUAGES
def test_every_time_shown_can_be_typed(language: Language) -> None:
    noon = 1_795_348_800_000_000  # 2026-11-22 12:00 UTC
    written = [time for row in tables(language)[3] for time in codes(row[0])]
    assert len(written) > 6
    for time in written:
        assert (parse_window(time, noon, UTC) is None) == (time == "now"), time


@LANGUAGES
def test_the_guide_says_the_true_numbers(language: Language) -> None:
    text = guide(language)
    for number in (
        *(episodes.MAX_EPISODES, inbox.MAX_PATTERNS, backfill.MOST_LABELS, backfill.RECENT, past.MOST_EPISODES),
        *(raws.RAW_MOST, clipboard.MAX_PAYLOAD, clipboard.KEPT_FILES, gaps.MAX_GAPS),
        *(int(clickhouse.ANSWER_SECONDS), int(clock.BUSY_RATE), int(1000 * clock.SLOW_FRAME_SECONDS)),
    ):
        assert re.search(rf"(?<![\d,]){number:,}(?![\d,])", text), number
    for size in ((WIDE, TALL), SMALLEST):
        assert f"{size[0]}×{size[1]}" in text
    for name in theme.NAMES:
        assert f"`{name}`" in text


def test_what_the_terminal_costs_is_explained_by_the_words_it_shows() -> None:
    english, chinese = ([row[0] for row in tables(language)[4]] for language in FOLDER)
    shown_names = [name for cell in english for name in cell.split(", ")]
    source = Path(pipe.__file__).read_text(encoding="utf-8")
    assert all(f't("{name}")' in source for name in shown_names)
    assert [name for cell in chinese for name in cell.split("、")] == [catalogue("zh")[name] for name in shown_names]


@LANGUAGES
def test_the_settings_shown_are_valid(language: Language) -> None:
    shown_settings = re.findall(r"^```toml\n(.*?)^```", guide(language), re.MULTILINE | re.DOTALL)
    assert len(shown_settings) == 2
    for text in shown_settings:
        settings = parse(text)
        resolve(settings.tui.keys)
        assert set(tomllib.loads(text)) == {"tui"}
