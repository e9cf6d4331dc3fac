"""Rules and names of the panes."""

from __future__ import annotations

from typing import Final

from tui.language import N_, t
from tui.state.session import Session
from tui.state.story import Part
from tui.views.text import Line, Span, Tone, centre, clean, rule, width_of, wrap

NAME: Final = {
    Part.CHART: N_("CHART"),
    Part.WHY: N_("WHY"),
    Part.RAW: N_("RAW EVENTS"),
    Part.LABELS: N_("LABELS"),
    Part.LIKE: N_("LIKE THIS"),
}
SHORT: Final = {
    Part.CHART: N_("CHART"),
    Part.WHY: N_("WHY"),
    Part.RAW: N_("RAW"),
    Part.LABELS: N_("LABELS"),
    Part.LIKE: N_("LIKE"),
}
BLANK: Final[Line] = ((" ", "text"),)


def title(session: Session, part: Part, remark: list[Span], width: int) -> Line:
    """The rule above a pane that stands among others."""
    front = session.story.part is part
    tone: Tone = "title" if front else "strong"
    left: list[Span] = [("▸ " if front else " ", tone), (f"{part.value} {t(NAME[part])} ", tone)]
    if width_of((*left, *remark)) + 5 > width:
        remark = []
    return rule(left, remark, width)


def bar(session: Session, remark: list[Span], width: int) -> Line:
    """The rule above the one pane there is room for, with the names of all."""
    for long in (True, False):
        left: list[Span] = []
        for part in Part:
            front = session.story.part is part
            left.append(("▸" if front else " ", "title"))
            left.append((f"{part.value} {t(NAME[part] if long else SHORT[part])}", "title" if front else "dim"))
        left.append((" ", "rule"))
        if width_of(tuple(left)) + 2 <= width:
            break
    return rule(left, remark, width)


def instead(text: str, width: int, height: int, tone: Tone = "dim") -> list[Line]:
    """A sentence in the middle of a pane that has nothing to show."""
    rows = wrap(clean(text), max(8, width - 4), max(1, min(4, height)))
    above = max(0, (height - len(rows)) // 2)
    return [*[BLANK] * above, *(((centre(row, width).rstrip(), tone),) for row in rows)]


def unanswered(session: Session, empty: str) -> tuple[str, Tone]:
    """Why a pane that lives on the story is empty; ``empty`` where the answer is that there is nothing."""
    story = session.story
    if story.problem:
        return clean(story.problem), "bad"
    return (empty, "dim") if story.answered else (t("asking ClickHouse …"), "dim")
