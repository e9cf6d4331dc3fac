"""Why an action can do nothing now, as a sentence; the help, the key bar and a refused key all say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.actions import BY_NAME
from tui.language import t
from tui.state.labels import JUDGES, VERDICT_WORD
from tui.state.pages import PAGE_NAME, Page, Pane

if TYPE_CHECKING:
    from tui.state.session import Session

_AIMED = frozenset({*JUDGES, "mute", "note", "copy_id", "copy_json"})
_MARKS = frozenset({"mark", "range", "next_new", "previous_new", "export", "muted"})


def reason(session: Session, action: str) -> str:  # noqa: PLR0911, PLR0912 - one return a reason
    """Why an action can do nothing now; empty when it can."""
    known = BY_NAME[action]
    page = session.page
    if page not in known.pages:
        names = t(", ").join(t(PAGE_NAME[p]) for p in Page if p in known.pages)
        return t("not on this screen; it works on {screens}", screens=names)
    on_sources = page is Page.SOURCES or (page is Page.LIVE and session.pane is Pane.SOURCES)
    if action in _AIMED and page is not Page.FEEDBACK:
        if on_sources:
            return (
                t("this is done at an episode: press {key} first", key=session.key("pane_2"))
                if page is Page.LIVE
                else t("this is done at an episode")
            )
        if not session.targets:
            return t("there is no episode yet")
    if action in JUDGES and len(session.targets) == 1:
        own = session.labels.own(session.targets[0])
        if own is not None and own.verdict == JUDGES[action]:
            return t(
                "you called it {verdict} already; {key} takes it back",
                verdict=t(VERDICT_WORD[JUDGES[action]]),
                key=session.key("undo"),
            )
    if action in _MARKS and on_sources:
        return t("this is done in the list of episodes: press {key} first", key=session.key("pane_2"))
    if action in _MARKS and not session.listed.rows and action != "muted":
        return t("there is no episode yet")
    if action in ("copy_id", "copy_json", "enter") and page is Page.FEEDBACK and session.said.selected is None:
        return t("nothing was said yet")
    if action == "undo" and page is not Page.FEEDBACK and not (session.judge.can_undo or _judged(session)):
        return t("you said nothing that could be taken back")
    if action == "redo" and not session.judge.can_redo:
        return t("nothing was taken back")
    if action in ("sort", "reverse") and page is Page.LIVE and session.pane is Pane.DETAIL:
        return t(
            "the detail has no order: press {one} or {two} first",
            one=session.key("pane_1"),
            two=session.key("pane_2"),
        )
    if action == "enter" and page is Page.EPISODE and session.story.alike is None:
        return t("this is as deep as it goes; {key} goes back", key=session.key("back"))
    if action == "enter" and on_sources and session.board.selected_source is None:
        return t("there is no source yet")
    if action == "enter" and not on_sources and page in (Page.LIVE, Page.HISTORY) and session.selected is None:
        return t("there is no episode yet")
    if action == "step" and session.frozen is None:
        return t("the picture is not frozen; {key} freezes it", key=session.key("freeze"))
    if action == "freeze" and session.past is not None:
        return t("the past stands still; press {key} to go back to the present", key=session.key("now"))
    if action in ("later", "now") and session.past is None:
        return t("this is the present already")
    return ""


def _judged(session: Session) -> bool:
    return session.selected is not None and session.labels.own(session.selected) is not None
