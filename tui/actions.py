"""Every action, once: its keys, its words, its place. Bindings, the key bar and the help are made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Group = Literal["judge", "find", "move", "screen"]
GROUPS: Final[tuple[Group, ...]] = ("judge", "find", "move", "screen")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the operator can do.

    Attributes:
        name: the method ``action_<name>`` of the live screen.
        keys: Textual's names of its keys.
        shown: the keys as people write them.
        label: word in the key bar.
        short: the same where there is little room.
        help: one sentence for the help.
        group: where the help lists it.
        footer: place in the key bar, from 1; 0 leaves it out.
    """

    name: str
    keys: tuple[str, ...]
    shown: str
    label: str
    short: str
    help: str
    group: Group
    footer: int = 0

    @property
    def footer_key(self) -> str:
        """The first of its keys, as the key bar shows it."""
        return self.shown.split()[0]


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "confirm", ("c",), "c", "confirm", "conf", "confirm the episode: it is real, tell me sooner next time", "judge", 2
    ),
    Action(
        "false_positive",
        ("x",),
        "x",
        "false pos",
        "fp",
        "false positive: raise the line, tell me later next time",
        "judge",
        3,
    ),
    Action("undo", ("u",), "u", "undo", "undo", "take back your last verdict", "judge", 4),
    Action("filter", ("slash",), "/", "filter", "filt", "filter the episodes as you type; esc clears", "find", 5),
    Action("sort", ("s",), "s", "sort", "sort", "sort the pane by its next column", "find", 8),
    Action("reverse", ("S",), "S", "reverse", "rev", "turn the order round", "find"),
    Action("down", ("j", "down"), "j ↓", "down", "dn", "next row", "move"),
    Action("up", ("k", "up"), "k ↑", "up", "up", "row before", "move"),
    Action("top", ("g", "home"), "g home", "top", "top", "first row: the newest", "move"),
    Action("bottom", ("G", "end"), "G end", "bottom", "bot", "last row", "move"),
    Action("page_down", ("ctrl+d", "pagedown"), "ctrl+d pgdn", "page down", "pgdn", "one page down", "move"),
    Action("page_up", ("ctrl+u", "pageup"), "ctrl+u pgup", "page up", "pgup", "one page up", "move"),
    Action("enter", ("enter",), "enter", "open", "open", "go in: a source's episodes, an episode in full", "move", 1),
    Action("back", ("escape",), "esc", "back", "back", "one level back: help, zoom, pane, filter", "move", 10),
    Action("pane_1", ("1",), "1", "sources", "src", "sources", "screen"),
    Action("pane_2", ("2",), "2", "episodes", "epi", "episodes", "screen"),
    Action("pane_3", ("3",), "3", "detail", "det", "detail", "screen"),
    Action("next_pane", ("tab",), "tab", "pane", "pane", "next pane", "screen", 9),
    Action("previous_pane", ("shift+tab",), "shift+tab", "pane before", "prev", "pane before", "screen"),
    Action("zoom", ("z",), "z", "zoom", "zoom", "give the pane the whole screen, or take it back", "screen"),
    Action(
        "freeze", ("space",), "space", "freeze", "frz", "freeze the picture; what arrives meanwhile is counted", "screen", 7
    ),
    Action("help", ("question_mark", "f1"), "? f1", "help", "help", "this help", "screen", 6),
    Action("quit", ("q", "ctrl+c"), "q ctrl+c", "quit", "quit", "quit; verdicts not sent yet are kept", "screen", 11),
)
FOOTER: Final = tuple(sorted((a for a in ACTIONS if a.footer), key=lambda a: a.footer))
