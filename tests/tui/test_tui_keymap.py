"""Which keys do what, by default and as an operator wants it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tui.actions import ACTIONS, BY_NAME
from tui.keymap import ALWAYS, SHOWN, KeymapError, resolve, shown, shown_all

NAMES = [a.name for a in ACTIONS]
KEYS = [*SHOWN, *SHOWN.values(), *"abcxyzABC123é", "enter", "tab", "space", "f5", "ctrl+x", "ctrl+alt+p", "shift+tab", ""]


def test_without_changes_the_keys_are_the_registrys_and_none_is_given_twice() -> None:
    keys = resolve({})
    assert keys == {a.name: a.keys for a in ACTIONS}
    assert max(Counter(key for given in keys.values() for key in given).values()) == 1


def test_every_key_of_the_registry_can_be_written_as_it_is_shown() -> None:
    for action in ACTIONS:
        for key in action.keys:
            assert resolve({action.name: shown(key)})[action.name] == (key,)
            assert resolve({action.name: key})[action.name] == (key,)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("?", "question_mark"), ("+", "plus"), ("ctrl++", "ctrl+plus"), ("[", "left_square_bracket"), ("X", "X"),
        ("ctrl+x", "ctrl+x"), ("f12", "f12"), ("pgdn", "pagedown"), ("esc", "escape"), ("space", "space"), ("ü", "ü"),
        ("-", "minus"), ("ctrl+alt+-", "ctrl+alt+minus"), ("↓", "down"),
    ],
)  # fmt: skip
def test_a_key_is_written_as_people_do(written: str, key: str) -> None:
    changes = {name: "" for name in NAMES if name not in ALWAYS}
    assert resolve({**changes, "quit": "f9", "back": "f10", "enter": "f11", "confirm": written})["confirm"] == (key,)
    assert shown(key) == written


def test_an_action_may_have_several_keys_or_none() -> None:
    keys = resolve({"confirm": ["f6", "ctrl+x"], "muted": "", "zone": []})
    assert (keys["confirm"], keys["muted"], keys["zone"]) == (("f6", "ctrl+x"), (), ())
    assert shown_all(keys["confirm"]) == "f6 ctrl+x"
    assert shown_all(keys["down"]) == "j ↓"


def test_two_actions_may_change_places() -> None:
    keys = resolve({"confirm": "x", "false_positive": "c"})
    assert (keys["confirm"], keys["false_positive"]) == (("x",), ("c",))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"confirn": "f6"}, 'tui.keys: unknown action "confirn"; did you mean "confirm"?'),
        ({"zzzz": "f6"}, 'tui.keys: unknown action "zzzz"'),
        ({"confirm": "x"}, 'tui.keys: "x" is given to both false_positive and confirm; give one of them another key'),
        ({"confirm": "f6", "mute": ["f7", "f6"]}, '"f6" is given to both confirm and mute'),
        ({"help": "/"}, '"/" is given to both filter and help'),
        ({"quit": ""}, "tui.keys.quit: needs a key"),
        ({"back": []}, "tui.keys.back: needs a key"),
        ({"confirm": "nope"}, 'tui.keys.confirm: "nope" is no key; write for example x, X, ?, f5, ctrl+x or pgdn'),
        ({"confirm": "hyper+x"}, '"hyper+x" is no key'),
        ({"confirm": "\x07"}, "is no key"),
        ({"confirm": "f13"}, '"f13" is no key'),
        ({"confirm": "ctrl+m"}, 'tui.keys.confirm: "ctrl+m" never arrives, terminals send it for enter'),
    ],
)
def test_what_cannot_be_used_is_told_with_the_remedy(changes: dict[str, str | list[str]], said: str) -> None:
    with pytest.raises(KeymapError) as caught:
        resolve(changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KEYS) | st.lists(st.sampled_from(KEYS), max_size=3)))
def test_a_keymap_is_free_of_clashes_or_refused(changes: dict[str, str | list[str]]) -> None:
    try:
        keys = resolve(changes)
    except KeymapError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert refused.startswith("tui.keys")
        return
    assert set(keys) == set(BY_NAME)
    owners: dict[str, set[str]] = {}
    for name, given_keys in keys.items():
        for key in given_keys:
            owners.setdefault(key, set()).add(name)
    assert all(len(names) == 1 for names in owners.values())
    assert all(keys[name] for name in ALWAYS)
    assert all(keys[name] == BY_NAME[name].keys for name in NAMES if name not in changes)
