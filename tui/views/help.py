"""The help: every action of the registry by group, those that can do nothing now with the reason."""

from __future__ import annotations

from tui.actions import ACTIONS, GROUPS, Group
from tui.keymap import Keymap, shown_all
from tui.language import N_, t
from tui.state.pages import PAGE_NAME, Page
from tui.state.session import Session
from tui.views.text import Line, Span, fit, width_of, wrap

LEGEND = (
    N_("▲ anomaly   ≈ drift   ◆ cluster change"),
    N_("● well / stored   ◌ not yet / unsent   ○ lost   ! failed"),
)
FILTER_HELP = (
    ("btc", N_("text anywhere: source, kind, field, sentence")),
    ("!btc", N_("all but that; ! goes with every word")),
    ("/btc|eth/", N_("regular expression")),
    ("kind:drift,anomaly", N_("kind: drift, anomaly, cluster")),
    ("what:mean", N_("what was found: mean, variance, silence, …")),
    ("src:bin*", N_("source or source/entity")),
    ("field:cpu*", N_("a field that shares in it")),
    ("det:drift", N_("detector")),
    ("score>.7", N_("confidence; also <, >=, <=, =")),
    ("n>=10", N_("patterns in the episode")),
    ("age<5m", N_("event time before now: s, m, h, d")),
    ("state:new,unsent", N_("new, confirmed, fp, expected, normal, unsent")),
    ("by:ann", N_("who gave the verdict")),
)


def lines(session: Session, keymap: Keymap, width: int) -> list[Line]:
    """The help in ``width`` cells: two columns where they fit."""
    column = width if width < 96 else (width - 4) // 2
    groups = [_group(group, session, keymap, column) for group in GROUPS]
    groups.append(_elsewhere(session, keymap, column))
    filters = _filters(column)
    if width < 96:
        out: list[Line] = []
        for block in (b for b in [*groups, filters] if b):
            out += [*block, ((" ", "text"),)]
    else:
        out = _two_columns([b for b in [*groups, filters] if b], (width - 4) // 2)
    return [*out, *(((t(glyphs), "text"),) for glyphs in LEGEND)]


def _group(group: Group, session: Session, keymap: Keymap, width: int) -> list[Line]:
    out: list[Line] = [((t(GROUPS[group]), "title"),)]
    for action in ACTIONS:
        if action.group != group or session.page not in action.pages:
            continue
        reason = session.reason(action.name)
        keys = shown_all(keymap[action.name]) or f":{action.name}"
        text = t(action.help) + (t(" (not now: {reason})", reason=reason) if reason else "")
        for i, row in enumerate(wrap(text, width - 15, 3)):
            out.append(((fit(keys if i == 0 else "", 14) + " ", "key"), (row, "dim" if reason else "text")))
    return out


def _elsewhere(session: Session, keymap: Keymap, width: int) -> list[Line]:
    """What the keys do on other screens only."""
    out: list[Line] = [((t("ON OTHER SCREENS"), "title"),)]
    for action in ACTIONS:
        if session.page in action.pages:
            continue
        keys = shown_all(keymap[action.name]) or f":{action.name}"
        places = t(", ").join(t(PAGE_NAME[page]) for page in Page if page in action.pages)
        out.append(((fit(keys, 14) + " ", "key"), (fit(f"{t(action.label)} · {places}", width - 15), "dim")))
    return out if len(out) > 1 else []


def _filters(width: int) -> list[Line]:
    out: list[Line] = [((t("FILTER"), "title"),)]
    for left, right in FILTER_HELP:
        for i, row in enumerate(wrap(t(right), width - 23, 3)):
            out.append(((fit(left if i == 0 else "", 22) + " ", "key"), (row, "text")))
    return out


def _two_columns(blocks: list[list[Line]], width: int) -> list[Line]:
    cut = min(range(len(blocks) + 1), key=lambda n: max(_height(blocks[:n]), _height(blocks[n:])))
    left, right = _stacked(blocks[:cut]), _stacked(blocks[cut:])
    out: list[Line] = []
    for i in range(max(len(left), len(right))):
        one: Line = left[i] if i < len(left) else ((" ", "text"),)
        two: Line = right[i] if i < len(right) else ()
        gap: Span = (" " * max(0, width + 4 - width_of(one)), "text")
        out.append((*one, gap, *two))
    return out


def _height(blocks: list[list[Line]]) -> int:
    return sum(len(block) + 1 for block in blocks)


def _stacked(blocks: list[list[Line]]) -> list[Line]:
    blank: Line = ((" ", "text"),)
    return [line for block in blocks for line in (*block, blank)]
