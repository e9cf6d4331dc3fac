"""The EPISODE screen: which pane is in front, which field is drawn how far back, what is said, what is alike.

Pure: the screen asks the database when this says what is wanted, and hands back what came.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from qraft.model import Feedback, Pattern
from qraft.store import SeriesPoint, StoredPattern
from tui.language import N_
from tui.state.episodes import Episode
from tui.state.ledger import Ledger
from tui.state.raws import Raws
from tui.state.verdicts import Delivery

AGAIN_US: Final = 5_000_000
"""After a failure, and where nothing more was there yet, so long passes before the database is asked again."""
MOST_BACK: Final = 50
BUCKETS: Final = 360
"""Parts that a long stretch is cut into."""

_MINUTE: Final = 60_000_000
_HOUR: Final = 60 * _MINUTE
STRETCHES: Final = (
    ("", 0),
    (N_("15 minutes"), 15 * _MINUTE),
    (N_("1 hour"), _HOUR),
    (N_("6 hours"), 6 * _HOUR),
    (N_("1 day"), 24 * _HOUR),
    (N_("7 days"), 168 * _HOUR),
    (N_("30 days"), 720 * _HOUR),
)
"""How much time the chart shows, with its words; the first is the events around the pattern one by one."""
AFTER_SHARE: Final = 0.3
"""The part of a long stretch that lies after the pattern."""


class Part(enum.IntEnum):
    """The panes of the EPISODE screen, by the number that opens them."""

    CHART = 1
    WHY = 2
    RAW = 3
    LABELS = 4
    LIKE = 5


@dataclass(slots=True)
class Reach:
    """A long stretch of one field as it came from the database, or why it did not."""

    field: str
    step: int
    since_us: int
    until_us: int
    points: Sequence[SeriesPoint] = ()
    answered: bool = False
    problem: str = ""
    asked_us: int = 0


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing that was said on the episode.

    Attributes:
        undo: what took it back; None where it stands.
    """

    feedback: Feedback
    delivery: Delivery
    undo: Feedback | None = None


def sayings(said: Iterable[tuple[Feedback, Delivery]]) -> list[Saying]:
    """All that was said, the newest first; what only takes another back stands with that one.

    Args:
        said: what is known from anywhere; the same may come several times, unsent before stored.
    """
    order = (Delivery.UNSENT, Delivery.REFUSED, Delivery.STORED)
    known: dict[str, tuple[Feedback, Delivery]] = {}
    for feedback, delivery in said:
        old = known.get(feedback.feedback_id)
        if old is None or order.index(delivery) > order.index(old[1]):
            known[feedback.feedback_id] = feedback, delivery
    undone = {f.undoes: f for f, d in known.values() if f.verdict == "undo" and d is not Delivery.REFUSED}
    rows = [Saying(f, d, undone.get(f.feedback_id)) for f, d in known.values() if f.verdict != "undo"]
    return sorted(rows, key=lambda one: (one.feedback.timestamp, one.feedback.feedback_id), reverse=True)


@dataclass(slots=True)
class Stories:
    """What the EPISODE screen shows of the episode that is open, and the way to it from those like it.

    Attributes:
        part: the pane in front.
        back: the episodes from which one went on to one like it.
        line: the line of the table of fields under the cursor.
        drawn: the contributor in the chart.
        step: which of ``STRETCHES`` is drawn.
        ledger: what is known of the episodes that were open, whichever list they came from.
    """

    part: Part = Part.CHART
    back: list[Episode] = field(default_factory=list)
    line: int = 0
    drawn: str = ""
    step: int = 0
    raws: Raws = field(default_factory=Raws)
    label: int = 0
    like: int = 0
    said: Sequence[Feedback] = ()
    similar: Sequence[StoredPattern] = ()
    counts: dict[str, int] = field(default_factory=dict)
    answered: bool = False
    loading: bool = False
    problem: str = ""
    asked_us: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    reach: Reach | None = None
    _shown: tuple[str, str] = ("", "")
    _known: object = None
    _next: str = ""

    def show(self, episode: Episode) -> bool:
        """Takes the episode that is open; whether it is another than before, or has another peak."""
        if self._known != (known := (episode.key, episode.peak.pattern_id, episode.n, episode.last_us)):
            self._known = known
            self.ledger.put([(episode, None)])
        shown = episode.key, episode.peak.pattern_id
        if shown == self._shown:
            return False
        same = episode.key == self._shown[0]
        self._shown = shown
        names = [c.field for c in episode.peak.contributors]
        if not same or self.drawn not in names:
            self.line, self.drawn = 0, names[0] if names else ""
        self.raws, self.reach = Raws(), None
        if same:
            return True
        if episode.key != self._next:
            self.back.clear()
            self.part = Part.CHART
        self._next = ""
        self.step, self.label, self.like = 0, 0, 0
        self.said, self.similar, self.counts = (), (), {}
        self.again()
        return True

    def again(self) -> None:
        """Everything is to be asked once more; what is known stays until then."""
        self.answered = self.loading = False
        self.problem, self.asked_us = "", 0
        if not self.raws.loading:
            self.raws.wait_until_us, self.raws.problem = 0, ""
        self.reach = None

    def wanted(self, now_us: int) -> bool:
        """Whether to ask for the story now."""
        return not self.loading and (not self.answered or (bool(self.problem) and now_us - self.asked_us >= AGAIN_US))

    def take(self, key: str, said: Sequence[Feedback], similar: Sequence[StoredPattern], counts: dict[str, int]) -> None:
        """Takes the story of the episode ``key``; of another than the one that is open, nothing."""
        if key != self._shown[0]:
            return
        self.said, self.similar, self.counts = said, similar, counts
        self.loading, self.answered, self.problem = False, True, ""
        for feedback in said:
            self.ledger.verdicts.add(key, feedback, Delivery.STORED)
        self.like = min(self.like, max(0, len(similar) - 1))

    def fail(self, key: str, problem: str) -> None:
        """Notes why there is no story."""
        if key == self._shown[0]:
            self.loading, self.answered, self.problem = False, True, problem

    # --- the panes

    def next_part(self, steps: int) -> None:
        """Brings the next or previous pane to the front."""
        self.part = Part((self.part - 1 + steps) % len(Part) + 1)

    @property
    def alike(self) -> StoredPattern | None:
        """The past episode under the cursor, where that pane is in front."""
        return self.similar[self.like] if self.part is Part.LIKE and self.like < len(self.similar) else None

    def choose(self, pattern: Pattern, line: int, lines: int) -> None:
        """Puts the cursor on a line of the table of fields; the chart follows where the line is a field's."""
        self.line = min(max(0, line), max(0, lines - 1))
        if self.line < len(pattern.contributors):
            self.drawn = pattern.contributors[self.line].field

    def widen(self, steps: int) -> bool:
        """A longer stretch in the chart, or a shorter one; whether there is one."""
        step = min(len(STRETCHES) - 1, max(0, self.step + steps))
        changed, self.step = step != self.step, step
        return changed

    def reached(self, name: str, moment_us: int, now_us: int) -> Reach | None:
        """The long stretch to ask for now; None where none is wanted or it is known.

        Args:
            name: the stored field that is drawn.
            moment_us: the pattern's.
            now_us: it ends there at the latest.
        """
        if self.step == 0:
            return None
        length = STRETCHES[self.step][1]
        known = self.reach
        same = known is not None and (known.field, known.step) == (name, self.step)
        if same and known is not None and (not known.problem or now_us - known.asked_us < AGAIN_US):
            return None
        until = min(max(now_us, moment_us), moment_us + int(length * AFTER_SHARE))
        self.reach = Reach(name, self.step, until - length, until, asked_us=now_us)
        return self.reach

    def rename(self, key: str, whole: Episode) -> None:
        """The run of the episode ``key`` is known now: nothing of what is shown begins anew."""
        if key == self._shown[0]:
            self._shown = whole.key, self._shown[1]

    # --- from one to another like it

    def go_to(self, there: Episode, here: Episode) -> None:
        """Notes that one goes on from ``here`` to ``there``, so that `go_back` leads back."""
        self.back.append(here)
        del self.back[:-MOST_BACK]
        self._next = there.key

    def go_back(self) -> Episode | None:
        """The episode from which one came; None where one came from a list."""
        if not self.back:
            return None
        episode = self.back.pop()
        self._next = episode.key
        return episode


def episode_of(stored: StoredPattern) -> Episode:
    """A stored pattern as an episode of its own, as long as its run is not known."""
    return Episode.of(stored.pattern)
