"""The HISTORY screen's rule, and what stands there without rows."""

from __future__ import annotations

from tui.language import t
from tui.state.pages import Pane
from tui.state.session import Session
from tui.views.text import Line, Span, centre, clean, count, rule, wrap
from tui.views.times import window_text


def title(session: Session, now_us: int, width: int) -> Line:
    """How many, of what time, by which filter, in which order, how long it took."""
    pages = session.pages
    left: list[Span] = [(" ", "title"), (t("HISTORY"), "title")]
    if pages.problem:
        left.append((f" {clean(pages.problem)}", "bad"))
    shown = len(pages.board.rows)
    if pages.total is not None:
        left.append((f" {count(shown)}", "text"))
        left.append((t(" of {n}", n=count(pages.total)), "text"))
    if pages.window is not None:
        left.append((f" · {window_text(pages.window, now_us)}", "text"))
    if session.filter:
        left.append((f" /{session.filter.text}", "accent"))
    if marked := len(pages.board.marked):
        left.append((t(" · {n} marked", n=marked), "warn"))
    left.append((" ", "rule"))
    if pages.loading:
        right: list[Span] = [(t("asking …"), "warn")]
    else:
        right = [
            (t("{seconds} s", seconds=f"{pages.seconds:.2f}"), "dim"),
            (f" · {session.sort_name(Pane.EPISODES)}", "dim"),
        ]
    return rule(left, right, width)


def nothing(session: Session, width: int, height: int) -> list[Line]:
    """In place of the rows."""
    pages = session.pages
    if pages.loading:
        said = [t("asking ClickHouse …")]
    elif pages.problem:
        said = [
            t("ClickHouse cannot answer: {reason}", reason=clean(pages.problem)),
            t("{key} asks again", key=session.key("refresh")),
        ]
    elif session.filter:
        said = [
            t("no episode of this time matches /{filter}", filter=session.filter.text),
            t(
                "{back} clears the filter, {time} and {widen} widen the time",
                back=session.key("back"),
                time=session.key("time"),
                widen=session.key("widen"),
            ),
        ]
    else:
        said = [
            t("no episode is stored of this time"),
            t(
                "{earlier} goes back, {widen} widens, {oldest} goes to the oldest",
                earlier=session.key("earlier"),
                widen=session.key("widen"),
                oldest=session.key("oldest"),
            ),
        ]
    rows = [row for text in said for row in wrap(text, max(8, width - 4), 3)]
    above = max(0, (height - len(rows)) // 2)
    blank: Line = ((" ", "text"),)
    return [*[blank] * above, *(((centre(row, width).rstrip(), "dim"),) for row in rows)]
