"""The registry of actions and everything that is made from it: none may say anything else."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.binding import Binding

from qraft.model import EngineStats, Feedback, Pattern, SourceStats
from tui.actions import ACTIONS, BY_NAME, FOOTER, GROUPS, Action
from tui.keymap import resolve, shown, shown_all
from tui.screens import keys_find, keys_label, keys_move, keys_screen, keys_take, keys_time
from tui.screens.keys import bindings
from tui.screens.keys_screen import NAMES
from tui.screens.main import MainScreen, with_keys
from tui.state.episodes import Episodes
from tui.state.inbox import Batch
from tui.state.labels import JUDGES, scopes
from tui.state.pages import Page, Pane
from tui.state.session import Session
from tui.state.window import DEFAULT_US, last
from tui.views import help as help_view
from tui.views.key_bar import key_bar
from tui.views.text import plain

KEYMAP = resolve({})
MakePattern = Callable[..., Pattern]
Fold = Callable[..., None]
SHARED = (keys_find, keys_label, keys_move, keys_screen, keys_take, keys_time)


def said(session: Session, width: int = 90) -> str:
    """The help in one line."""
    return " ".join(" ".join(plain(line).split()) for line in help_view.lines(session, KEYMAP, width))


# --- the table


def test_no_key_and_no_name_is_given_twice() -> None:
    assert max(Counter(key for a in ACTIONS for key in a.keys).values()) == 1
    assert max(Counter(name for a in ACTIONS for name in (a.name, *a.aliases)).values()) == 1
    assert max(Counter(a.footer for a in FOOTER).values()) == 1


def test_every_action_has_a_place_words_and_a_screen() -> None:
    for a in ACTIONS:
        assert a.pages
        assert a.group in GROUPS
        assert a.label
        assert a.help
        assert len(a.short) <= 5
        assert a.name.isidentifier()


def test_no_default_on_keys_that_multiplexers_take() -> None:
    assert not {"ctrl+j", "ctrl+s", "ctrl+b", "ctrl+a"} & {key for a in ACTIONS for key in a.keys}


# --- what is made from it


def test_bindings_are_exactly_the_keymaps() -> None:
    for changes in ({}, {"confirm": ["f6", "f7"], "muted": "", "theme": "f8"}):
        keymap = resolve(changes)
        made = [(b.key, b.action) for b in bindings(keymap) if isinstance(b, Binding)]
        assert sorted(made) == sorted((key, f"do('{name}')") for name, keys in keymap.items() for key in keys)
        assert bindings(keymap) == with_keys(keymap).BINDINGS


def test_every_action_has_its_method_and_every_method_its_action() -> None:
    methods = {name.removeprefix("do_") for name in dir(MainScreen) if name.startswith("do_")}
    assert methods == set(BY_NAME)
    for module in SHARED:
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("do_")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: a.name)
def test_a_method_takes_what_its_action_says(action: Action) -> None:
    """One in square brackets may be left out, any other must be given."""
    taken = list(inspect.signature(getattr(MainScreen, f"do_{action.name}")).parameters.values())[1:]
    if not action.argument and action.name != "command":
        assert not taken
    else:
        (one,) = taken
        must = bool(action.argument) and not action.argument.startswith("[")
        assert (one.default is inspect.Parameter.empty) is must


def test_commands_are_the_names_and_their_other_names() -> None:
    assert {name: a.name for name, a in NAMES.items()} == {n: a.name for a in ACTIONS for n in (a.name, *a.aliases)}


def test_the_help_lists_every_action_with_its_keys(session: Session) -> None:
    for width in (116, 76, 56):
        text = said(session, width)
        assert all(title in text for title in GROUPS.values())
    rows = [plain(line) for line in help_view.lines(session, KEYMAP, 90)]
    for action in ACTIONS:
        keys = shown_all(action.keys) or f":{action.name}"
        row = next(row for row in rows if row.startswith(keys + " ") and (row[15:25] in action.help or action.label in row))
        assert row
    assert sum(1 for row in rows if row[:14].strip() and row[14:].strip()) >= len(ACTIONS)


def test_the_help_gives_the_reason_of_what_cannot_be_done(session: Session) -> None:
    assert "not now: there is no episode yet" in said(session)
    assert "not now: nothing was taken back" in said(session)


def test_the_help_and_the_key_bar_show_the_operators_own_keys(session: Session) -> None:
    keymap = resolve({"confirm": "f6", "mute": "", "undo": ["ctrl+x", "f7"]})
    rows = [plain(line) for line in help_view.lines(session, keymap, 90)]
    for start in ("f6  ", ":mute  ", "ctrl+x f7  "):
        assert any(row.startswith(start) for row in rows), start
    bar = plain(key_bar(session, keymap, 300))
    assert " f6 confirm " in bar
    assert "mute" not in bar
    assert " ctrl+x undo " in bar


@pytest.mark.parametrize("page", Page)
def test_the_key_bar_shows_the_footers_actions_of_the_screen_in_order(session: Session, page: Page) -> None:
    session.page = page
    text = plain(key_bar(session, KEYMAP, 400))
    pieces = [(a, f" {shown(KEYMAP[a.name][0])} {a.label} ") for a in FOOTER]
    places = [text.index(piece) for a, piece in pieces if page in a.pages]
    assert places == sorted(places)
    assert not [a.name for a, piece in pieces if page not in a.pages and piece in text]


def test_a_narrow_key_bar_keeps_verdicts_and_help(session: Session) -> None:
    for width in (80, 60):
        text = plain(key_bar(session, KEYMAP, width))
        assert len(text) == width
        for key in ("c conf", "x fp", "u undo", "? help"):
            assert key in text


# --- reasons


def situations(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> list[Callable[[], None]]:
    """Steps that bring a session from one state into the next."""
    source = SourceStats(source="host")

    def heard() -> None:
        session.fold(Batch(stats=[EngineStats(engine="main", timestamp="", state="running", sources=[source])]), now_us)
        feed(make_pattern(), make_pattern(source="market"))

    return [
        lambda: None,
        heard,
        lambda: session.labels.judge("confirmed", now_us),
        lambda: session.labels.undo(now_us),
        lambda: session.toggle_freeze(now_us),
        lambda: session.board.toggle_mark(now_us),
        lambda: session.open(session.board.rows[0]),
        lambda: session.show_window(last(DEFAULT_US, now_us), now_us),
    ]


def test_in_every_state_an_action_has_no_reason_or_one_that_is_a_sentence(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    seen = set()
    for step in situations(session, feed, make_pattern, now_us):
        step()
        session.frame(now_us)
        for page in Page:
            session.page = page
            for pane in Pane:
                session.pane = pane
                for action in ACTIONS:
                    reason = session.reason(action.name)
                    seen.add(reason)
                    if page not in action.pages:
                        assert reason.startswith("not on this screen; it works on "), (action.name, page)
                    if reason:
                        assert reason == " ".join(reason.split())
                        assert reason[0].islower()
                        assert not reason.endswith(".")
                        assert len(reason.split()) > 2
                        assert not set("{}") & set(reason) or "press }" in reason
    assert len(seen) > 12


def test_what_needs_an_episode_never_goes_without_one(session: Session, feed: Fold, make_pattern: MakePattern) -> None:
    """Wherever a judging key has no reason against it, there is something it is given on."""
    for there in (False, True):
        if there:
            feed(make_pattern())
        for page in Page:
            session.page = page
            for pane in Pane:
                session.pane = pane
                for name in (*JUDGES, "mute", "note"):
                    assert session.reason(name) or session.targets, (name, page, pane)
                if page in (Page.LIVE, Page.HISTORY) and not session.reason("enter") and pane is not Pane.SOURCES:
                    assert session.selected


def test_on_the_feedback_screen_copies_need_a_row(session: Session, feed: Fold, make_pattern: MakePattern) -> None:
    feed(make_pattern())
    session.go(Page.FEEDBACK)
    assert session.reason("copy_id") == session.reason("enter") == "nothing was said yet"
    assert "not on this screen" in session.reason("confirm")


# --- scopes of a mute


def test_scopes_go_from_narrow_to_wide_and_each_covers_the_episode(make_pattern: MakePattern, now_us: int) -> None:
    from qraft.model import iso_from_us
    from tui.state.mutes import Mutes

    for entity in ("", "BTC-USD"):
        episode = Episodes().add(make_pattern(source="market", entity=entity, type="cluster_change"), now_us)
        assert episode is not None
        offered = scopes(episode)
        assert len(offered) == (5 if entity else 3)
        assert len({words for words, _ in offered}) == len(offered)
        for words, scope in offered:
            mutes = Mutes()
            mutes.add(
                Feedback(
                    feedback_id="m",
                    pattern_id="p",
                    verdict="mute",
                    timestamp=iso_from_us(now_us),
                    source="market",
                    user="me",
                    scope=scope,
                    until=iso_from_us(now_us + 1_000_000),
                )
            )
            assert mutes.covers(episode.source, episode.entity, episode.type, episode.detector, now_us), words
        if entity:
            assert [words for words, _ in offered] == [
                "cluster change of market/BTC-USD by drift",
                "everything of market/BTC-USD",
                "cluster change of market by drift",
                "everything of market",
                "cluster change by drift, whatever the source",
            ]
