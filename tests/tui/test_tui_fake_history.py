"""The invented past of tests and trials: always the same, and shaped like the stored one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from qraft.config import ClickHouseAddress
from qraft.filter import parse
from qraft.model import feedback_fault
from qraft.store import EpisodeQuery, LabelQuery
from tui.feed.fake import World
from tui.history.base import History, HistoryUnavailable
from tui.history.clickhouse import ClickHouseHistory
from tui.history.fake import FakeHistory
from tui.history.invented import DAY_US, invented_episodes


def test_both_are_histories() -> None:
    histories: list[History] = [
        FakeHistory(),
        ClickHouseHistory(ClickHouseAddress("http://127.0.0.1:1"), database="qraft"),
    ]
    assert all(one.last_seconds >= 0 for one in histories)


async def test_pages_of_episodes_fit_together_and_are_the_same_again(now_us: int) -> None:
    history = FakeHistory(now_us=now_us)
    whole = await history.episodes(EpisodeQuery(limit=10_000))
    assert whole.total == len(whole.rows) > 100
    assert await history.episodes(EpisodeQuery(limit=10_000)) == whole
    rows, after = [], ""
    while page := (await history.episodes(EpisodeQuery(limit=30, after=after))).rows:
        rows += page
        after = page[-1].cursor
    assert [row.episode for row in rows] == [row.episode for row in whole.rows]
    lasts = [row.episode.last_us for row in rows]
    assert lasts == sorted(lasts, reverse=True)
    assert {row.feedback.verdict if row.feedback else "" for row in rows} >= {"", "confirmed", "false_positive", "expected"}


async def test_a_filter_and_a_window_narrow(now_us: int) -> None:
    history = FakeHistory(now_us=now_us)
    drifts = await history.episodes(EpisodeQuery(limit=10_000, filter=parse("kind:drift state:confirmed")))
    assert drifts.rows
    assert all(row.episode.type == "drift" and row.feedback for row in drifts.rows)
    short = await history.episodes(EpisodeQuery(since_us=now_us - DAY_US // 24, until_us=now_us))
    assert all(now_us - DAY_US // 24 <= row.episode.first_us < now_us for row in short.rows)
    assert 5 <= len(short.rows) <= 9


async def test_raw_events_page_both_ways(now_us: int) -> None:
    history, pattern = FakeHistory(), World().pattern(now_us)
    found = await history.raw(pattern, 3, 2)
    assert sum(one.time_us <= now_us for one in found) == 3
    older = await history.raw(pattern, 3, 0, cursor=found[0].cursor)
    newer = await history.raw(pattern, 0, 3, cursor=found[-1].cursor)
    times = [one.time_us for one in (*older, *found, *newer)]
    assert times == [now_us + i * 1_000_000 for i in range(-5, 6)]


async def test_a_story_mutes_labels_fields_and_sources(now_us: int) -> None:
    history = FakeHistory(now_us=now_us)
    (episode, _), *_ = invented_episodes(now_us - DAY_US, now_us)
    story = await history.story(episode)
    assert [one.verdict for one in story.said] == ["false_positive", "undo", "note", "confirmed"]
    assert all(one.pattern.timestamp < episode.peak.timestamp for one in story.similar)
    assert sum(story.alike_counts.values()) > len(story.similar)
    mutes = await history.mutes(now_us)
    assert [feedback_fault(one) for one in mutes] == ["", ""]
    labels = await history.labels(LabelQuery(limit=5))
    after = await history.labels(LabelQuery(limit=5, before=labels[-1].cursor))
    assert len({one.feedback.feedback_id for one in (*labels, *after)}) == 10
    assert {one.feedback.user for one in await history.labels(LabelQuery(user="bo"))} == {"bo"}
    sources = await history.sources_in(now_us - DAY_US, now_us, 40)
    assert [one.source for one in sources] == sorted(World().names)
    assert all(len(one.counts) == 40 and min(one.counts) >= 0 for one in sources)
    assert [one.field for one in await history.fields("market", now_us)] == sorted(World().fields("market"))


async def test_switched_off_it_answers_nothing(now_us: int) -> None:
    history, pattern = FakeHistory(), World().pattern(now_us)
    (episode, _), *_ = invented_episodes(now_us - DAY_US, now_us)
    history.up = False
    questions: list[Callable[[], Awaitable[object]]] = [
        lambda: history.recent(5),
        lambda: history.around(pattern),
        lambda: history.episodes(EpisodeQuery()),
        lambda: history.story(episode),
        lambda: history.raw(pattern, 1, 1),
        lambda: history.series("host", "", "load1", since_us=0, until_us=9, buckets=3),
        lambda: history.sources_in(0, 9, 3),
        lambda: history.fields("host", 9),
        history.bounds,
        lambda: history.labels(LabelQuery()),
        lambda: history.mutes(9),
        history.counts,
    ]
    for question in questions:
        with pytest.raises(HistoryUnavailable, match="switched off"):
            await question()
