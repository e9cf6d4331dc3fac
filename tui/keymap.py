"""Which keys do what: the registry's own, changed by the operator's ``[tui.keys]``, checked for clashes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from tui.actions import ACTIONS, BY_NAME

Keymap = Mapping[str, tuple[str, ...]]

SHOWN: Final = {
    "slash": "/", "question_mark": "?", "colon": ":", "left_square_bracket": "[", "right_square_bracket": "]",
    "left_curly_bracket": "{", "right_curly_bracket": "}", "plus": "+", "minus": "-", "full_stop": ".", "escape": "esc",
    "pagedown": "pgdn", "pageup": "pgup", "down": "↓", "up": "↑", "left": "←", "right": "→", "comma": ",", "semicolon": ";",
    "exclamation_mark": "!", "equals_sign": "=", "underscore": "_", "tilde": "~", "at": "@", "number_sign": "#",
    "dollar_sign": "$", "percent_sign": "%", "ampersand": "&", "asterisk": "*", "less_than_sign": "<",
    "greater_than_sign": ">", "vertical_line": "|", "backslash": "\\", "apostrophe": "'", "quotation_mark": '"',
    "grave_accent": "`", "circumflex_accent": "^", "left_parenthesis": "(", "right_parenthesis": ")",
}  # fmt: skip
"""Textual's names of keys, as people write them."""
_NAMED: Final = {shown: name for name, shown in SHOWN.items()}
_NAMES: Final = (
    frozenset(SHOWN)
    | {"enter", "tab", "space", "backspace", "delete", "insert", "home", "end"}
    | {f"f{n}" for n in range(1, 13)}
)
_TAKEN: Final = {
    "ctrl+j": "terminals send it for enter",
    "ctrl+m": "terminals send it for enter",
    "ctrl+i": "terminals send it for tab",
    "ctrl+h": "terminals send it for backspace",
}
ALWAYS: Final = ("quit", "back", "enter")
"""Actions without which one is lost: they must keep a key."""


class KeymapError(ValueError):
    """A keymap that cannot be used; the text names the action or the key and what to do."""


def resolve(changes: Mapping[str, str | Sequence[str]]) -> Keymap:
    """The keys of every action.

    Args:
        changes: by action, its key or keys in place of the registry's; none with an empty text or list. A key is written as
            people do (``?``, ``ctrl+x``, ``f5``) or as Textual does (``question_mark``).

    Raises:
        KeymapError: an action or key is unknown, a key is given twice, or an action one cannot do without has none.
    """
    for name in changes:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, 1, 0.5)
            raise KeymapError(f'tui.keys: unknown action "{name}"' + (f'; did you mean "{near[0]}"?' if near else ""))
    keys = {a.name: a.keys for a in ACTIONS}
    for name, wanted in changes.items():
        listed = [wanted] if isinstance(wanted, str) else list(wanted)
        keys[name] = tuple(_key(name, key) for key in listed if key)
    owner: dict[str, str] = {}
    for name, given in keys.items():
        for key in given:
            if key in owner and owner[key] != name:
                one, other = sorted((owner[key], name), key=lambda n: n in changes)
                raise KeymapError(
                    f'tui.keys: "{shown(key)}" is given to both {one} and {other}; give one of them another key'
                )
            owner[key] = name
    for name in ALWAYS:
        if not keys[name]:
            raise KeymapError(f"tui.keys.{name}: needs a key")
    return keys


def shown(key: str) -> str:
    """A key as people write it."""
    *held, last = key.split("+") if key != "plus" else ["plus"]
    return "+".join([*held, SHOWN.get(last, last)])


def shown_all(keys: Sequence[str]) -> str:
    """Keys as people write them."""
    return " ".join(shown(key) for key in keys)


def _key(action: str, text: str) -> str:
    """Textual's name of a key."""
    *held, last = text.split("+") if text != "+" and not text.endswith("++") else [*text.split("+")[:-2], "+"]
    name = _NAMED.get(last, last)
    known = name in _NAMES or (len(name) == 1 and name.isprintable())
    if not known or any(h not in ("ctrl", "shift", "alt") for h in held):
        raise KeymapError(f'tui.keys.{action}: "{text}" is no key; write for example x, X, ?, f5, ctrl+x or pgdn')
    key = "+".join([*held, name])
    if key in _TAKEN:
        raise KeymapError(f'tui.keys.{action}: "{text}" never arrives, {_TAKEN[key]}')
    return key
