"""The list of episodes: whatever arrives, the cursor and the marks stay on what they were set on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qraft.model import Details, EngineStats, Feedback, Pattern, Scope, SourceStats, iso_from_us, us_from_iso
from tui.state.board import HOLD_US, View
from tui.state.episodes import GAP_US, Episode
from tui.state.inbox import Batch
from tui.state.ledger import MAX_ORPHANS, Ledger
from tui.state.session import Session
from tui.state.store import Store
from tui.state.undo import Judge
from tui.state.verdicts import Delivery

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
SECOND = 1_000_000
SOURCES = "abcd"
MakePattern = Callable[..., Pattern]
Fold = Callable[..., None]

numbers = count()


def pattern(source: str, time_us: int, confidence: float) -> Pattern:
    return Pattern(
        pattern_id=f"b{next(numbers):06d}",
        type="drift",
        timestamp=iso_from_us(time_us),
        source=source,
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=confidence),
        contributors=[],
        detector="drift",
    )


class Listing(RuleBasedStateMachine):
    """Arrivals, moves, marks, filters, orders and mutes in any order, frames in between."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Feedback] = []
        self.session = Session(Store(), Judge("me"), self.given.append)
        self.clock = NOW_US
        self.session.frame(self.clock)

    @property
    def keys(self) -> list[str]:
        return [e.key for e in self.session.board.rows]

    def known(self, key: str) -> str:
        return self.session.store.ledger.episodes.resolve(key)

    @rule(sources=st.lists(st.sampled_from(SOURCES), max_size=4), late=st.integers(0, 900), high=st.booleans())
    def arrive(self, sources: list[str], late: int, high: bool) -> None:
        made = [pattern(s, self.clock - late * SECOND, 0.9 if high else 0.6) for s in sources]
        self.session.fold(Batch(patterns=made), self.clock)

    @rule(seconds=st.integers(0, 400))
    def time_passes(self, seconds: int) -> None:
        self.clock += seconds * SECOND

    @rule()
    def frame(self) -> None:
        """The cursor stays with its episode as long as that is listed, and every mark with its own."""
        board, held = self.session.board, self.session.held(self.clock)
        cursor, marked, rows = board.cursor, set(board.marked), self.keys
        self.session.frame(self.clock)
        if rows and self.known(cursor) in self.keys:
            assert board.cursor == self.known(cursor)
        assert board.marked == {self.known(key) for key in marked}
        if held and rows:
            assert self.keys == list(dict.fromkeys(self.known(key) for key in rows)), "held: no row changes its place"

    @rule(steps=st.integers(-3, 3))
    def move(self, steps: int) -> None:
        keys, at = self.keys, self.session.board.cursor
        self.session.move(steps, self.clock)
        if keys:
            assert self.session.board.cursor == keys[min(len(keys) - 1, max(0, keys.index(at) + steps))]

    @rule()
    def mark(self) -> None:
        at, before = self.session.board.cursor, set(self.session.board.marked)
        self.session.board.toggle_mark(self.clock)
        assert self.session.board.marked == before ^ ({at} if self.keys else set())

    @rule(text=st.sampled_from(["", "src:a,b", "state:new", "score>.7", "n>=2"]))
    def filter(self, text: str) -> None:
        self.session.set_filter(text, self.clock)

    @rule()
    def sort(self) -> None:
        self.session.next_sort(self.clock)
        assert sorted(self.keys) == sorted({e.key for e in self.session.board.rows})

    @precondition(lambda self: self.session.targets)
    @rule()
    def judge(self) -> None:
        """Exactly the rows shown as marked, or the one under the cursor."""
        board, said = self.session.board, len(self.given)
        wanted = [e for e in board.rows if e.key in board.marked] if board.marked else [board.selected]
        self.session.labels.judge("confirmed", self.clock)
        assert [f.source for f in self.given[said:]] == [e.source for e in wanted if e]
        assert not board.marked
        assert all(self.session.mark(e).verdict == "confirmed" for e in wanted if e)

    @rule(source=st.sampled_from(SOURCES), seconds=st.integers(1, 120))
    def mute(self, source: str, seconds: int) -> None:
        if (episode := self.session.board.selected) is not None:
            until_us = self.clock + seconds * SECOND
            self.session.labels.mute(episode, Scope(source=source), until_us, source, self.clock)

    @rule()
    def show_muted(self) -> None:
        self.session.board.show_muted ^= True

    @rule()
    def undo(self) -> None:
        self.session.labels.undo(self.clock)

    @invariant()
    def the_cursor_is_on_a_row(self) -> None:
        board = self.session.board
        assert not board.rows or board.cursor in self.keys
        assert len(self.keys) == len(set(self.keys))
        assert {e.key for e in self.session.targets} <= set(self.keys)

    @invariant()
    def outside_the_hold_the_rows_are_what_the_filter_and_the_mutes_let_through(self) -> None:
        session, board = self.session, self.session.board
        if session.held(self.clock):
            return
        session.frame(self.clock)
        ledger = session.store.ledger
        wanted = [e for e in ledger.episodes.newest_first() if session.filter.matches(e, ledger.mark(e), self.clock)]
        mutes = session.store.mutes
        heard = [e for e in wanted if mutes.covers(e.source, e.entity, e.type, e.detector, self.clock) is None]
        shown = wanted if board.show_muted else heard
        assert set(self.keys) == {e.key for e in shown}
        assert board.hidden == len(wanted) - len(shown)
        assert (board.total, board.waiting) == (len(ledger.episodes), 0)


Listing.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestListing = Listing.TestCase


def verdict(on: Pattern, **changes: str) -> Feedback:
    values = {"feedback_id": f"on-{on.pattern_id}", "pattern_id": on.pattern_id, "user": "ann", "timestamp": on.timestamp}
    return Feedback(**{"verdict": "confirmed", **values, **changes})  # type: ignore[arg-type]  # all are text


def test_a_ledger_of_whole_episodes_keeps_their_order_and_their_verdicts(make_pattern: MakePattern, now_us: int) -> None:
    source = Ledger()
    made = [make_pattern(-i, source=s) for i, s in enumerate("abc")]
    episodes = [e for p in made if (e := source.add(p, now_us)) is not None]
    ledger = Ledger()
    ledger.judge(verdict(made[2], verdict="expected"), Delivery.UNSENT)
    ledger.put([(episodes[0], None), (episodes[1], verdict(made[1])), (episodes[2], None)])
    assert [e.source for e in ledger.episodes.newest_first()] == ["a", "b", "c"]
    marks = [ledger.mark(e) for e in episodes]
    assert [(m.verdict, m.delivery) for m in marks] == [
        (None, Delivery.STORED),
        ("confirmed", Delivery.STORED),
        ("expected", Delivery.UNSENT),
    ]
    assert ledger.episodes.key_of(made[1].pattern_id) == episodes[1].key


def test_verdicts_whose_pattern_never_comes_are_bounded(make_pattern: MakePattern, now_us: int) -> None:
    ledger, made = Ledger(), [make_pattern(source=f"s{i}") for i in range(MAX_ORPHANS + 1)]
    for one in made:
        ledger.judge(verdict(one), Delivery.STORED)
    first, last = ledger.add(made[0], now_us), ledger.add(made[-1], now_us)
    assert first is not None
    assert last is not None
    assert (ledger.mark(first).verdict, ledger.mark(last).verdict) == (None, "confirmed")


def test_open_episodes_are_counted_by_source(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(make_pattern(source="old"), at_us=now_us - GAP_US - SECOND)
    feed(make_pattern(source="a"), make_pattern(source="a", entity="x"), make_pattern(source="b"))
    assert session.board.open_of == {"a": 2, "b": 1}
    assert session.board.new == 4


def test_the_cursor_of_the_sources_follows_its_name(session: Session, now_us: int) -> None:
    def heard(*names: str) -> None:
        sources = [SourceStats(source=name) for name in names]
        session.fold(Batch(stats=[EngineStats(engine="main", timestamp="", state="running", sources=sources)]), now_us)
        session.frame(now_us)

    heard("b", "d")
    session.board.move_source(1)
    heard("a", "b", "c", "d")
    assert session.board.selected_source is not None
    assert session.board.selected_source.stats.source == "d"
    heard("a", "b")
    assert session.board.selected_source.stats.source == "a"


def test_a_range_grows_and_shrinks_with_the_cursor(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(*(make_pattern(source=s) for s in "abcd"))
    board = session.board
    board.toggle_range()
    sizes = []
    for step in (1, 1, -1, 2):
        board.move(step, now_us)
        sizes.append(len(board.marked))
    assert sizes == [2, 3, 2, 4]
    board.toggle_range()
    board.move(-3, now_us)
    assert len(board.marked) == 4
    board.unmark()
    assert not board.marked
    board.move(1, now_us)
    assert not board.marked


def test_a_mark_follows_its_episode_into_a_merge(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(0), make_pattern(480))
    board = session.board
    late = next(e for e in board.rows if e.last_us > now_us)
    board.marked = {late.key}
    feed(make_pattern(240), at_us=now_us + HOLD_US)
    (joined,) = board.rows
    assert [e.key for e in session.targets] == [joined.key]


def test_the_next_without_a_verdict(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(*(make_pattern(source=s) for s in "abcd"))
    for source in "bc":
        session.board.cursor = next(e.key for e in session.board.rows if e.source == source)
        session.labels.judge("confirmed", now_us)
    session.board.cursor = session.board.rows[0].key

    def at() -> str:
        assert session.selected is not None
        return session.selected.source

    assert session.next_new(1, now_us)
    assert at() == "a"
    assert not session.next_new(1, now_us)
    assert at() == "a"
    assert session.next_new(-1, now_us)
    assert at() == "d"


def test_an_episode_is_open_while_it_was_touched_lately_and_its_source_is_not_past_it(
    make_pattern: MakePattern, now_us: int
) -> None:
    ledger = Ledger()
    episode = ledger.add(make_pattern(), now_us)
    assert episode is not None

    def is_open(at_us: int, newest_us: int, one: Episode = episode) -> bool:
        return View([one], ledger, {}, at_us, {"host": newest_us}, None).is_open(one)

    assert is_open(now_us + GAP_US, now_us + GAP_US)
    assert not is_open(now_us + GAP_US + 1, now_us)
    assert not is_open(now_us, now_us + GAP_US + 1)
