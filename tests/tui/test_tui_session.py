from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given as hypothetically, settings, strategies as st

from qraft.model import EngineStats, Feedback, Pattern, Scope, SourceStats
from tui.state.board import HOLD_US
from tui.state.episodes import Episode, Episodes
from tui.state.inbox import Batch, Delivery as Delivered, Past
from tui.state.pages import Page, Pane
from tui.state.session import MESSAGE_US, Session
from tui.state.store import Store
from tui.state.undo import Judge
from tui.state.verdicts import Delivery
from tui.state.window import DEFAULT_US, Window, last

SECOND = 1_000_000
MakePattern = Callable[..., Pattern]
Fold = Callable[..., None]


def names(session: Session) -> list[str]:
    return [e.source for e in session.board.rows]


def test_the_cursor_starts_at_the_newest_and_then_follows_its_episode(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    assert names(session) == ["b", "a"]
    assert session.selected is not None
    assert session.selected.source == "b"
    feed(make_pattern(source="c"), make_pattern(source="d"), at_us=now_us + 10 * SECOND)
    assert names(session) == ["d", "c", "b", "a"]
    assert session.selected.source == "b"


def test_a_verdict_hits_the_row_that_was_painted_not_the_one_that_came_in_its_place(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    shown = make_pattern(source="a")
    feed(shown)
    session.fold(Batch(patterns=[make_pattern(source="b"), make_pattern(source="c")]), now_us)
    session.labels.judge("confirmed", now_us)
    assert [(f.pattern_id, f.source, f.detector, f.verdict, f.user) for f in given] == [
        (shown.pattern_id, "a", "drift", "confirmed", "me")
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@hypothetically(data=st.data())
def test_whatever_arrives_between_two_frames_a_key_acts_on_what_was_painted(
    make_pattern: MakePattern, now_us: int, data: st.DataObject
) -> None:
    given: list[Feedback] = []
    session = Session(Store(), Judge("me"), given.append)
    clock = now_us
    for _ in range(data.draw(st.integers(1, 12))):
        clock += data.draw(st.integers(0, 5)) * SECOND
        sources = data.draw(st.lists(st.sampled_from("abcdef"), max_size=4))
        session.fold(Batch(patterns=[make_pattern((clock - now_us) / 1e6, source=s) for s in sources]), clock)
        step = data.draw(st.sampled_from(["frame", "down", "up", "confirm"]))
        if step == "frame":
            session.frame(clock)
        elif step == "down":
            session.move(1, clock)
        elif step == "up":
            session.move(-1, clock)
        else:
            painted, count = session.selected, len(given)
            session.labels.judge("confirmed", clock)
            assert [f.pattern_id for f in given[count:]] == ([painted.peak.pattern_id] if painted else [])
        if session.board.rows:
            assert session.board.cursor in {e.key for e in session.board.rows}


def test_the_order_is_held_for_three_seconds_after_a_move_while_values_go_on(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    session.move(1, now_us)
    feed(make_pattern(1, source="a"), make_pattern(source="c"), at_us=now_us + SECOND)
    assert names(session) == ["b", "a"]
    assert [e.n for e in session.board.rows] == [1, 2]
    assert session.board.waiting == 1
    assert session.held(now_us + SECOND)
    session.frame(now_us + HOLD_US)
    assert names(session) == ["c", "a", "b"]
    assert session.board.waiting == 0
    assert session.selected is not None
    assert session.selected.source == "a"


def test_a_judged_row_leaves_a_filter_only_after_the_hold_and_the_cursor_goes_to_the_next(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(*(make_pattern(source=s) for s in "abc"))
    session.set_filter("state:new", now_us)
    session.move(1, now_us)
    session.labels.judge("confirmed", now_us)
    session.frame(now_us + SECOND)
    assert names(session) == ["c", "b", "a"]
    session.frame(now_us + HOLD_US)
    assert names(session) == ["c", "a"]
    assert session.selected is not None
    assert session.selected.source == "a"


def test_the_first_row_is_the_newest_at_once(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    session.move(1, now_us)
    session.fold(Batch(patterns=[make_pattern(source="c")]), now_us)
    session.edge(last=False, now_us=now_us)
    assert session.selected is not None
    assert session.selected.source == "c"
    session.edge(last=True, now_us=now_us)
    assert session.selected.source == "a"


def test_moves_stop_at_the_ends(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    session.move(1, now_us)
    feed(make_pattern(source="a"), make_pattern(source="b"))
    session.move(-5, now_us)
    assert session.board.cursor == session.board.rows[0].key
    session.move(50, now_us)
    assert session.board.cursor == session.board.rows[1].key


def test_frozen_nothing_moves_and_arrivals_are_counted(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"))
    session.toggle_freeze(now_us)
    feed(make_pattern(1, source="a"), make_pattern(source="b"), at_us=now_us + SECOND)
    assert [(e.source, e.n) for e in session.board.rows] == [("a", 1)]
    assert session.since_freeze == 2
    assert session.view.at_us == now_us
    session.labels.judge("false_positive", now_us)
    assert session.mark(session.board.rows[0]).verdict == "false_positive", "own verdicts show at once"
    session.toggle_freeze(now_us)
    session.frame(now_us + 2 * SECOND + HOLD_US)
    assert sorted((e.source, e.n) for e in session.board.rows) == [("a", 2), ("b", 1)]
    assert session.since_freeze == 0


def test_frozen_sources_keep_their_samples(session: Session, now_us: int) -> None:
    def heard(rate: float, at_us: int) -> None:
        source = SourceStats(source="host", rate=rate)
        session.fold(Batch(stats=[EngineStats(engine="main", timestamp="", state="running", sources=[source])]), at_us)
        session.frame(at_us)

    heard(1.0, now_us)
    session.toggle_freeze(now_us)
    heard(9.0, now_us + SECOND)
    assert [(s.stats.rate, list(s.samples)) for s in session.board.sources] == [(1.0, [(now_us // SECOND, 1.0)])]


def test_undo_takes_back_the_last_verdict_and_shows_its_row(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    session.labels.judge("confirmed", now_us)
    session.move(1, now_us)
    session.labels.judge("false_positive", now_us + 1)
    session.move(-1, now_us)
    session.labels.undo(now_us + 2)
    assert session.selected is not None
    assert session.selected.source == "a"
    assert session.mark(session.selected).verdict is None
    session.labels.undo(now_us + 3)
    assert session.selected.source == "b"
    assert [(f.verdict, f.undoes) for f in given[2:]] == [("undo", "verdict-1"), ("undo", "verdict-0")]
    assert session.reason("undo")


def test_undo_of_an_earlier_sessions_own_verdict_under_the_cursor(
    session: Session, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    mine, others = make_pattern(source="a"), make_pattern(source="b")

    def verdict(pattern: Pattern, user: str) -> Feedback:
        return Feedback(
            feedback_id=f"old-{user}",
            pattern_id=pattern.pattern_id,
            verdict="confirmed",
            timestamp=pattern.timestamp,
            user=user,
        )

    session.fold(Batch(past=[Past(mine, verdict(mine, "me")), Past(others, verdict(others, "ann"))]), now_us)
    session.frame(now_us)
    session.board.cursor = others.pattern_id
    assert session.reason("undo"), "another's verdict is not mine to take back"
    session.board.cursor = mine.pattern_id
    assert not session.reason("undo")
    session.labels.undo(now_us)
    assert [(f.verdict, f.undoes) for f in given] == [("undo", "old-me")]


def test_a_filter_that_cannot_be_read_leaves_the_old_one(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    assert session.set_filter("src:a", now_us)
    assert not session.set_filter("src:a kind:x", now_us)
    assert session.filter.text == "src:a"
    assert "kind" in session.filter_error
    assert names(session) == ["a"]
    session.back(now_us)
    assert names(session) == ["b", "a"]
    assert session.filter_error == ""


def test_an_age_filter_lets_go_as_time_goes_by(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(make_pattern(source="a"))
    session.set_filter("age<1m", now_us)
    assert names(session) == ["a"]
    session.frame(now_us + 61 * SECOND)
    assert names(session) == []


def test_sorting(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(make_pattern(source="a", confidence=0.7), make_pattern(1, source="a"), make_pattern(source="b", confidence=0.9))
    session.next_sort(now_us)
    assert (session.sort_name(Pane.EPISODES), names(session)) == ("score↓", ["b", "a"])
    session.reverse_sort(now_us)
    assert (session.sort_name(Pane.EPISODES), names(session)) == ("score↑", ["a", "b"])
    session.next_sort(now_us)
    assert (session.sort_name(Pane.EPISODES), names(session)) == ("n↓", ["a", "b"])
    session.next_sort(now_us)
    assert (session.sort_name(Pane.EPISODES), names(session)) == ("source↑", ["a", "b"])
    session.next_sort(now_us)
    assert (session.sort_name(Pane.EPISODES), names(session)) == ("last↓", ["b", "a"])


def layers(session: Session) -> set[str]:
    """What escape has still to take off."""
    there = {
        "marks": session.board.marked,
        "zoom": session.zoomed,
        "pane": session.pane is not Pane.EPISODES,
        "filter": session.filter,
        "past": session.past,
    }
    return {name for name, one in there.items() if one}


def test_layers_are_peeled_one_by_one(session: Session, feed: Fold, make_pattern: MakePattern, now_us: int) -> None:
    feed(make_pattern())
    source = SourceStats(source="host")
    session.fold(Batch(stats=[EngineStats(engine="main", timestamp="", state="running", sources=[source])]), now_us)
    session.frame(now_us)
    session.pane = Pane.SOURCES
    session.enter(now_us)
    assert (session.pane, session.filter.text) == (Pane.EPISODES, "src:host")
    session.enter(now_us)
    assert (session.page, session.opened) == (Page.EPISODE, session.board.selected)
    assert session.opened is not None
    assert session.targets == [session.opened]
    episode = session.opened
    session.back(now_us)
    assert (session.page, session.pane, session.filter.text) == (Page.LIVE, Pane.EPISODES, "src:host")
    session.show_window(last(DEFAULT_US, now_us), now_us)
    assert session.past is not None
    session.past.answer([(episode, None)], {}, 1)
    session.frame(now_us)
    session.board.toggle_mark(now_us)
    session.pane, session.zoomed = Pane.DETAIL, True
    peeled = []
    while before := layers(session):
        session.back(now_us)
        peeled.append(before - layers(session))
    assert peeled == [{"marks"}, {"zoom"}, {"pane"}, {"filter"}, {"past"}]
    session.back(now_us)
    assert not layers(session)


def test_actions_that_can_do_nothing_say_why(session: Session, feed: Fold, make_pattern: MakePattern) -> None:
    assert "no episode" in session.reason("confirm")
    feed(make_pattern())
    assert session.reason("confirm") == ""
    session.pane = Pane.SOURCES
    assert "press 2" in session.reason("false_positive")
    assert "no source" in session.reason("enter")
    session.pane = Pane.DETAIL
    assert session.reason("confirm") == ""
    assert "no order" in session.reason("sort")


def test_a_refused_verdict_is_said_and_messages_go_after_a_while(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern())
    session.labels.judge("confirmed", now_us)
    session.fold(Batch(deliveries=[Delivered("verdict-0", "the stream refuses it")]), now_us)
    assert session.message is not None
    assert "the stream refuses it" in session.message.text
    assert session.mark(session.board.rows[0]).delivery is Delivery.REFUSED
    session.fold(Batch(), now_us + MESSAGE_US)
    assert session.message is None


def test_a_merge_keeps_the_cursor_on_its_episode(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(0), make_pattern(0, source="b"), make_pattern(480))
    late = next(e for e in session.board.rows if e.source == "host" and e.last_us > now_us)
    session.board.cursor = late.key
    feed(make_pattern(240))
    assert session.selected is not None
    assert (session.selected.source, session.selected.n) == ("host", 3)


def test_a_second_thought_replaces_the_first_verdict_even_when_the_peak_has_moved(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    first = make_pattern(confidence=0.7)
    feed(first)
    session.labels.judge("confirmed", now_us)
    assert "already" in session.reason("confirm")
    assert not session.reason("false_positive")
    feed(make_pattern(1, confidence=0.9), at_us=now_us + HOLD_US)
    session.labels.judge("false_positive", now_us + HOLD_US)
    assert [f.pattern_id for f in given] == [first.pattern_id, first.pattern_id]
    assert session.mark(session.board.rows[0]).verdict == "false_positive"


def test_screens_are_left_the_way_they_were_entered(session: Session, now_us: int) -> None:
    for page in (Page.SOURCES, Page.HISTORY, Page.FEEDBACK, Page.HISTORY):
        session.go(page)
    assert session.trail == [Page.LIVE, Page.SOURCES, Page.FEEDBACK]
    seen = []
    for _ in range(4):
        session.back(now_us)
        seen.append(session.page)
    assert seen == [Page.FEEDBACK, Page.SOURCES, Page.LIVE, Page.LIVE]
    session.go(Page.PIPE)
    session.go(session.before)
    session.go(session.before)
    assert (session.page, session.before) == (Page.PIPE, Page.LIVE)


@hypothetically(pages=st.lists(st.sampled_from(Page), max_size=30))
def test_whatever_screens_were_shown_back_ends_at_live(pages: list[Page]) -> None:
    session = Session(Store(), Judge("me"), lambda _: None)
    for page in pages:
        session.go(page)
    assert len(session.trail) == len(set(session.trail)) < len(Page)
    for _ in range(len(Page)):
        session.back(0)
    assert session.page is Page.LIVE


def test_escape_on_another_screen_leaves_it_although_rows_are_marked_in_the_list(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"), make_pattern(source="b"))
    session.board.toggle_mark(now_us)
    session.go(Page.SOURCES)
    session.back(now_us)
    assert session.page is Page.LIVE
    assert session.board.marked, "marks are peeled where they are seen"


def test_freeze_steps_forward_and_counts_since_it_began(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"))
    session.toggle_freeze(now_us)
    feed(make_pattern(source="b"), at_us=now_us + SECOND)
    assert names(session) == ["a"]
    session.step(now_us + SECOND)
    session.frame(now_us + SECOND)
    assert (names(session), session.since_freeze, session.view.at_us) == (["b", "a"], 1, now_us + SECOND)


def test_a_window_of_the_past_takes_the_place_of_now_and_back(
    session: Session, feed: Fold, make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern(source="a"))
    session.toggle_freeze(now_us)
    session.shift(-1, now_us)
    assert session.frozen is None, "the past stands still by itself"
    assert session.window == Window(now_us - 3 * DEFAULT_US // 2, now_us - DEFAULT_US // 2)
    assert names(session) == []
    assert session.past is not None
    session.past.answer([(old(make_pattern, now_us, "z"), None)], {}, 7)
    session.frame(now_us)
    assert names(session) == ["z"]
    session.zoom_time(1, now_us)
    assert session.window is not None
    assert session.window.length_us == 2 * DEFAULT_US
    while session.window is not None:
        session.shift(1, now_us)
    assert names(session) == ["a"]


def old(make_pattern: MakePattern, now_us: int, source: str) -> Episode:
    """An episode of an hour ago."""
    episode = Episodes().add(make_pattern(-3600, source=source), now_us - 3600 * SECOND)
    assert episode is not None
    return episode


def test_what_is_said_in_the_past_reaches_the_live_list_and_the_other_way_round(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    pattern = make_pattern()
    feed(pattern)
    episode = session.board.rows[0]
    session.show_window(Window(now_us - SECOND, now_us + SECOND), now_us)
    assert session.past is not None
    session.past.answer([(episode, None)], {}, 1)
    session.frame(now_us)
    session.labels.judge("confirmed", now_us)
    assert [f.pattern_id for f in given] == [pattern.pattern_id]
    assert session.store.ledger.mark(episode).verdict == "confirmed"
    session.show_window(None, now_us)
    session.frame(now_us)
    assert session.mark(session.board.rows[0]).delivery is Delivery.UNSENT
    session.fold(Batch(deliveries=[Delivered(given[0].feedback_id)]), now_us)
    assert session.mark(episode).delivery is Delivery.STORED


def test_a_verdict_of_an_episode_that_is_nowhere_live_stands_in_every_list_it_is_read_into(
    session: Session, make_pattern: MakePattern, now_us: int
) -> None:
    """The database does not know yet what was just said, and may be asked again at once."""
    episode = old(make_pattern, now_us, "z")
    for _ in range(2):
        session.pages.begin("asked", Window(0, now_us))
        session.pages.answer("asked", [(episode, None)], more="", total=1, seconds=0.1, first=True)
        session.retell(session.pages.ledger)
        session.go(Page.HISTORY)
        session.frame(now_us)
        if session.mark(episode).verdict is None:
            session.labels.judge("confirmed", now_us)
    assert (session.mark(episode).verdict, session.mark(episode).delivery) == ("confirmed", Delivery.UNSENT)
    session.labels.undo(now_us + 1)
    session.show_window(Window(0, now_us), now_us)
    assert session.past is not None
    session.past.answer([(episode, None)], {}, 1)
    session.retell(session.past.ledger)
    assert session.past.ledger.mark(episode).verdict is None


def test_several_marked_rows_are_judged_and_taken_back_as_one(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    feed(*(make_pattern(source=s) for s in "abcd"))
    session.board.toggle_range()
    session.move(2, now_us)
    session.board.toggle_range()
    assert [e.source for e in session.targets] == ["d", "c", "b"]
    session.labels.judge("expected", now_us)
    assert not session.board.marked
    assert [f.source for f in given] == ["d", "c", "b"]
    session.labels.undo(now_us + 1)
    assert {f.undoes for f in given[3:]} == {f.feedback_id for f in given[:3]}
    session.labels.redo(now_us + 2)
    assert [session.mark(e).verdict for e in session.board.rows] == ["expected", "expected", "expected", None]


def test_a_mute_hides_what_it_covers_until_it_is_taken_back(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    feed(*(make_pattern(source=s) for s in "ab"))
    episode = session.board.rows[0]
    session.labels.mute(episode, Scope(source="b"), now_us + 60 * SECOND, "everything of b", now_us)
    session.frame(now_us + HOLD_US)
    assert (names(session), session.board.hidden) == (["a"], 1)
    assert session.mark(episode).verdict is None, "a mute is no verdict"
    session.board.show_muted = True
    session.frame(now_us + HOLD_US)
    assert (names(session), session.board.hidden) == (["b", "a"], 0)
    session.board.show_muted = False
    session.labels.undo(now_us + HOLD_US)
    session.frame(now_us + 3 * HOLD_US)
    assert names(session) == ["b", "a"]
    assert [f.verdict for f in given] == ["mute", "undo"]


def test_a_note_stands_beside_the_verdict(
    session: Session, feed: Fold, given: list[Feedback], make_pattern: MakePattern, now_us: int
) -> None:
    feed(make_pattern())
    session.labels.judge("confirmed", now_us)
    session.labels.note("  seen before  ", now_us + 1)
    (episode,) = session.board.rows
    assert (given[1].verdict, given[1].note) == ("note", "seen before")
    assert session.mark(episode).verdict == "confirmed"
    assert session.store.ledger.verdicts.notes(episode.key) == 1
    session.labels.undo(now_us + 2)
    assert session.store.ledger.verdicts.notes(episode.key) == 0
    assert session.mark(episode).verdict == "confirmed"


def test_the_next_without_a_verdict_is_sought_in_the_list_in_front(
    session: Session, make_pattern: MakePattern, now_us: int
) -> None:
    found = [old(make_pattern, now_us, source) for source in "abc"]
    said = [
        Feedback(feedback_id=f"f-{e.key}", pattern_id=e.key, verdict="confirmed", timestamp=e.peak.timestamp) for e in found
    ]
    session.go(Page.HISTORY)
    session.pages.begin("asked", Window(0, now_us))
    rows = [(found[0], None), (found[1], said[1]), (found[2], None)]
    session.pages.answer("asked", rows, more="", total=3, seconds=0.1, first=True)
    session.frame(now_us)
    assert session.next_new(1, now_us)
    assert session.selected == session.pages.board.rows[2]
    assert not session.next_new(1, now_us)
    assert session.next_new(-1, now_us)
    assert session.selected == session.pages.board.rows[0]
