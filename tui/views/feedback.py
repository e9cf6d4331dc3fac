"""The FEEDBACK screen: the mutes that hold with the time they have left, then everything that was said."""

from __future__ import annotations

from qraft.model import Feedback, Scope, us_from_iso
from tui.language import t, tn
from tui.state.labels import KIND_NAME, VERDICT_WORD
from tui.state.mutes import ends_us
from tui.state.said import Entry
from tui.state.session import Session
from tui.state.verdicts import Delivery
from tui.views.text import Line, Span, Tone, centre, clean, clip, clock, count, fit, fit_middle, rule, span_seconds, wrap

TONE: dict[str, Tone] = {"confirmed": "good", "mute": "warn", "note": "accent"}


def title(session: Session, width: int, now_us: int) -> Line:
    """How many, whose, how many mutes hold."""
    said = session.said
    left: list[Span] = [(" ", "title"), (t("FEEDBACK"), "title")]
    number = sum(not e.mute for e in said.rows)
    left.append((f" {count(number)}{'+' if said.more else ''}", "text"))
    if mutes := len(session.store.mutes.active(now_us)):
        left.append((" · " + tn("{n} mute holds", "{n} mutes hold", mutes), "warn"))
    if find := session.finds.get(session.page):
        left.append((f" /{find}", "accent"))
    left.append((" ", "rule"))
    right: Span = (
        (clean(said.problem), "bad")
        if said.problem
        else (t("tab: only mine") if not said.mine else t("tab: everybody's"), "dim")
    )
    return rule(left, [right], width)


def header(width: int) -> Line:
    """Names of the columns."""
    when, who, verdict, name, rest = _columns(width)
    cells = [
        "   " + fit(t("WHEN"), when),
        fit(t("WHO"), who),
        fit(t("SAID"), verdict),
        fit(t("ON"), name),
        fit(t("WHAT"), rest),
    ]
    return clip([(" ".join(cell for cell in cells if cell.strip()), "dim")], width)


def _columns(width: int) -> tuple[int, int, int, int, int]:
    when, who, verdict = (11, 12, 15) if width >= 90 else (8, 8, 11)
    rest = width - when - who - verdict - 9
    name = max(8, min(28, rest // 2))
    return when, who, verdict, name, max(1, rest - name)


def row(session: Session, entry: Entry, width: int, now_us: int) -> Line:
    """One thing that was said, after the cursor's column."""
    when, who, verdict, name, rest = _columns(width)
    label, said = entry.label, entry.label.feedback
    own = said.user == session.judge.user
    gone = label.undone
    tone: Tone = "dim" if gone else TONE.get(said.verdict, "text")
    glyph, glyph_tone = _delivery(session, said)
    place = f"{label.source}/{label.entity}" if label.entity else label.source
    spans: list[Span] = [
        (glyph + " ", glyph_tone),
        (fit(clock(_time_us(said), now_us, when), when) + " ", "dim" if gone else "text"),
        (fit("@" + (clean(said.user) or "?"), who) + " ", "strong" if own and not gone else "dim" if gone else "text"),
        (fit(t(VERDICT_WORD[said.verdict]), verdict) + " ", tone),
    ]
    if entry.mute:
        left = span_seconds(max(0, ends_us(said) - now_us) / 1e6)
        what = t("{what} · {span} left", what=scope_text(said.scope or Scope()), span=left)
        spans.append((fit(what, name + rest + 1), "warn"))
        return clip(spans, width - 1)
    text = clean(said.note) or (scope_text(said.scope) if said.scope else clean(label.summary))
    if gone:
        text = t("taken back") + (f" · {text}" if text else "")
    spans += [
        (fit_middle(clean(place), name) + " ", "dim" if gone else "text"),
        (fit(text, rest), "dim" if gone else "text"),
    ]
    return clip(spans, width - 1)


def _delivery(session: Session, said: Feedback) -> tuple[str, Tone]:
    state = session.store.ledger.verdicts.delivery(said.feedback_id)
    if state is Delivery.UNSENT:
        return "◌", "warn"
    if state is Delivery.REFUSED:
        return "!", "bad"
    return "●", "good"


def scope_text(scope: Scope) -> str:
    """What a mute covers."""
    place = f"{scope.source}/{scope.entity}" if scope.entity else scope.source or t("every source")
    kind = t(KIND_NAME[scope.type]) if scope.type in KIND_NAME else scope.type or t("everything")
    return (
        t("{kind} of {name} by {detector}", kind=kind, name=place, detector=scope.detector)
        if scope.detector
        else t("{kind} of {name}", kind=kind, name=place)
    )


def nothing(session: Session, width: int, height: int) -> list[Line]:
    """In place of the rows."""
    said = session.said
    if said.problem:
        text = t("ClickHouse cannot answer: {reason}", reason=clean(said.problem))
    elif said.loading:
        text = t("asking ClickHouse …")
    else:
        text = t(
            "nobody has said anything yet: {confirm} confirms, {fp} calls a false positive, {mute} mutes, {note} notes",
            confirm=session.key("confirm"),
            fp=session.key("false_positive"),
            mute=session.key("mute"),
            note=session.key("note"),
        )
    rows = wrap(text, max(8, width - 4), 3)
    above = max(0, (height - len(rows)) // 2)
    blank: Line = ((" ", "text"),)
    return [*[blank] * above, *(((centre(one, width).rstrip(), "dim"),) for one in rows)]


def _time_us(said: Feedback) -> int:
    try:
        return us_from_iso(said.timestamp)
    except ValueError:
        return 0
