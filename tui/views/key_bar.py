"""The last line: the keys that matter most in the pane in front, or a message for some seconds."""

from __future__ import annotations

from tui.actions import FOOTER
from tui.state.session import Session
from tui.views.text import Line, Span, clip, spread, width_of


def key_bar(session: Session, width: int) -> Line:
    """As many keys of the registry as fit, the most wanted first; actions that can do nothing now are dim."""
    if session.message is not None:
        return clip([(f" {session.message.text}", "bad" if session.message.bad else "good")], width)
    for words in ("label", "short"):
        spans = _keys(session, words, width)
        if width_of(tuple(spans)) <= width:
            break
    return spread(spans, (), width)


def _keys(session: Session, words: str, width: int) -> list[Span]:
    spans: list[Span] = []
    for action in FOOTER:
        disabled = bool(session.reason(action.name))
        piece: list[Span] = [
            (f" {action.footer_key}", "dim" if disabled else "key"),
            (f" {action.label if words == 'label' else action.short} ", "dim" if disabled else "text"),
        ]
        if words == "short" and width_of((*spans, *piece)) > width:
            break
        spans += piece
    return spans
