"""What one operator says, takes back and says again, against a model of what must stand then."""

from __future__ import annotations

from itertools import count

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qraft.model import Details, Feedback, Pattern, Scope, Verdict, feedback_fault, iso_from_us, us_from_iso
from tui.state.mutes import Mutes
from tui.state.undo import Judge, Step, random_id
from tui.state.verdicts import Delivery, Verdicts

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
SECOND = 1_000_000
PATTERNS = [
    Pattern(
        pattern_id=f"p{i}",
        type="drift",
        timestamp=iso_from_us(NOW_US),
        source=f"s{i}",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.8),
        contributors=[],
        detector="drift",
    )
    for i in range(4)
]
JUDGED: tuple[Verdict, ...] = ("confirmed", "false_positive", "expected", "new_normal")


class Undoing(RuleBasedStateMachine):
    """The model: by pattern the stack of verdicts that are not taken back, newest last, each with its feedback id."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self.judge = Judge("me", lambda: f"id-{next(numbers)}")
        self.verdicts, self.mutes = Verdicts(), Mutes()
        self.standing: dict[str, Feedback] = {}
        self.done: list[list[str]] = []
        self.undone: list[list[Feedback]] = []
        self.all: dict[str, Feedback] = {}
        self.clock = NOW_US
        self.stamps: list[str] = []

    def tell(self, step: Step) -> None:
        for feedback in step:
            assert feedback.user == "me"
            assert feedback.feedback_id not in self.all
            assert feedback_fault(feedback) == ""
            self.stamps.append(feedback.timestamp)
            self.all[feedback.feedback_id] = feedback
            self.verdicts.add(feedback.pattern_id, feedback, Delivery.UNSENT)
            self.mutes.add(feedback)
            if feedback.verdict == "undo":
                del self.standing[feedback.undoes]
            else:
                self.standing[feedback.feedback_id] = feedback

    def did(self, step: Step) -> None:
        self.tell(step)
        self.done.append([f.feedback_id for f in step])
        self.undone.clear()

    @rule(on=st.sets(st.integers(0, 3), min_size=1), verdict=st.sampled_from(JUDGED))
    def give(self, on: set[int], verdict: Verdict) -> None:
        targets = [(PATTERNS[i], self.verdicts.mark(f"p{i}").feedback) for i in sorted(on)]
        self.did(self.judge.give(targets, verdict, self.clock))

    @rule(on=st.integers(0, 3))
    def note(self, on: int) -> None:
        self.did(self.judge.note([PATTERNS[on]], "seen", self.clock))

    @rule(on=st.integers(0, 3))
    def mute(self, on: int) -> None:
        until_us = self.clock + 3600 * SECOND
        self.did(self.judge.mute(PATTERNS[on], Scope(source=f"s{on}"), until_us, self.clock))

    @rule(back=st.integers(0, 5))
    def clock_moves(self, back: int) -> None:
        self.clock += (2 - back) * SECOND  # a machine's clock may be set back

    @rule()
    def undo(self) -> None:
        assert self.judge.can_undo is bool(self.done)
        step = self.judge.undo(self.clock)
        wanted = self.done.pop() if self.done else []
        assert [f.undoes for f in step] == wanted
        if wanted:
            self.undone.append([self.all[i] for i in wanted])
        self.tell(step)

    @rule()
    def redo(self) -> None:
        assert self.judge.can_redo is bool(self.undone)
        wanted = self.undone.pop() if self.undone else []
        step = self.judge.redo(self.clock)
        assert [(f.pattern_id, f.verdict, f.note, f.scope) for f in step] == [
            (f.pattern_id, f.verdict, f.note, f.scope) for f in wanted
        ]
        for new, old in zip(step, wanted, strict=True):
            lasts = [us_from_iso(f.until) - us_from_iso(f.timestamp) for f in (new, old) if f.until]
            assert len(set(lasts)) <= 1, "a mute lasts as long as it was meant to"
        self.tell(step)
        if step:
            self.done.append([f.feedback_id for f in step])

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        one = self.standing[data.draw(st.sampled_from(sorted(self.standing)))]
        step = self.judge.take_back(one, self.clock)
        assert [f.undoes for f in step] == [one.feedback_id]
        self.tell(step)
        self.done = [left for ids in self.done if (left := [i for i in ids if i != one.feedback_id])]
        self.undone.append([one])

    @invariant()
    def what_stands_is_the_newest_that_was_not_taken_back(self) -> None:
        for pattern in PATTERNS:
            mine = [f for f in self.standing.values() if f.pattern_id == pattern.pattern_id and f.verdict in JUDGED]
            newest = max(mine, key=lambda f: f.timestamp, default=None)
            assert self.verdicts.mark(pattern.pattern_id).feedback == newest
            notes = [f for f in self.standing.values() if f.pattern_id == pattern.pattern_id and f.verdict == "note"]
            assert self.verdicts.notes(pattern.pattern_id) == len(notes)
        muted = {f.feedback_id for f in self.standing.values() if f.verdict == "mute"}
        assert {m.feedback_id for m in self.mutes.active(NOW_US)} == muted

    @invariant()
    def no_two_have_one_time_and_they_only_grow(self) -> None:
        assert self.stamps == sorted(set(self.stamps))


Undoing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestUndoing = Undoing.TestCase


def test_what_somebody_else_said_is_said_again_in_ones_own_name() -> None:
    """A mute may be taken back by anybody; saying it again is one's own doing."""
    judge = Judge("me")
    until = iso_from_us(NOW_US + 60 * SECOND)
    said = Feedback(
        feedback_id="theirs",
        pattern_id="p0",
        verdict="mute",
        timestamp=iso_from_us(NOW_US),
        source="s0",
        user="ann",
        scope=Scope(source="s0"),
        until=until,
    )
    (undo,) = judge.take_back(said, NOW_US + SECOND)
    assert (undo.user, undo.undoes) == ("me", "theirs")
    (again,) = judge.redo(NOW_US + 2 * SECOND)
    assert (again.user, again.verdict, again.scope) == ("me", "mute", Scope(source="s0"))


def test_ids_are_random() -> None:
    assert random_id() != random_id()
