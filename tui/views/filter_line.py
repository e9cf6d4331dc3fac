"""What stands right of the filter while it is typed."""

from __future__ import annotations

from tui.language import t
from tui.state.session import Session
from tui.views.text import Line, count, fit


def remark(session: Session, width: int) -> Line:
    """How many match, or why the filter cannot be read."""
    if session.filter_error:
        return ((fit(session.filter_error, width - 1, right=True), "bad"),)
    shown = t("{n} of {all} · enter keep · esc clear", n=count(len(session.board.rows)), all=count(session.board.total))
    return ((fit(shown, width - 1, right=True), "dim"),)
