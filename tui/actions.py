"""Every action, once: its keys, its words, its place. Bindings, key bar, help, palette, commands and docs come from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tui.language import N_
from tui.state.pages import Page

Group = Literal["label", "find", "time", "move", "take", "screen"]
GROUPS: Final[dict[Group, str]] = {
    "label": N_("LABEL"),
    "find": N_("FIND"),
    "time": N_("TIME"),
    "move": N_("MOVE"),
    "take": N_("TAKE AWAY"),
    "screen": N_("SCREEN"),
}
EVERYWHERE: Final = frozenset(Page)
LIVE: Final = frozenset({Page.LIVE})
LISTS: Final = frozenset({Page.LIVE, Page.HISTORY})
LABELLED: Final = LISTS | {Page.EPISODE}
IN_FULL: Final = frozenset({Page.EPISODE})
TIMED: Final = EVERYWHERE - {Page.PIPE}
PANED: Final = frozenset({Page.LIVE, Page.EPISODE, Page.SOURCES})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the operator can do.

    Attributes:
        name: the method ``action_<name>`` of the main screen, and the ``:`` command.
        keys: Textual's names of its keys, as long as the operator's keymap says nothing else.
        label: word in the key bar and the palette.
        short: the same where there is little room.
        help: one sentence for the help.
        group: where the help lists it.
        footer: place in the key bar, from 1; 0 leaves it out.
        pages: where it can be done.
        argument: what ``:name`` takes behind it; empty when nothing.
        aliases: other names as a ``:`` command.
    """

    name: str
    keys: tuple[str, ...]
    label: str
    short: str
    help: str
    group: Group
    footer: int = 0
    pages: frozenset[Page] = EVERYWHERE
    argument: str = ""
    aliases: tuple[str, ...] = ()


ACTIONS: Final[tuple[Action, ...]] = (
    Action("confirm", ("c",), N_("confirm"), N_("conf"), N_("it is real: tell me sooner next time"), "label", 2, LABELLED),
    Action(
        "false_positive",
        ("x",),
        N_("false pos"),
        N_("fp"),
        N_("false positive: raise the line, tell me later next time"),
        "label",
        3,
        LABELLED,
        aliases=("fp",),
    ),
    Action(
        "expected",
        ("e",),
        N_("expected"),
        N_("exp"),
        N_("real, but expected: a deployment, a known event"),
        "label",
        12,
        LABELLED,
    ),
    Action(
        "new_normal",
        ("b",),
        N_("new normal"),
        N_("norm"),
        N_("this is the new normal: take it as the baseline"),
        "label",
        13,
        LABELLED,
        aliases=("baseline",),
    ),
    Action(
        "mute",
        ("m",),
        N_("mute…"),
        N_("mute"),
        N_("mute: choose what and for how long; it ends by itself"),
        "label",
        5,
        LABELLED,
        argument=N_("[TIME]"),
    ),
    Action(
        "note",
        ("i",),
        N_("note…"),
        N_("note"),
        N_("write a note on the episode"),
        "label",
        14,
        LABELLED,
        argument=N_("[TEXT]"),
    ),
    Action("mark", ("v",), N_("mark"), N_("mark"), N_("mark the row; a verdict then goes to all marked"), "label", 0, LISTS),
    Action("range", ("V",), N_("mark range"), N_("rng"), N_("mark all rows from here to the cursor"), "label", 0, LISTS),
    Action(
        "undo",
        ("u",),
        N_("undo"),
        N_("undo"),
        N_("take back what you said last; on the FEEDBACK screen the row"),
        "label",
        4,
    ),
    Action("redo", ("U",), N_("redo"), N_("redo"), N_("say again what you took back last"), "label"),
    Action(
        "filter",
        ("slash",),
        N_("filter"),
        N_("filt"),
        N_("filter as you type: up recalls, tab completes, esc clears"),
        "find",
        6,
        EVERYWHERE - {Page.PIPE, Page.EPISODE},
        argument=N_("[FILTER]"),
    ),
    Action(
        "filters",
        ("F",),
        N_("filters…"),
        N_("flts"),
        N_("recall a saved filter, or save the one in force"),
        "find",
        0,
        LISTS,
        argument=N_("[NAME]"),
    ),
    Action(
        "save", (), N_("save filter"), N_("save"), N_("save the filter in force under a name"), "find", 0, LISTS, N_("NAME")
    ),
    Action("sort", ("s",), N_("sort"), N_("sort"), N_("sort by the next column"), "find", 9, LISTS | {Page.SOURCES}),
    Action("reverse", ("S",), N_("reverse"), N_("rev"), N_("turn the order round"), "find", 0, LISTS | {Page.SOURCES}),
    Action("next_new", ("n",), N_("next new"), N_("new"), N_("next episode without a verdict"), "find", 0, LISTS),
    Action("previous_new", ("N",), N_("new before"), N_("new"), N_("the one without a verdict before"), "find", 0, LISTS),
    Action("muted", ("M",), N_("show muted"), N_("muted"), N_("show muted episodes, or hide them"), "find", 0, LIVE),
    Action("refresh", ("r",), N_("refresh"), N_("refr"), N_("ask the database again"), "find"),
    Action(
        "earlier", ("left_square_bracket",), N_("earlier"), N_("earl"), N_("half a window back in time"), "time", 10, TIMED
    ),
    Action(
        "later",
        ("right_square_bracket",),
        N_("later"),
        N_("late"),
        N_("half a window forward, in the end to live"),
        "time",
        0,
        TIMED,
    ),
    Action("oldest", ("left_curly_bracket",), N_("oldest"), N_("old"), N_("the oldest that is stored"), "time", 0, TIMED),
    Action("now", ("right_curly_bracket",), N_("live"), N_("live"), N_("back to the present"), "time", 0, TIMED),
    Action("widen", ("plus",), N_("wider"), N_("wide"), N_("a longer window of time"), "time", 0, TIMED),
    Action("narrow", ("minus",), N_("narrower"), N_("narr"), N_("a shorter window of time"), "time", 0, TIMED),
    Action(
        "time",
        ("t",),
        N_("time…"),
        N_("time"),
        N_("go to a time: -15m, 10:00/+1h, 2026-11-22"),
        "time",
        11,
        TIMED,
        argument=N_("[WINDOW]"),
    ),
    Action("zone", ("T",), N_("UTC/local"), N_("zone"), N_("times in UTC or in this machine's zone"), "time"),
    Action(
        "freeze",
        ("space",),
        N_("freeze"),
        N_("frz"),
        N_("freeze the picture; what arrives meanwhile is counted"),
        "time",
        8,
    ),
    Action("step", ("full_stop",), N_("step"), N_("step"), N_("while frozen: one picture on"), "time"),
    Action("down", ("j", "down"), N_("down"), N_("dn"), N_("next row"), "move"),
    Action("up", ("k", "up"), N_("up"), N_("up"), N_("row before"), "move"),
    Action("top", ("g", "home"), N_("top"), N_("top"), N_("first row"), "move"),
    Action("bottom", ("G", "end"), N_("bottom"), N_("bot"), N_("last row"), "move"),
    Action("page_down", ("ctrl+d", "pagedown"), N_("page down"), N_("pgdn"), N_("one page down"), "move"),
    Action("page_up", ("ctrl+u", "pageup"), N_("page up"), N_("pgup"), N_("one page up"), "move"),
    Action(
        "enter",
        ("enter",),
        N_("open"),
        N_("open"),
        N_("go in: a source's episodes, an episode in full"),
        "move",
        1,
        EVERYWHERE - {Page.PIPE},
    ),
    Action("back", ("escape",), N_("back"), N_("back"), N_("one level back: zoom, pane, marks, filter, screen"), "move", 16),
    Action("before", ("ctrl+o",), N_("view before"), N_("prev"), N_("to the screen shown before this one"), "move"),
    Action("pane_1", ("1",), N_("pane 1"), "1", N_("first pane: sources on the LIVE screen"), "move", 0, PANED),
    Action("pane_2", ("2",), N_("pane 2"), "2", N_("second pane: episodes on the LIVE screen"), "move", 0, PANED),
    Action("pane_3", ("3",), N_("pane 3"), "3", N_("third pane: detail on the LIVE screen"), "move", 0, PANED),
    Action("pane_4", ("4",), N_("pane 4"), "4", N_("fourth pane: what was said, on the EPISODE screen"), "move", 0, IN_FULL),
    Action("pane_5", ("5",), N_("pane 5"), "5", N_("fifth pane: those like it, on the EPISODE screen"), "move", 0, IN_FULL),
    Action("next_pane", ("tab",), N_("pane"), N_("pane"), N_("next pane"), "move", 15, PANED | {Page.FEEDBACK}),
    Action(
        "previous_pane",
        ("shift+tab",),
        N_("pane before"),
        N_("prev"),
        N_("pane before"),
        "move",
        0,
        PANED | {Page.FEEDBACK},
    ),
    Action("zoom", ("z",), N_("zoom"), N_("zoom"), N_("give the pane the whole screen, or take it back"), "move", 0, PANED),
    Action(
        "copy_id",
        ("y",),
        N_("copy id"),
        N_("copy"),
        N_("copy the id under the cursor"),
        "take",
        17,
        LABELLED | {Page.FEEDBACK},
    ),
    Action(
        "copy_json",
        ("Y",),
        N_("copy JSON"),
        N_("json"),
        N_("copy the pattern under the cursor as JSON"),
        "take",
        0,
        LABELLED | {Page.FEEDBACK},
    ),
    Action(
        "copy_sql",
        ("ctrl+y",),
        N_("copy SQL"),
        N_("sql"),
        N_("copy the ClickHouse query of this view"),
        "take",
        0,
        TIMED,
        aliases=("sql",),
    ),
    Action(
        "export",
        ("E",),
        N_("export…"),
        N_("exp"),
        N_("write the filtered episodes to a CSV or Parquet file"),
        "take",
        0,
        LISTS,
        argument=N_("[FILE]"),
    ),
    Action("live", ("L",), N_("LIVE"), N_("live"), N_("what happens now"), "screen"),
    Action("sources", ("O",), N_("SOURCES"), N_("src"), N_("every source: health, lag, losses, fields"), "screen"),
    Action("history", ("H",), N_("HISTORY"), N_("hist"), N_("everything stored, any time, same filter"), "screen"),
    Action("feedback", ("B",), N_("FEEDBACK"), N_("fdbk"), N_("what was said, by whom, and the mutes"), "screen"),
    Action("pipe", ("P",), N_("PIPE"), N_("pipe"), N_("engine, NATS, ClickHouse and this terminal's own cost"), "screen"),
    Action("command", ("colon",), N_("command"), N_("cmd"), N_("any action by its name"), "screen", 18),
    Action("palette", ("ctrl+p",), N_("palette"), N_("pal"), N_("find an action, a screen or a source by typing"), "screen"),
    Action(
        "theme",
        (),
        N_("theme"),
        N_("thm"),
        N_("dark, light, ansi, deuteranopia, tritanopia, mono"),
        "screen",
        0,
        argument=N_("NAME"),
    ),
    Action("language", (), N_("language"), N_("lang"), N_("en or zh"), "screen", 0, argument=N_("NAME"), aliases=("lang",)),
    Action(
        "help",
        ("question_mark", "f1"),
        N_("help"),
        N_("help"),
        N_("these keys, and why some can do nothing now"),
        "screen",
        7,
    ),
    Action("suspend", ("ctrl+z",), N_("suspend"), N_("susp"), N_("back to the shell; fg brings it back"), "screen"),
    Action("leave", ("q",), N_("quit"), N_("quit"), N_("from LIVE quit, from elsewhere back to LIVE"), "screen", 19),
    Action("quit", ("ctrl+c",), N_("quit now"), N_("quit"), N_("quit; what is not sent yet is kept"), "screen"),
)
BY_NAME: Final = {a.name: a for a in ACTIONS}
FOOTER: Final = tuple(sorted((a for a in ACTIONS if a.footer), key=lambda a: a.footer))
