"""The help: every action of the registry by group, those that can do nothing now with the reason."""

from __future__ import annotations

from tui.actions import ACTIONS, GROUPS
from tui.state.session import Session
from tui.views.text import Line, Span, fit, width_of, wrap

LEGEND: list[tuple[str, str]] = [
    ("▲ anomaly   ≈ drift   ◆ cluster change", "kinds of patterns"),
    ("● well / stored   ◌ not yet / unsent   ○ lost   ! failed", "states"),
]
FILTER_HELP = [
    ("btc", "text anywhere: source, kind, field, sentence"),
    ("!btc", "all but that; ! goes with every word"),
    ("/btc|eth/", "regular expression"),
    ("kind:drift,anomaly", "kind: drift, anomaly, cluster"),
    ("src:bin*", "source or source/entity"),
    ("field:cpu*", "a field that shares in it"),
    ("det:drift", "detector"),
    ("score>.7", "confidence; also <, >=, <=, ="),
    ("n>=10", "patterns in the episode"),
    ("age<5m", "event time before now: s, m, h, d"),
    ("state:new,unsent", "new, confirmed, fp, expected, normal, unsent"),
    ("by:ann", "who gave the verdict"),
]


def lines(session: Session, width: int) -> list[Line]:
    """The help in ``width`` cells: two columns where they fit."""
    groups = [_group(group, session, width if width < 96 else (width - 4) // 2) for group in GROUPS]
    filters = _pairs("FILTER", FILTER_HELP, width if width < 96 else (width - 4) // 2)
    if width < 96:
        out: list[Line] = []
        for block in [*groups, filters]:
            out += [*block, ((" ", "text"),)]
    else:
        out = _two_columns([*groups, filters], (width - 4) // 2)
    return [*out, *(((f"{glyphs}", "text"),) for glyphs, _ in LEGEND)]


def _group(group: str, session: Session, width: int) -> list[Line]:
    out: list[Line] = [((group.upper(), "title"),)]
    for action in ACTIONS:
        if action.group != group:
            continue
        reason = session.reason(action.name)
        said = wrap(f"{action.help}{f' (not now: {reason})' if reason else ''}", width - 15, 3)
        for i, row in enumerate(said):
            out.append(((fit(action.shown if i == 0 else "", 14) + " ", "key"), (row, "dim" if reason else "text")))
    return out


def _pairs(head: str, pairs: list[tuple[str, str]], width: int) -> list[Line]:
    out: list[Line] = [((head, "title"),)]
    for left, right in pairs:
        for i, row in enumerate(wrap(right, width - 23, 3)):
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
