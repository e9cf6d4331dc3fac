"""What an operator says on episodes: verdicts, notes, mutes, and taking them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qraft.model import Feedback, Scope, Verdict
from tui.language import N_, t, tn
from tui.state.board import HOLD_US
from tui.state.episodes import Episode
from tui.state.undo import Step
from tui.state.verdicts import Delivery

if TYPE_CHECKING:
    from tui.state.session import Session

VERDICT_WORD: dict[Verdict, str] = {
    "confirmed": N_("confirmed"),
    "false_positive": N_("false positive"),
    "expected": N_("expected"),
    "new_normal": N_("new normal"),
    "mute": N_("muted"),
    "note": N_("noted"),
    "undo": N_("taken back"),
}
KIND_NAME: dict[str, str] = {
    "drift": N_("drift"),
    "anomaly": N_("anomaly"),
    "cluster_change": N_("cluster change"),
}
"""What a pattern of a type is called in a sentence."""
JUDGES: dict[str, Verdict] = {
    "confirm": "confirmed",
    "false_positive": "false_positive",
    "expected": "expected",
    "new_normal": "new_normal",
}
"""The verdict that each judging action gives."""


def scopes(episode: Episode) -> list[tuple[str, Scope]]:
    """What may be muted at an episode, the narrowest first, each with its words."""
    source, entity, kind, detector = episode.source, episode.entity, episode.type, episode.detector
    word = t(KIND_NAME[kind])
    found = []
    if entity:
        found.append(
            (
                t("{kind} of {name} by {detector}", kind=word, name=episode.name, detector=detector),
                Scope(source=source, entity=entity, type=kind, detector=detector),
            )
        )
        found.append((t("everything of {name}", name=episode.name), Scope(source=source, entity=entity)))
    found.append(
        (
            t("{kind} of {name} by {detector}", kind=word, name=source, detector=detector),
            Scope(source=source, type=kind, detector=detector),
        )
    )
    found.append((t("everything of {name}", name=source), Scope(source=source)))
    found.append(
        (t("{kind} by {detector}, whatever the source", kind=word, detector=detector), Scope(type=kind, detector=detector))
    )
    return found


class Labels:
    """Says, and takes back. ``keep`` journals and sends."""

    def __init__(self, session: Session, keep: Callable[[Feedback], None]) -> None:
        self._session = session
        self._keep = keep

    def judge(self, verdict: Verdict, now_us: int) -> None:
        """Gives a verdict on the targets."""
        session = self._session
        targets = session.targets
        step = session.judge.give([(e.peak, self.own(e)) for e in targets], verdict, now_us)
        word = t(VERDICT_WORD[verdict])
        names = targets[0].name if len(targets) == 1 else tn("{n} episode", "{n} episodes", len(targets))
        self._say(
            step, t("{verdict}: {what} · {key} takes it back", verdict=word, what=names, key=session.key("undo")), now_us
        )
        session.listed.unmark()

    def note(self, text: str, now_us: int) -> None:
        """Writes a note on the targets."""
        step = self._session.judge.note([e.peak for e in self._session.targets], text.strip(), now_us)
        self._say(step, t("noted"), now_us)

    def mute(self, episode: Episode, scope: Scope, until_us: int, what: str, now_us: int) -> None:
        """Silences what a scope covers."""
        step = self._session.judge.mute(episode.peak, scope, until_us, now_us)
        self._say(step, t("muted: {what} · {key} takes it back", what=what, key=self._session.key("undo")), now_us)

    def undo(self, now_us: int) -> None:
        """Takes back this session's last step; without one, one's own verdict under the cursor."""
        session = self._session
        step = session.judge.undo(now_us)
        if not step:
            own = self.own(session.selected) if session.selected is not None else None
            if own is None:
                return
            step = session.judge.take_back(own, now_us)
        self._follow(step)
        self._say(step, t("taken back: {what}", what=self._told(step)), now_us)

    def take_back(self, feedback: Feedback, now_us: int) -> None:
        """Takes back a certain feedback."""
        step = self._session.judge.take_back(feedback, now_us)
        what = f"{t(VERDICT_WORD[feedback.verdict])} · {feedback.source}"
        self._say(step, t("taken back: {what}", what=what), now_us)

    def redo(self, now_us: int) -> None:
        """Says again what was taken back last."""
        step = self._session.judge.redo(now_us)
        self._follow(step)
        self._say(step, t("said again: {what}", what=self._told(step)), now_us)

    def own(self, episode: Episode) -> Feedback | None:
        """One's own verdict that stands on an episode."""
        mark = self._session.mark(episode)
        return mark.feedback if mark.feedback and mark.feedback.user == self._session.judge.user else None

    def _told(self, step: Step) -> str:
        if len(step) != 1:
            return tn("{n} verdict", "{n} verdicts", len(step))
        said = step[0]
        undone = self._session.store.ledger.verdicts.get(said.undoes) if said.undoes else said
        word = t(VERDICT_WORD[undone.verdict]) if undone else t("verdict")
        return f"{word} · {said.source}"

    def _follow(self, step: Step) -> None:
        """Puts the cursor on the row that a step is about."""
        board = self._session.listed
        for ledger in self._session.ledgers():
            for feedback in step[:1]:
                key = ledger.episodes.key_of(feedback.pattern_id)
                if key is not None and any(e.key == key for e in board.rows):
                    board.cursor = key
                    return

    def _say(self, step: Step, text: str, now_us: int) -> None:
        session = self._session
        session.board.held_until_us = now_us + HOLD_US
        session.say(text, now_us)
        for feedback in step:
            session.hear(feedback, Delivery.UNSENT)
            self._keep(feedback)
