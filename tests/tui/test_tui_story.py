"""What the EPISODE screen knows: panes, raw events page by page, what was said, the way to those alike; and its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from qraft.model import CleanEvent, Contributor, Details, Event, Feedback, Pattern, Scope, iso_from_us
from qraft.store import RawEvent, StoredPattern
from tui.state.charts import Surroundings
from tui.state.episodes import Episode
from tui.state.raws import AGAIN_US, NEAR, RAW_PAGE, SLOWEST_US, Raws
from tui.state.session import Session
from tui.state.story import AFTER_SHARE, STRETCHES, Part, Stories, episode_of, sayings
from tui.state.verdicts import Delivery
from tui.views.episode import figure, head, labels, like, raw, why
from tui.views.text import plain, width_of

MakePattern = Callable[..., Pattern]
SECOND = 1_000_000


def episode_from(pattern: Pattern) -> Episode:
    return episode_of(StoredPattern(pattern, "", False))


def event(number: int, now_us: int, name: str = "") -> RawEvent:
    at = now_us + number * SECOND
    body = Event(event_id=name or f"event-{number}", source="host", type="row", timestamp=iso_from_us(at), payload={"x": 1})
    return RawEvent(body, at, str(number))


def said(name: str, verdict: Any, at: int, now_us: int, **more: Any) -> Feedback:
    return Feedback(
        feedback_id=name, pattern_id="p", verdict=verdict, timestamp=iso_from_us(now_us + at * SECOND), user="ann", **more
    )


# --- raw events


def test_raw_events_begin_at_the_row_that_raised_the_pattern(make_pattern: MakePattern, now_us: int) -> None:
    raws, pattern = Raws(), make_pattern(event_id="event-0")
    assert raws.wish(now_us) == "first"
    raws.loading = True
    assert raws.wish(now_us) == ""
    raws.take("first", [event(i, now_us) for i in range(-59, 61)], pattern, now_us)
    assert (raws.mark, raws.cursor, raws.selected) == ("0", "0", event(0, now_us))
    assert raws.wish(now_us) == ""


def test_without_that_row_they_begin_at_the_last_one_before(make_pattern: MakePattern, now_us: int) -> None:
    raws = Raws()
    raws.take("first", [event(i, now_us) for i in (-2, -1, 3)], make_pattern(event_id="gone"), now_us)
    assert (raws.mark, raws.cursor) == ("", "-1")


def test_more_is_loaded_near_either_end_and_the_cursor_stays_on_its_row(make_pattern: MakePattern, now_us: int) -> None:
    raws, pattern = Raws(), make_pattern(event_id="event-0")
    raws.take("first", [event(i, now_us) for i in range(-59, 61)], pattern, now_us)
    raws.move(-(60 - NEAR))
    assert raws.wish(now_us) == "earlier"
    at = raws.cursor
    raws.take("earlier", [event(i, now_us) for i in range(-59 - RAW_PAGE, -59)], pattern, now_us)
    assert (raws.cursor, len(raws.rows), raws.oldest) == (at, 180, False)
    raws.move(-1_000)
    raws.take("earlier", [event(-120, now_us)], pattern, now_us)
    assert raws.oldest
    assert raws.wish(now_us) == ""
    raws.move(1_000)
    assert raws.cursor == "60"
    assert raws.wish(now_us) == "later"


def test_where_nothing_follows_yet_it_asks_more_and_more_seldom(make_pattern: MakePattern, now_us: int) -> None:
    raws, pattern = Raws(), make_pattern(event_id="event-0")
    raws.take("first", [event(i, now_us) for i in range(-59, 1)], pattern, now_us)
    waits, now = [], now_us
    for _ in range(6):
        assert raws.wish(now) == ""
        waits.append(raws.wait_until_us - now)
        now = raws.wait_until_us
        assert raws.wish(now) == "later"
        raws.take("later", [], pattern, now)
    assert waits[0] == AGAIN_US
    assert waits == sorted(waits)
    assert waits[-1] == SLOWEST_US


def test_a_failure_is_tried_again_later(make_pattern: MakePattern, now_us: int) -> None:
    raws = Raws()
    raws.fail("ClickHouse is away", now_us)
    assert (raws.problem, raws.wish(now_us), raws.wish(now_us + AGAIN_US)) == ("ClickHouse is away", "", "first")


# --- what was said


def test_what_was_said_is_told_once_with_what_took_it_back(now_us: int) -> None:
    first, undo = said("a", "confirmed", 1, now_us), said("b", "undo", 2, now_us, undoes="a")
    note = said("c", "note", 3, now_us, note="look here")
    rows = sayings(
        [
            (note, Delivery.UNSENT),
            (first, Delivery.UNSENT),
            (first, Delivery.STORED),
            (undo, Delivery.STORED),
            (first, Delivery.UNSENT),
        ]
    )
    assert [(one.feedback.feedback_id, one.delivery, one.undo) for one in rows] == [
        ("c", Delivery.UNSENT, None),
        ("a", Delivery.STORED, undo),
    ]


def test_a_refused_undo_takes_nothing_back(now_us: int) -> None:
    first, undo = said("a", "confirmed", 1, now_us), said("b", "undo", 2, now_us, undoes="a")
    assert sayings([(first, Delivery.STORED), (undo, Delivery.REFUSED)])[0].undo is None


def test_stored_and_heard_labels_come_together(session: Session, make_pattern: MakePattern, feed: Any, now_us: int) -> None:
    pattern = make_pattern()
    feed(pattern)
    session.enter(now_us)
    assert session.opened is not None
    session.story.show(session.opened)
    stored = said("old", "expected", -60, now_us)
    session.story.take(session.opened.key, [stored], [], {})
    session.labels.judge("confirmed", now_us)
    rows = labels.rows(session, session.opened)
    assert [(r.feedback.verdict, r.delivery) for r in rows] == [
        ("confirmed", Delivery.UNSENT),
        ("expected", Delivery.STORED),
    ]
    text = "\n".join(plain(labels.row(session, one, 70)) for one in rows)
    assert "@me" in text
    assert "unsent" in text
    assert "@ann" in text


def test_a_verdict_stored_before_stands_on_the_episode(session: Session, make_pattern: MakePattern, feed: Any) -> None:
    feed(make_pattern())
    session.enter(0)
    assert session.opened is not None
    session.story.show(session.opened)
    assert session.mark(session.opened).verdict is None
    session.story.take(session.opened.key, [said("old", "expected", -60, 0)], [], {})
    assert session.mark(session.opened).verdict == "expected"


# --- the story


def test_another_episode_begins_anew_and_a_late_answer_is_not_its_own(make_pattern: MakePattern, now_us: int) -> None:
    story = Stories()
    one, two = episode_from(make_pattern()), episode_from(make_pattern())
    assert story.show(one)
    assert not story.show(one)
    assert story.wanted(now_us)
    story.part = Part.RAW
    story.widen(2)
    story.show(two)
    assert (story.part, story.step, story.drawn) == (Part.CHART, 0, "cpu_percent")
    story.take(one.key, [], [StoredPattern(one.peak, "", False)], {"": 1})
    assert not story.similar


def test_a_new_peak_keeps_pane_field_and_labels_but_not_the_raw_events(make_pattern: MakePattern, now_us: int) -> None:
    story, before = Stories(), episode_from(make_pattern())
    story.show(before)
    story.part = Part.WHY
    story.choose(before.peak, 1, 5)
    story.take(before.key, [said("a", "note", 0, now_us, note="n")], [], {})
    story.raws.take("first", [event(0, now_us)], before.peak, now_us)
    grown = msgspec.structs.replace(before, top=episode_from(make_pattern(confidence=0.9)).top, n=2)
    assert story.show(grown)
    assert (story.part, story.drawn, len(story.said), story.raws.rows) == (Part.WHY, "load1", 1, [])


def test_the_chart_follows_the_cursor_among_fields_and_stays_on_numbers(make_pattern: MakePattern) -> None:
    story, episode = Stories(), episode_from(make_pattern())
    story.show(episode)
    story.choose(episode.peak, 1, 4)
    assert story.drawn == "load1"
    story.choose(episode.peak, 99, 4)
    assert (story.line, story.drawn) == (3, "load1")
    story.choose(episode.peak, -5, 4)
    assert (story.line, story.drawn) == (0, "cpu_percent")


def test_back_leads_through_those_alike_and_a_list_begins_anew(make_pattern: MakePattern) -> None:
    story = Stories()
    a, b, c = (episode_from(make_pattern()) for _ in range(3))
    story.show(a)
    story.go_to(b, a)
    story.show(b)
    story.go_to(c, b)
    story.show(c)
    assert story.go_back() == b
    story.show(b)
    assert story.go_back() == a
    story.show(a)
    assert story.go_back() is None
    story.go_to(b, a)
    story.show(b)
    story.show(c)
    assert story.go_back() is None


def test_a_long_stretch_holds_the_moment_and_ends_by_now(make_pattern: MakePattern, now_us: int) -> None:
    story = Stories()
    story.show(episode_from(make_pattern()))
    assert story.reached("x", now_us, now_us) is None
    for _ in STRETCHES:
        story.widen(1)
    assert story.step == len(STRETCHES) - 1
    old = now_us - 400 * 86_400 * SECOND
    reach = story.reached("x", old, now_us)
    assert reach is not None
    length = reach.until_us - reach.since_us
    assert length == STRETCHES[-1][1]
    assert reach.until_us == old + int(length * AFTER_SHARE)
    assert story.reached("x", old, now_us) is None
    fresh = story.reached("y", now_us - SECOND, now_us)
    assert fresh is not None
    assert fresh.until_us == now_us


# --- words and figures


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("decades", 6.2, "by chance about once in 1.6M rows"),
        ("decades", 14.0, "by chance about once in 10^14 rows"),
        ("decades_blocks_of_3", 4.0, "blocks of 3 alone: once in 10.0k rows"),
        ("effect", 2.345, "the change is 2.35 spreads of before"),
        ("rows_before", 12_000.0, "compared with 12 000 rows before it"),
        ("gap_seconds", 312.0, "no row for 5m12s"),
        ("share", 0.987, "in 98.7 % of the rows"),
        ("no_such_thing", 3.14159, "no such thing 3.142"),
        ("z", float("inf"), "z inf"),
    ],
)
def test_numbers_of_detectors_in_words(name: str, number: float, text: str) -> None:
    assert why.number(name, number) == text


def test_why_tells_spreads_origins_numbers_and_what_no_table_holds(session: Session, make_pattern: MakePattern) -> None:
    pattern = make_pattern(
        details=Details(
            prev_state={"label": "x", "n": 100, "fields": {"load": {"mean": 1.0, "spread": 0.25}}, "peers": 4},
            new_state={"n": 1, "peers": 3, "centres": [{"load": 2.0}]},
            metrics={"decades": 6.0, "habit_decades": 0.01},
            confidence=0.8,
        ),
        contributors=[Contributor(field="load.log_return", score=0.7, origin="load", before=1.0, after=2.0),
                      Contributor(field="load", score=0.3, before=1.0, after=2.0)],
    )  # fmt: skip
    episode = episode_from(pattern)
    session.story.show(episode)
    text = [plain(why.row(session, episode, one, 90)) for one in why.rows(episode)]
    assert "load.log_return (of load)" in text[0]
    assert "1 ± 0.250" in text[1]
    assert "by chance about once in 1.0M rows" in text[2]
    assert [line.strip() for line in text[3:]] == ["peers 4 → 3"]


@pytest.mark.parametrize("width", [20, 34, 50, 60, 78, 98, 140, 298])
def test_every_line_keeps_its_width(session: Session, make_pattern: MakePattern, now_us: int, width: int) -> None:
    pattern = make_pattern(
        source="数据源-with-a-long-name", summary="价格 changed " * 9, began=iso_from_us(now_us - 9 * SECOND)
    )
    episode = msgspec.structs.replace(episode_from(pattern), n=1234, first_us=now_us - 90 * SECOND)
    session.frame(now_us)
    session.story.show(episode)
    stored = StoredPattern(pattern, "", True, "false_positive", "bo")
    session.story.take(episode.key, [], [stored], {"confirmed": 3, "false_positive": 8, "": 1})
    mute = said("m", "mute", 0, now_us, scope=Scope(source="host"), until=iso_from_us(now_us + 3600 * SECOND), note="备注")
    assert all(width_of(line) <= width for line in head.lines(session, episode, width, 5))
    assert all(width_of(why.row(session, episode, one, width)) == width - 1 for one in why.rows(episode))
    assert width_of(why.header(episode, width)) == width
    assert width_of(raw.header(width)) == width
    assert width_of(raw.row(episode, event(3, now_us), width, found=True)) == width - 1
    assert width_of(labels.header(width)) == width
    assert width_of(labels.row(session, sayings([(mute, Delivery.STORED)])[0], width)) == width - 1
    assert width_of(like.summary(session, width)) == width
    assert width_of(like.row(session, episode, stored, width)) == width - 1


def test_the_summary_of_those_alike_counts_verdicts(session: Session, make_pattern: MakePattern) -> None:
    episode = episode_from(make_pattern())
    session.story.show(episode)
    counts = {"confirmed": 3, "false_positive": 8, "expected": 0, "": 1}
    session.story.take(episode.key, [], [StoredPattern(episode.peak, "", False)], counts)
    said = plain(like.summary(session, 90)).strip()
    assert said == "12 like it: 3 confirmed, 8 false positives, 1 without a verdict"


def test_the_windows_are_the_rows_that_were_compared(make_pattern: MakePattern, now_us: int) -> None:
    events = [
        CleanEvent(event_id=str(i), source="host", entity="", time_us=now_us + i * SECOND, fields={}) for i in range(-99, 9)
    ]
    details = Details(prev_state={"n": 50}, new_state={"n": 20}, metrics={}, confidence=0.8)
    before, now = figure.windows(make_pattern(details=details), now_us, None, events)
    assert (now.since_us, now.until_us) == (now_us - 19 * SECOND, now_us)
    assert (before.since_us, before.until_us) == (now_us - 69 * SECOND, now_us - 20 * SECOND)
    began = now_us - 30 * SECOND
    before, now = figure.windows(make_pattern(details=details), now_us, began, events)
    assert (before.until_us, now.since_us) == (began - SECOND, began)
    details = Details(prev_state={"n": 1000}, new_state={"n": 1}, metrics={}, confidence=0.8)
    before, now = figure.windows(make_pattern(details=details), now_us, None, events)
    assert (now.since_us, now.until_us) == (now_us, now_us)
    assert before.since_us == now_us - 1000 * SECOND


def test_a_feature_that_is_not_stored_is_drawn_by_its_origin(make_pattern: MakePattern, now_us: int) -> None:
    field = Contributor(field="price.log_return", score=1.0, origin="price")
    known = Surroundings(make_pattern(), now_us)
    assert figure.stored_field(field, known) == "price.log_return"
    known.events = [CleanEvent(event_id="1", source="s", entity="", time_us=now_us, fields={"price": 1.0})]
    assert figure.stored_field(field, known) == "price"
