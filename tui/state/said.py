"""The FEEDBACK screen: the mutes that hold, and what operators said, stored and just now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from qraft.model import Feedback, us_from_iso
from qraft.store import StoredLabel
from tui.state.episodes import Episode
from tui.state.find import found
from tui.state.mutes import Mutes
from tui.state.window import Window

MAX_HEARD = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was said, or a mute that holds (``mute``)."""

    label: StoredLabel
    mute: bool = False

    @property
    def key(self) -> str:
        """The row's key."""
        return f"mute:{self.label.feedback.feedback_id}" if self.mute else self.label.feedback.feedback_id


@dataclass(slots=True)
class Said:
    """Rows, newest first, below the mutes.

    Attributes:
        mine: only one's own.
        asked_us: when the database was asked last.
        more: where the next page begins; empty when there is none.
    """

    rows: list[Entry] = field(default_factory=list)
    cursor: str = ""
    mine: bool = False
    asked_us: int = 0
    loading: bool = False
    problem: str = ""
    more: str = ""
    version: int = 0
    _stored: OrderedDict[str, StoredLabel] = field(default_factory=OrderedDict)
    _heard: OrderedDict[str, StoredLabel] = field(default_factory=OrderedDict)

    def hear(self, feedback: Feedback, episode: Episode | None = None) -> None:
        """Takes what was just said, by whomever, on the episode where that is known."""
        self._heard[feedback.feedback_id] = _told(feedback, episode)
        self.version += 1
        if len(self._heard) > MAX_HEARD:
            self._heard.popitem(last=False)

    @property
    def heard(self) -> list[Feedback]:
        """What was said since the start, the oldest first; only the latest of it."""
        return [label.feedback for label in self._heard.values()]

    def answer(self, labels: Sequence[StoredLabel], *, more: str, first: bool) -> None:
        """Takes a page of the database's answer."""
        if first:
            self._stored = OrderedDict()
        self._stored.update((label.feedback.feedback_id, label) for label in labels)
        self.more, self.loading, self.problem = more, False, ""
        self.version += 1

    def fail(self, problem: str) -> None:
        """Notes why there is no answer."""
        self.loading, self.problem = False, problem

    def frame(self, mutes: Mutes, user: str, text: str, now_us: int, window: Window | None = None) -> None:
        """Computes the rows: of a window of the past, else all."""
        labels = self._heard | self._stored
        undone = {label.feedback.undoes for label in labels.values() if label.feedback.verdict == "undo"}
        told = [self._with(label, undone) for label in labels.values() if label.feedback.verdict != "undo"]
        if window is not None:
            told = [label for label in told if window.since_us <= _time_us(label.feedback) < window.until_us]
        told.sort(key=lambda label: (label.feedback.timestamp, label.feedback.feedback_id), reverse=True)
        entries = [Entry(labels.get(m.feedback_id) or _told(m), mute=True) for m in mutes.active(now_us)]
        entries += [Entry(label) for label in told if not self.mine or label.feedback.user == user]
        self.rows = [e for e in entries if not text or found(text, haystack(e.label))]
        keys = [e.key for e in self.rows]
        if keys and self.cursor not in keys:
            self.cursor = keys[0]

    @staticmethod
    def _with(label: StoredLabel, undone: set[str]) -> StoredLabel:
        if label.undone or label.feedback.feedback_id not in undone:
            return label
        values = (label.source, label.entity, label.type, label.detector, label.summary, label.cursor)
        return StoredLabel(label.feedback, True, *values)

    @property
    def selected(self) -> Entry | None:
        """The row under the cursor."""
        return next((e for e in self.rows if e.key == self.cursor), None)

    def move(self, steps: int) -> None:
        """Moves the cursor."""
        keys = [e.key for e in self.rows]
        if keys:
            index = keys.index(self.cursor) if self.cursor in keys else 0
            self.cursor = keys[min(len(keys) - 1, max(0, index + steps))]

    def near_end(self) -> bool:
        """Whether the cursor is near the end of what is there, and there is more."""
        return bool(self.more) and not self.loading and self.cursor in [e.key for e in self.rows[-20:]]


def _told(feedback: Feedback, episode: Episode | None = None) -> StoredLabel:
    if episode is None:
        return StoredLabel(feedback, False, feedback.source, "", "", feedback.detector, "", "")
    return StoredLabel(
        feedback, False, episode.source, episode.entity, episode.type, episode.detector, episode.top.summary, ""
    )


def _time_us(feedback: Feedback) -> int:
    try:
        return us_from_iso(feedback.timestamp)
    except ValueError:
        return 0


def haystack(label: StoredLabel) -> str:
    """What is searched in a row."""
    f = label.feedback
    place = f"{label.source}/{label.entity} {label.type} {label.detector}"
    return f"{f.user} {f.verdict} {f.note} {place} {label.summary} {f.pattern_id}"
