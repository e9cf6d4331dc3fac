from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from hypothesis import given, strategies as st

from qraft.model import Details, Feedback, Pattern, Scope, Verdict, iso_from_us
from tui.state.undo import Judge
from tui.state.verdicts import NO_MARK, Delivery, Verdicts

NOW = 1_800_000_000_000_000
PATTERN = Pattern(
    pattern_id="p",
    type="drift",
    timestamp=iso_from_us(NOW),
    source="host",
    details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.7),
    contributors=[],
    detector="drift",
)


def numbered() -> Callable[[], str]:
    numbers = count()
    return lambda: f"f{next(numbers):03d}"


@dataclass
class Desk:
    """One operator at work on one episode."""

    judge: Judge = field(default_factory=lambda: Judge("me", numbered()))
    verdicts: Verdicts = field(default_factory=Verdicts)
    clock: int = NOW

    def give(self, verdict: Verdict) -> Feedback:
        self.clock += 1_000_000
        (feedback,) = self.judge.give([(PATTERN, None)], verdict, self.clock)
        return self.keep(feedback)

    def note(self, text: str) -> Feedback:
        self.clock += 1_000_000
        (feedback,) = self.judge.note([PATTERN], text, self.clock)
        return self.keep(feedback)

    def mute(self) -> Feedback:
        self.clock += 1_000_000
        (feedback,) = self.judge.mute(PATTERN, Scope(source="host"), self.clock + 60_000_000, self.clock)
        return self.keep(feedback)

    def undo(self) -> Feedback | None:
        self.clock += 1_000_000
        step = self.judge.undo(self.clock)
        return self.keep(step[0]) if step else None

    def keep(self, feedback: Feedback) -> Feedback:
        self.verdicts.add("key", feedback, Delivery.UNSENT)
        return feedback


@given(st.lists(st.sampled_from(["confirmed", "false_positive", "undo"]), max_size=30))
def test_undo_walks_back_through_the_verdicts_one_by_one(steps: list[Verdict | str]) -> None:
    desk = Desk()
    standing: list[str] = []
    undone: list[str] = []
    for step in steps:
        if step == "undo":
            feedback = desk.undo()
            assert (feedback is None) is (not standing)
            if feedback is not None:
                assert feedback.verdict == "undo"
                assert feedback.pattern_id == "p"
                assert feedback.source == "host"
                assert feedback.detector == "drift"
                undone.append(feedback.undoes)
                standing.pop()
        else:
            desk.give(step)  # type: ignore[arg-type]  # one of the verdicts
            standing.append(step)
        assert desk.verdicts.mark("key").verdict == (standing[-1] if standing else None)
    assert len(undone) == len(set(undone)), "nothing is taken back twice"


@given(st.permutations(range(4)), st.data())
def test_the_mark_does_not_depend_on_the_order_of_arrival(order: list[int], data: st.DataObject) -> None:
    desk = Desk()
    said = [desk.give("confirmed"), desk.give("false_positive"), desk.undo(), desk.give("expected")]
    arrived = Verdicts()
    for i in order:
        feedback = said[i]
        assert feedback is not None
        arrived.add("key", feedback, Delivery.STORED)
        if data.draw(st.booleans()):
            arrived.add("key", feedback, Delivery.UNSENT)
    assert arrived.mark("key").verdict == "expected"
    assert arrived.mark("key").delivery is Delivery.STORED
    assert arrived.unsent == 0


def test_a_verdict_is_unsent_until_it_is_stored() -> None:
    desk = Desk()
    feedback = desk.give("confirmed")
    assert desk.verdicts.mark("key").delivery is Delivery.UNSENT
    assert desk.verdicts.unsent == 1
    desk.verdicts.deliver(feedback.feedback_id, Delivery.STORED)
    assert desk.verdicts.mark("key").delivery is Delivery.STORED
    desk.verdicts.add("key", feedback, Delivery.UNSENT)
    assert desk.verdicts.mark("key").delivery is Delivery.STORED
    assert desk.verdicts.unsent == 0


def test_a_refused_verdict_does_not_stand_and_says_so_until_the_next() -> None:
    desk = Desk()
    desk.verdicts.deliver(desk.give("confirmed").feedback_id, Delivery.STORED)
    refused = desk.give("false_positive")
    desk.verdicts.deliver(refused.feedback_id, Delivery.REFUSED)
    mark = desk.verdicts.mark("key")
    assert (mark.verdict, mark.delivery) == ("confirmed", Delivery.REFUSED)
    desk.verdicts.deliver(desk.give("expected").feedback_id, Delivery.STORED)
    mark = desk.verdicts.mark("key")
    assert (mark.verdict, mark.delivery) == ("expected", Delivery.STORED)


def test_a_delivery_known_before_its_verdict_counts() -> None:
    desk = Desk()
    desk.verdicts.deliver("f000", Delivery.STORED)
    desk.give("confirmed")
    assert desk.verdicts.mark("key").delivery is Delivery.STORED


def test_verdicts_move_with_a_merge() -> None:
    desk = Desk()
    desk.give("confirmed")
    desk.verdicts.rekey("key", "other")
    assert desk.verdicts.mark("key").verdict is None
    assert desk.verdicts.mark("other").verdict == "confirmed"


def test_verdicts_keep_their_order_when_the_clock_stands_or_goes_back() -> None:
    judge = Judge("me")
    given = [
        *judge.give([(PATTERN, None)], "confirmed", NOW),
        *judge.undo(NOW),
        *judge.give([(PATTERN, None)], "expected", NOW - 5_000_000),
    ]
    stamps = [f.timestamp for f in given]
    assert stamps == sorted(set(stamps))
    assert len(stamps) == 3


def test_mutes_and_notes_leave_the_mark_alone() -> None:
    desk = Desk()
    said = [desk.note("first"), desk.mute()]
    assert desk.verdicts.mark("key") == NO_MARK
    said.append(desk.give("confirmed"))
    desk.verdicts.deliver(said[-1].feedback_id, Delivery.STORED)
    before = desk.verdicts.mark("key")
    assert (before.verdict, before.delivery) == ("confirmed", Delivery.STORED)
    said.append(desk.note("then"))
    assert desk.verdicts.mark("key") == before
    assert desk.verdicts.notes("key") == 2
    undo = desk.undo()
    assert undo is not None
    assert desk.verdicts.mark("key") == before
    assert desk.verdicts.notes("key") == 1
    assert desk.verdicts.undone("key") == {said[-1].feedback_id}
    assert desk.verdicts.said("key") == [*said, undo]
    assert desk.verdicts.unsent == 4


def test_a_refused_note_or_undo_does_not_count() -> None:
    desk = Desk()
    note = desk.note("why")
    undo = desk.undo()
    assert undo is not None
    assert desk.verdicts.notes("key") == 0
    desk.verdicts.deliver(undo.feedback_id, Delivery.REFUSED)
    assert desk.verdicts.notes("key") == 1
    desk.verdicts.deliver(note.feedback_id, Delivery.REFUSED)
    assert desk.verdicts.notes("key") == 0
    assert desk.verdicts.delivery(note.feedback_id) is Delivery.REFUSED
    assert desk.verdicts.said("key") == [note, undo]


def test_nothing_was_said_on_an_unknown_episode() -> None:
    verdicts = Verdicts()
    assert verdicts.said("key") == []
    assert verdicts.notes("key") == 0
    assert verdicts.undone("key") == set()


@given(st.lists(st.sampled_from(["confirmed", "note", "mute", "undo"]), max_size=20), st.randoms(use_true_random=False))
def test_the_mark_is_that_of_the_verdicts_alone_in_whatever_order_all_comes(steps: list[str], random: Random) -> None:
    desk = Desk()
    said: list[Feedback] = []
    for step in steps:
        done = (
            desk.note("n")
            if step == "note"
            else desk.mute()
            if step == "mute"
            else desk.give("confirmed")
            if step == "confirmed"
            else desk.undo()
        )
        if done is not None:
            said.append(done)
    asides = {f.feedback_id for f in said if f.verdict in {"note", "mute"}}
    without = Verdicts()
    for feedback in said:
        if feedback.feedback_id not in asides and feedback.undoes not in asides:
            without.add("key", feedback, Delivery.UNSENT)
    shuffled = list(said)
    random.shuffle(shuffled)
    arrived = Verdicts()
    for feedback in shuffled:
        arrived.add("key", feedback, Delivery.UNSENT)
        arrived.mark("key")
    assert arrived.mark("key") == without.mark("key") == desk.verdicts.mark("key")
    assert arrived.said("key") == said
