"""Past windows, pages of history, gaps, what was said: how answers of the database are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given as hypothetically, settings, strategies as st

from qraft.model import Feedback, Pattern, Scope, SourceStats, iso_from_us
from qraft.store import StoredLabel
from tui.state.episodes import Episode, Episodes
from tui.state.find import found
from tui.state.gaps import MARGIN_US, MAX_GAPS, SOON_US, Gap, Gaps
from tui.state.inbox import Batch, LinkChange, Past as PastPattern
from tui.state.mutes import Mutes
from tui.state.past import PAGE_ROWS, Pages, Past
from tui.state.said import MAX_HEARD, Said
from tui.state.store import SourceState, Store
from tui.state.verdicts import Delivery
from tui.state.window import Window

SECOND = 1_000_000
MakePattern = Callable[..., Pattern]


def episode(pattern: Pattern) -> Episode:
    made = Episodes().add(pattern, 0)
    assert made is not None
    return made


def verdict(on: Pattern, **changes: object) -> Feedback:
    values = {"feedback_id": f"on-{on.pattern_id}", "pattern_id": on.pattern_id, "user": "ann", "timestamp": on.timestamp}
    return Feedback(**{"verdict": "confirmed", **values, **changes})  # type: ignore[arg-type]  # values of the named fields


# --- pages of history


def test_pages_follow_each_other_and_repeat_nothing(make_pattern: MakePattern) -> None:
    pages, made = Pages(), [episode(make_pattern(source=f"s{i:03d}")) for i in range(PAGE_ROWS + 10)]
    window = Window(0, 1)
    pages.begin("q", window)
    assert (pages.loading, pages.window, pages.wants_more()) == (True, window, False)
    assert pages.answer("q", [(e, None) for e in made[:PAGE_ROWS]], more="next", total=210, seconds=0.2, first=True)
    assert (len(pages.board.rows), pages.total, pages.loading, pages.seconds) == (PAGE_ROWS, 210, False, 0.2)
    assert pages.board.cursor == made[0].key
    assert not pages.wants_more()
    pages.board.cursor = made[PAGE_ROWS - PAGE_ROWS // 4].key
    assert pages.wants_more()
    pages.loading = True
    assert not pages.wants_more(), "one page at a time"
    assert pages.answer("q", [(e, None) for e in made[PAGE_ROWS - 5 :]], more="", total=None, seconds=0.1, first=False)
    assert [e.key for e in pages.board.rows] == [e.key for e in made]
    assert pages.total == 210, "later pages do not count anew"
    assert pages.board.cursor == made[PAGE_ROWS - PAGE_ROWS // 4].key
    assert not pages.wants_more()


def test_an_answer_to_an_older_question_is_not_taken(make_pattern: MakePattern) -> None:
    pages, one, other = Pages(), episode(make_pattern(source="a")), episode(make_pattern(source="b"))
    pages.begin("old", Window(0, 1))
    pages.begin("new", Window(0, 2))
    assert not pages.answer("old", [(one, None)], more="x", total=1, seconds=0.1, first=True)
    pages.fail("old", "too late")
    assert (pages.board.rows, pages.loading, pages.problem) == ([], True, "")
    assert pages.answer("new", [(other, None)], more="", total=1, seconds=0.1, first=True)
    assert [e.source for e in pages.board.rows] == ["b"]


def test_rows_stay_until_the_first_answer_and_a_problem_leaves_them(make_pattern: MakePattern) -> None:
    pages, one, other = Pages(), episode(make_pattern(source="a")), episode(make_pattern(source="b"))
    pages.begin("a", Window(0, 1))
    pages.answer("a", [(one, None)], more="x", total=9, seconds=0.1, first=True)
    pages.board.marked = {one.key}
    pages.begin("b", Window(0, 1))
    assert [e.source for e in pages.board.rows] == ["a"]
    pages.fail("b", "ClickHouse does not answer")
    assert ([e.source for e in pages.board.rows], pages.problem) == (["a"], "ClickHouse does not answer")
    assert not pages.wants_more(), "what failed is not asked again by itself"
    pages.begin("b", Window(0, 1))
    pages.answer("b", [(other, None)], more="", total=1, seconds=0.1, first=True)
    assert ([e.source for e in pages.board.rows], pages.problem) == (["b"], "")
    assert not pages.board.marked, "marks on rows that are gone"
    assert pages.board.cursor == other.key


def test_a_window_takes_its_answer_and_its_problem(make_pattern: MakePattern) -> None:
    past, made = Past(Window(5, 9)), [episode(make_pattern(-i, source=s)) for i, s in enumerate("ab")]
    before = past.view(0).stamp
    past.answer([(made[0], verdict(made[0].peak)), (made[1], None)], {"a": SourceState(SourceStats("a"), "", 9)}, 77)
    view = past.view(0)
    assert [e.source for e in view.episodes] == ["a", "b"]
    assert (view.at_us, list(view.sources), past.total, past.answered) == (9, ["a"], 77, True)
    assert view.ledger.mark(made[0]).verdict == "confirmed"
    assert view.stamp != before != past.view(1).stamp, "what changes is painted"
    past.fail("away")
    assert past.view(0).stamp != view.stamp
    assert past.problem == "away"


# --- gaps


def test_a_gap_lasts_from_the_last_word_to_the_next(make_pattern: MakePattern, now_us: int) -> None:
    store = Store()
    store.fold(Batch(links=[LinkChange(False)]), now_us)
    store.fold(Batch(links=[LinkChange(True)], patterns=[make_pattern()]), now_us + SECOND)
    assert store.gaps.all() == [], "before the first connection nothing is missed"
    store.fold(Batch(links=[LinkChange(False)]), now_us + 9 * SECOND)
    assert store.gaps.all() == [Gap(now_us + SECOND)]
    store.fold(Batch(links=[LinkChange(False, "again")]), now_us + 10 * SECOND)
    store.fold(Batch(links=[LinkChange(True)]), now_us + 20 * SECOND)
    assert store.gaps.all() == [Gap(now_us + SECOND, now_us + 20 * SECOND)]
    found = [PastPattern(make_pattern(at, source=f"s{at}")) for at in (-60, 0.5, 10, 20, 30)]
    store.fold(Batch(past=found), now_us + 21 * SECOND)
    store.fold(Batch(past=found), now_us + 22 * SECOND)
    filled = [Gap(now_us + SECOND, now_us + 20 * SECOND, 5)]
    assert store.gaps.all() == filled, "what was known before does not count; of a recording event times lie anywhere"
    late = [PastPattern(make_pattern(at, source=f"late{at}")) for at in (-60, 30)]
    store.fold(Batch(past=late), now_us + 90 * SECOND)
    assert store.gaps.all() == filled, "what is found much later was not missed in the gap"


@hypothetically(st.lists(st.tuples(st.sampled_from(["open", "close", "fill"]), st.integers(0, 100)), max_size=60))
def test_gaps_never_overlap_backwards_and_are_bounded(steps: list[tuple[str, int]]) -> None:
    gaps, clock = Gaps(), 0
    for name, wait in steps:
        clock += wait * SECOND
        before = sum(gap.filled for gap in gaps.all())
        if name == "fill":
            gaps.fill(clock, clock)
        else:
            getattr(gaps, name)(clock)
        known = gaps.all()
        fits = any(g.since_us - MARGIN_US <= clock <= (g.until_us or clock) for g in known)
        fits |= bool(known) and 0 <= clock - known[-1].until_us <= SOON_US
        if name == "fill":
            assert sum(gap.filled for gap in gaps.all()) == before + fits
    known = gaps.all()
    assert len(known) <= MAX_GAPS
    assert all(gap.until_us == 0 or gap.until_us >= gap.since_us for gap in known)
    assert all(gap.until_us for gap in known[:-1]), "only the last may be open"
    assert [gap.since_us for gap in known] == sorted(gap.since_us for gap in known)


# --- what was said


def label(feedback: Feedback, **changes: object) -> StoredLabel:
    made = StoredLabel(feedback, False, feedback.source, "entity", "drift", "drift", "cpu moved", feedback.timestamp)
    return replace(made, **changes)  # type: ignore[arg-type]  # values of the named fields


def frame(said: Said, now_us: int, text: str = "", mutes: Mutes | None = None) -> list[str]:
    said.frame(mutes or Mutes(), "me", text, now_us)
    return [e.key for e in said.rows]


def test_in_a_past_window_stands_what_was_said_in_it(make_pattern: MakePattern, now_us: int) -> None:
    said, pattern = Said(), make_pattern(entity="btc", summary="price moved")
    for i, at in enumerate((-100, -50, 0)):
        stamp = iso_from_us(now_us + at * SECOND)
        said.hear(verdict(pattern, feedback_id=f"v{i}", timestamp=stamp), Episode.of(pattern))
    said.frame(Mutes(), "me", "", now_us, Window(now_us - 60 * SECOND, now_us))
    assert [entry.label.feedback.feedback_id for entry in said.rows] == ["v1"]
    assert (said.rows[0].label.entity, said.rows[0].label.summary) == ("btc", "price moved"), "known before it is stored"
    said.frame(Mutes(), "me", "", now_us)
    assert len(said.rows) == 3


def test_stored_and_just_heard_stand_together_the_newest_first(make_pattern: MakePattern, now_us: int) -> None:
    said, made = Said(), [make_pattern(at, source="host") for at in (-30, -20, -10, 0)]
    told = [verdict(p, source="host") for p in made]
    said.answer([label(told[2]), label(told[1])], more="older", first=True)
    said.hear(told[3])
    said.hear(told[2])
    assert frame(said, now_us) == [told[3].feedback_id, told[2].feedback_id, told[1].feedback_id]
    assert said.rows[1].label.summary == "cpu moved", "what is stored knows more"
    said.move(9)
    assert said.cursor == told[1].feedback_id
    assert said.near_end()
    said.answer([label(told[0])], more="", first=False)
    assert frame(said, now_us)[-1] == told[0].feedback_id
    assert said.cursor == told[1].feedback_id
    assert not said.near_end()
    said.answer([label(told[3])], more="", first=True)
    assert frame(said, now_us) == [told[3].feedback_id, told[2].feedback_id]


def test_what_was_taken_back_says_so_and_the_taking_back_is_no_row(make_pattern: MakePattern, now_us: int) -> None:
    said, pattern = Said(), make_pattern(-9)
    told = verdict(pattern)
    said.answer([label(told)], more="", first=True)
    said.hear(verdict(pattern, feedback_id="undo", verdict="undo", undoes=told.feedback_id))
    assert frame(said, now_us) == [told.feedback_id]
    assert said.rows[0].label.undone


def test_mutes_that_hold_stand_above_as_rows_of_their_own(make_pattern: MakePattern, now_us: int) -> None:
    said, mutes, pattern = Said(), Mutes(), make_pattern(-9)
    until = iso_from_us(now_us + 60 * SECOND)
    mute = verdict(pattern, verdict="mute", scope=Scope(source="host"), until=until, source="host")
    mutes.add(mute)
    said.hear(mute)
    assert frame(said, now_us, mutes=mutes) == [f"mute:{mute.feedback_id}", mute.feedback_id]
    assert frame(said, now_us + 61 * SECOND, mutes=mutes) == [mute.feedback_id]
    assert said.cursor == mute.feedback_id, "the cursor goes to a row that is there"


def test_only_mine_and_a_search(make_pattern: MakePattern, now_us: int) -> None:
    said = Said()
    mine = verdict(make_pattern(-1), user="me", note="deployment")
    theirs = verdict(make_pattern(-2), user="ann", verdict="false_positive")
    said.answer([label(mine), label(theirs)], more="", first=True)
    assert frame(said, now_us, "DEPLOY") == [mine.feedback_id]
    assert frame(said, now_us, "ann !note false") == [theirs.feedback_id]
    said.mine = True
    assert frame(said, now_us) == [mine.feedback_id]
    assert frame(said, now_us, "nowhere") == []
    assert said.selected is None
    said.move(1)


def test_a_problem_stays_until_an_answer(make_pattern: MakePattern) -> None:
    said = Said(loading=True)
    said.fail("away")
    assert (said.loading, said.problem) == (False, "away")
    said.answer([], more="", first=True)
    assert said.problem == ""


def test_what_is_heard_is_bounded(make_pattern: MakePattern, now_us: int) -> None:
    said = Said()
    for _ in range(MAX_HEARD + 5):
        said.hear(verdict(make_pattern()))
    assert len(said.heard) == MAX_HEARD
    assert len(frame(said, now_us)) == MAX_HEARD


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", True), ("host", True), ("HOST run", True), ("host stop", False), ("!stop", True), ("!host", False), ("!", False)],
)
def test_words_that_must_all_stand_in_a_row(text: str, wanted: bool) -> None:
    assert found(text, "Host running") is wanted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothetically(order=st.permutations(range(4)), delivery=st.sampled_from(list(Delivery)))
def test_the_order_in_which_it_is_heard_does_not_matter(
    make_pattern: MakePattern, now_us: int, order: list[int], delivery: Delivery
) -> None:
    told = [verdict(make_pattern(at), feedback_id=f"f{at}") for at in range(3)]
    told.append(verdict(make_pattern(3), feedback_id="f3", verdict="undo", undoes="f1"))
    said = Said()
    for i in order:
        said.hear(told[i])
    assert frame(said, now_us) == ["f2", "f1", "f0"]
    assert [e.label.undone for e in said.rows] == [False, True, False]
