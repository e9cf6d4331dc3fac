"""What is asked of the database at the start, after a gap, and once more after both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.process import free_port
from qraft.model import Feedback, Pattern, Scope, iso_from_us
from qraft.store import Block, Store
from tui.history import backfill
from tui.history.backfill import MARGIN_US, RECENT, Backfill
from tui.history.clickhouse import ClickHouseHistory
from tui.history.fake import FakeHistory
from tui.state.inbox import Batch, Inbox, Past

MakePattern = Callable[..., Pattern]
Ask = tuple[int, int | None]


class Asked(FakeHistory):
    """Notes what is asked of it."""

    def __init__(self, past: list[Past]) -> None:
        super().__init__(past)
        self.asked: list[Ask] = []

    async def recent(self, limit: int, since_us: int | None = None) -> list[Past]:
        self.asked.append((limit, since_us))
        return await super().recent(limit, since_us)


@contextlib.asynccontextmanager
async def running(filler: Backfill) -> AsyncIterator[None]:
    task = asyncio.create_task(filler.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def asked(make_pattern: MakePattern) -> Asked:
    return Asked([Past(make_pattern(at)) for at in range(5)])


async def test_the_start_asks_for_the_newest_a_gap_for_all_since_it_began(asked: Asked, now_us: int) -> None:
    inbox = Inbox()
    filler = Backfill(asked, inbox, again_seconds=0.05, now_us=lambda: now_us)
    async with running(filler):
        filler.want()
        await until(lambda: len(asked.asked) == 2)
        filler.want(0)
        await until(lambda: len(asked.asked) == 4)
        filler.want(now_us + 2_000_000)
        await until(lambda: len(asked.asked) == 6)
        await asyncio.sleep(0.2)
    assert asked.asked[:4] == [(RECENT, None)] * 4
    assert asked.asked[4:] == [(20_000, now_us + 2_000_000 - MARGIN_US)] * 2


async def test_gaps_that_follow_each_other_are_asked_again_from_the_first(asked: Asked, now_us: int) -> None:
    filler = Backfill(asked, Inbox(), again_seconds=0.3, now_us=lambda: now_us)
    since = [now_us + 1_000_000, now_us + 5_000_000]
    async with running(filler):
        filler.want(since[0])
        await until(lambda: len(asked.asked) == 1)
        filler.want(since[1])
        await until(lambda: len(asked.asked) == 3)
    wanted = [at - MARGIN_US for at in since]
    assert [at for _, at in asked.asked] == [wanted[0], wanted[1], wanted[0]]


async def test_what_is_wanted_twice_before_an_answer_is_asked_for_once(
    asked: Asked, now_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "RETRY_SECONDS", 0.01)
    filler = Backfill(asked, Inbox(), again_seconds=0.05, now_us=lambda: now_us)
    filler.want(now_us)
    filler.want()
    filler.want(now_us + 1)
    async with running(filler):
        await until(lambda: len(asked.asked) == 4)
    assert asked.asked == [(RECENT, None), (20_000, now_us - MARGIN_US)] * 2


async def test_many_patterns_come_in_slices_the_oldest_first(
    asked: Asked, now_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "SLICE", 2)
    monkeypatch.setattr(backfill, "SLICE_SECONDS", 0.02)
    inbox = Inbox()
    filler = Backfill(asked, inbox, again_seconds=60, now_us=lambda: now_us)
    slices: list[list[Past]] = []

    def collected() -> list[Past]:
        if past := inbox.drain().past:
            slices.append(past)
        return [one for part in slices for one in part]

    async with running(filler):
        filler.want(now_us)
        await until(lambda: len(collected()) == 5)
    assert collected() == await FakeHistory.recent(asked, 10)
    assert len(slices) > 1


async def test_after_a_gap_come_all_patterns_verdicts_and_mutes_from_a_real_database(
    tmp_path: Path, make_pattern: MakePattern, now_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gap holds more patterns than a start asks for, of an event time long ago; verdicts on patterns from before it."""
    monkeypatch.setattr(backfill, "RETRY_SECONDS", 0.05)
    before, missed = make_pattern(0), [make_pattern(at - 500_000) for at in range(RECENT + 200)]
    lost_us = now_us + 1_000_000_000

    def said(name: str, on: Pattern, **more: object) -> Feedback:
        values: dict[str, object] = {"verdict": "confirmed", "user": "ann", "source": "host", **more}
        return Feedback(
            feedback_id=name,
            pattern_id=on.pattern_id,
            timestamp=iso_from_us(lost_us + 5_000_000),
            **values,  # type: ignore[arg-type]  # values of the fields they are named after
        )

    verdict, undo = said("v", before), said("u", before, verdict="undo", undoes="long-ago")
    long_mute = said("m", before, verdict="mute", scope=Scope(source="host"), until=iso_from_us(lost_us + 3_600_000_000))
    ended = said("e", before, verdict="mute", scope=Scope(source="host"), until=iso_from_us(lost_us + 6_000_000))
    port, inbox, seen = free_port(), Inbox(), Batch()
    server = await start_clickhouse(tmp_path / "data", port=port, log=tmp_path / "log")
    try:
        async with await Store.connect(ClickHouseAddress(server.url), database="qraft") as store:
            await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
            await store.write(Block("t:0:1-1", lost_us - 3_600_000_000, patterns=[before]))
            await store.write(
                Block("t:0:2-2", lost_us + 6_000_000, patterns=missed, feedback=[verdict, undo, long_mute, ended])
            )
    finally:
        await server.stop()
    history = ClickHouseHistory(ClickHouseAddress(f"http://127.0.0.1:{port}"), database="qraft")
    filler = Backfill(history, inbox, again_seconds=60, now_us=lambda: lost_us + 10_000_000)

    def collected() -> Batch:
        batch = inbox.drain()
        seen.past += batch.past
        seen.feedback += batch.feedback
        seen.history += batch.history
        return seen

    async with running(filler):
        filler.want(lost_us)
        await until(lambda: collected().history)
        assert "does not answer" in seen.history[0]
        server = await start_clickhouse(tmp_path / "data", port=port, log=tmp_path / "log")
        try:
            await until(lambda: len(collected().past) >= RECENT + 200 and seen.history[-1] == "")
        finally:
            await server.stop()
            await history.close()
    assert [past.pattern.pattern_id for past in seen.past] == [one.pattern_id for one in missed]
    assert {one.feedback_id for one in seen.feedback} == {"v", "u", "m", "e"}
    assert seen.feedback[-1] == long_mute
    assert long_mute in seen.feedback[:-1], "as said since, and as a mute that holds"
