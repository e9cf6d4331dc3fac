from __future__ import annotations

from collections import Counter

from tui.actions import ACTIONS, FOOTER, GROUPS
from tui.screens.live_actions import LiveActions, bindings
from tui.state.session import Session
from tui.views import help as help_view
from tui.views.key_bar import key_bar
from tui.views.text import plain


def test_bindings_are_exactly_the_registrys() -> None:
    made = {(b.key, b.action) for b in LiveActions.BINDINGS}  # type: ignore[union-attr]  # all are Binding
    assert made == {(key, a.name) for a in ACTIONS for key in a.keys}
    assert len(bindings()) == len(made)


def test_every_action_has_its_method_and_every_method_its_action() -> None:
    methods = {name.removeprefix("action_") for name in vars(LiveActions) if name.startswith("action_")}
    assert methods == {a.name for a in ACTIONS}


def test_no_key_and_no_name_is_given_twice() -> None:
    assert max(Counter(key for a in ACTIONS for key in a.keys).values()) == 1
    assert max(Counter(a.name for a in ACTIONS).values()) == 1
    assert max(Counter(a.footer for a in FOOTER).values()) == 1


def test_no_default_on_keys_that_multiplexers_take() -> None:
    assert not {"ctrl+j", "ctrl+s", "ctrl+b", "ctrl+a"} & {key for a in ACTIONS for key in a.keys}


def test_the_help_lists_every_action_with_its_keys(session: Session) -> None:
    for width in (116, 76, 56):
        text = "\n".join(plain(line) for line in help_view.lines(session, width))
        for group in GROUPS:
            assert group.upper() in text
        for action in ACTIONS:
            row = next(line for line in help_view.lines(session, 76) if plain(line).startswith(action.shown))
            assert plain(row)[15:].strip() in f"{action.help} (not now: {session.reason(action.name)})"


def test_the_help_gives_the_reason_of_what_cannot_be_done(session: Session) -> None:
    text = " ".join(plain(line).strip() for line in help_view.lines(session, 90))
    assert "not now: there is no episode to judge yet" in " ".join(text.split())


def test_the_key_bar_shows_the_footers_actions_in_order(session: Session) -> None:
    text = plain(key_bar(session, 200))
    places = [text.index(f" {a.footer_key} {a.label} ") for a in FOOTER]
    assert places == sorted(places)


def test_a_narrow_key_bar_keeps_verdicts_and_help(session: Session) -> None:
    for width in (80, 60):
        text = plain(key_bar(session, width))
        assert len(text) == width
        for key in ("c conf", "x fp", "u undo", "? help"):
            assert key in text
