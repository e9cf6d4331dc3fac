"""The last line: the keys that matter most on the screen in front, or a message for some seconds."""

from __future__ import annotations

from tui.actions import FOOTER
from tui.keymap import Keymap, shown
from tui.language import t
from tui.state.session import Session
from tui.views.text import Line, Span, clip, spread, width_of

WIDE = 100
"""From this width on there is room for whole words."""


def key_bar(session: Session, keymap: Keymap, width: int) -> Line:
    """As many keys of the registry as fit, the most wanted first; actions that can do nothing now are dim."""
    if session.message is not None:
        return clip([(f" {session.message.text}", "bad" if session.message.bad else "good")], width)
    return spread(_keys(session, keymap, width, full=width >= WIDE), (), width)


def _keys(session: Session, keymap: Keymap, width: int, *, full: bool) -> list[Span]:
    spans: list[Span] = []
    for action in FOOTER:
        if session.page not in action.pages or not keymap[action.name]:
            continue
        disabled = bool(session.reason(action.name))
        piece: list[Span] = [
            (f" {shown(keymap[action.name][0])}", "dim" if disabled else "key"),
            (f" {t(action.label if full else action.short)} ", "dim" if disabled else "text"),
        ]
        if width_of((*spans, *piece)) > width:
            break
        spans += piece
    return spans
