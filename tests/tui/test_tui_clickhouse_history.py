"""History against the real ClickHouse engine."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.process import free_port
from qraft.model import CleanEvent, Event, Feedback, Pattern, Scope, Verdict, event_id, iso_from_us, us_from_iso
from qraft.store import Block, EpisodeQuery, LabelQuery, RawRow, Store
from tui.history import clickhouse
from tui.history.base import HistoryUnavailable
from tui.history.clickhouse import EVENTS_AFTER, EVENTS_BEFORE, ClickHouseHistory

MakePattern = Callable[..., Pattern]


def arrived() -> int:
    """Rows are kept for some days from their arrival, so that must be about now."""
    return time.time_ns() // 1000


@pytest.fixture
def history(clickhouse_url: str, database: str) -> ClickHouseHistory:
    return ClickHouseHistory(ClickHouseAddress(clickhouse_url), database=database)


async def test_recent_patterns_come_oldest_first_with_the_verdict_in_force(
    clickhouse_url: str, database: str, history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    patterns = [make_pattern(at) for at in (0, 10, 20)]
    feedback = Feedback(
        feedback_id="f",
        pattern_id=patterns[1].pattern_id,
        verdict="confirmed",
        timestamp=patterns[1].timestamp,
        source="host",
        detector="drift",
        user="ann",
    )
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings())
        await store.write(Block(token="t:0:1-4", ingested_at=arrived(), patterns=patterns, feedback=[feedback]))
    try:
        found = await history.recent(2)
        assert [past.pattern.pattern_id for past in found] == [p.pattern_id for p in patterns[1:]]
        assert found[0].feedback is not None
        assert found[1].feedback is None
        assert (found[0].feedback.verdict, found[0].feedback.user, found[0].feedback.feedback_id) == (
            "confirmed",
            "ann",
            "f",
        )
        assert found[1].pattern.contributors == patterns[2].contributors
    finally:
        await history.close()


async def test_the_events_around_a_pattern(
    clickhouse_url: str, database: str, history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    pattern = make_pattern(0, entity="db-03")
    middle = us_from_iso(pattern.timestamp)
    events = [
        CleanEvent(
            event_id=f"00000000-0000-0000-0000-{i:06d}{j:06d}", source="host", entity=entity, time_us=at, fields={"x": i}
        )
        for (i, at), (j, entity) in itertools.product(
            enumerate(range(middle - 300 * 10**6, middle + 300 * 10**6, 10**6)), enumerate(("db-03", "db-04"))
        )
    ]
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings())
        await store.write(Block(token="t:0:1-9", ingested_at=arrived(), clean=events))
    try:
        found = await history.around(pattern)
    finally:
        await history.close()
    assert {e.entity for e in found} == {"db-03"}
    assert len(found) == EVENTS_BEFORE + EVENTS_AFTER
    assert sum(e.time_us <= middle for e in found) == EVENTS_BEFORE
    assert [e.time_us for e in found] == sorted(e.time_us for e in found)


@pytest.fixture
async def stored(clickhouse_url: str, database: str) -> AsyncIterator[Store]:
    """The store behind the history, with its tables."""
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
        yield store


@pytest.fixture
async def history_of(clickhouse_url: str, database: str) -> AsyncIterator[ClickHouseHistory]:
    """A history that is closed with the test."""
    history = ClickHouseHistory(ClickHouseAddress(clickhouse_url), database=database)
    yield history
    await history.close()


def said(name: str, on: Pattern, word: Verdict, at: float = 0.0, **more: Any) -> Feedback:
    when = iso_from_us(us_from_iso(on.timestamp) + round(at * 1e6))
    return Feedback(
        feedback_id=name, pattern_id=on.pattern_id, verdict=word, timestamp=when, source="host", user="ann", **more
    )


async def test_all_that_was_stored_since_a_moment_comes_not_the_newest_alone(
    stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    now = arrived()
    old, fresh = [make_pattern(at) for at in range(50)], [make_pattern(at - 90_000) for at in range(700)]
    await stored.write(Block(token="t:0:1-2", ingested_at=now - 60_000_000, patterns=old))
    await stored.write(Block(token="t:0:3-4", ingested_at=now, patterns=fresh))
    found = await history_of.recent(20_000, since_us=now - 1_000_000)
    assert [past.pattern.pattern_id for past in found] == [one.pattern_id for one in fresh]
    assert len(await history_of.recent(100, since_us=now - 1_000_000)) == 100
    assert len(await history_of.recent(20_000)) == 750


async def test_pages_of_recent_patterns_fit_together(
    stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse, "_PAGE", 7)
    patterns = [make_pattern(at) for at in range(30)]
    await stored.write(Block(token="t:0:1-2", ingested_at=arrived(), patterns=patterns))
    found = await history_of.recent(25)
    assert [past.pattern.pattern_id for past in found] == [one.pattern_id for one in patterns[5:]]


async def test_a_page_of_episodes_with_their_verdicts(
    stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    runs = [[make_pattern(start + i, confidence=0.6 + i / 100) for i in range(4)] for start in (0, 1000, 2000)]
    label = said("f", runs[1][2], "confirmed")
    await stored.write(
        Block(token="t:0:1-2", ingested_at=arrived(), patterns=list(itertools.chain(*runs)), feedback=[label])
    )
    first = await history_of.episodes(EpisodeQuery(limit=2))
    assert first.total == 3
    assert first.seconds == history_of.last_seconds > 0
    assert [row.episode.peak for row in first.rows] == [runs[2][3], runs[1][3]]
    assert [row.feedback for row in first.rows] == [None, label]
    second = await history_of.episodes(EpisodeQuery(limit=2, after=first.rows[-1].cursor))
    assert second.total is None
    (last,) = second.rows
    assert (last.episode.n, last.episode.key, last.episode.name) == (4, runs[0][0].pattern_id, "host")
    assert last.episode.peak_us == last.episode.last_us == us_from_iso(runs[0][3].timestamp)
    assert (await history_of.episodes(EpisodeQuery(limit=9))).total == 3
    assert "pattern_events" in history_of.sql(EpisodeQuery(limit=2))


async def test_the_story_of_an_episode(stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern) -> None:
    before, run, after = ([make_pattern(start + i, confidence=0.6 + i / 100) for i in range(3)] for start in (0, 1000, 2000))
    labels = [
        said("f0", before[1], "false_positive"),
        said("f1", run[0], "expected", 1),
        said("f2", run[0], "undo", 2, undoes="f1"),
        said("f3", run[2], "note", 3, note="the cable"),
        said("f4", after[0], "confirmed"),
    ]
    await stored.write(Block(token="t:0:1-2", ingested_at=arrived(), patterns=[*before, *run, *after], feedback=labels))
    rows = (await history_of.episodes(EpisodeQuery(limit=9))).rows
    story = await history_of.story(rows[1].episode)
    assert story.said == labels[1:4]
    assert [(one.pattern.pattern_id, one.verdict) for one in story.similar] == [(before[1].pattern_id, "false_positive")]
    assert story.alike_counts == {"false_positive": 1}
    assert (await history_of.story(rows[2].episode)).similar == []


async def test_the_other_questions_reach_the_store(
    stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    pattern = make_pattern(0, entity="db-03")
    middle = us_from_iso(pattern.timestamp)
    clean = [
        CleanEvent(
            event_id=event_id("host", str(i)),
            source="host",
            entity="db-03",
            time_us=middle + i * 1_000_000,
            fields={"x": float(i)},
        )
        for i in range(-5, 5)
    ]
    raw = [
        RawRow(
            Event(event_id=one.event_id, source="host", type="row", timestamp=iso_from_us(one.time_us), payload=one.fields),
            0,
            1,
            arrived(),
        )
        for one in clean
    ]
    until = iso_from_us(middle + 3_600_000_000)
    mute = said("m", pattern, "mute", scope=Scope(source="host"), until=until)
    await stored.write(
        Block(token="t:0:1-2", ingested_at=arrived(), raw=raw, clean=clean, patterns=[pattern], feedback=[mute])
    )
    shown = await history_of.raw(pattern, 2, 2)
    assert [one.event.payload["x"] for one in shown] == [-1.0, 0.0, 1.0, 2.0]
    assert [one.event.payload["x"] for one in await history_of.raw(pattern, 3, 0, cursor=shown[0].cursor)] == [-4, -3, -2]
    span = {"since_us": clean[0].time_us, "until_us": clean[-1].time_us + 1}
    points = await history_of.series("host", "db-03", "x", **span, buckets=2)
    assert [(one.low, one.high) for one in points] == [(-5.0, -1.0), (0.0, 4.0)]
    (source,) = await history_of.sources_in(span["since_us"], span["until_us"], 2)
    assert (source.source, source.counts, source.patterns) == ("host", [5, 5], 1)
    assert [one.field for one in await history_of.fields("host", span["until_us"])] == ["x"]
    assert await history_of.bounds() == (clean[0].time_us, clean[-1].time_us)
    assert [one.feedback for one in await history_of.labels(LabelQuery())] == [mute]
    assert await history_of.mutes(middle) == [mute]
    assert await history_of.mutes(middle + 7_200_000_000) == []
    assert (await history_of.counts())["pattern_events"] == 1
    history_of.last_seconds = 0.0
    await history_of.bounds()
    assert history_of.last_seconds > 0


async def test_questions_that_cannot_be_asked_are_one_sentence(
    stored: Store, history_of: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    with pytest.raises(HistoryUnavailable, match="not reached yet"):
        history_of.sql(EpisodeQuery())
    with pytest.raises(HistoryUnavailable, match="no time: yesterday"):
        await history_of.around(make_pattern(timestamp="yesterday"))
    with pytest.raises(HistoryUnavailable, match="no cursor"):
        await history_of.raw(make_pattern(), 1, 1, cursor="somewhere")
    with pytest.raises(HistoryUnavailable, match="window is empty"):
        await history_of.sources_in(5, 5, 5)


async def test_an_answer_is_waited_for_no_longer_than_said(clickhouse_url: str, database: str) -> None:
    history = ClickHouseHistory(ClickHouseAddress(clickhouse_url), database=database, answer_seconds=0.0001)
    with pytest.raises(HistoryUnavailable, match=r"has not answered within 0\.0001 s"):
        await history.bounds()
    assert history.last_seconds > 0
    await history.close()


async def test_a_database_that_comes_back_is_asked_again(tmp_path: Path, make_pattern: MakePattern) -> None:
    port = free_port()
    history = ClickHouseHistory(ClickHouseAddress(f"http://127.0.0.1:{port}"), database="qraft")
    with pytest.raises(HistoryUnavailable, match="does not answer"):
        await history.bounds()
    try:
        for _ in range(2):
            server = await start_clickhouse(tmp_path / "data", port=port, log=tmp_path / "log")
            try:
                async with await Store.connect(ClickHouseAddress(server.url), database="qraft") as store:
                    await store.migrate(StoreSettings())
                    await store.write(Block(token="t:0:1-1", ingested_at=arrived(), patterns=[make_pattern()]))
                assert await history.bounds() is not None
            finally:
                await server.stop()
            with pytest.raises(HistoryUnavailable, match="does not answer"):
                await history.bounds()
    finally:
        await history.close()


async def test_a_database_without_tables_or_without_a_server_is_one_sentence(
    history: ClickHouseHistory, make_pattern: MakePattern
) -> None:
    try:
        with pytest.raises(HistoryUnavailable, match="ClickHouse"):
            await history.recent(5)
    finally:
        await history.close()
    nobody = ClickHouseHistory(ClickHouseAddress(f"http://127.0.0.1:{free_port()}"), database="qraft")
    with pytest.raises(HistoryUnavailable, match="does not answer"):
        await nobody.around(make_pattern())
    await nobody.close()
