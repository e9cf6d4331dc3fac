from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qraft.model import Feedback, iso_from_us
from tui.feed import outbox
from tui.feed.base import FeedDown, FeedRefused
from tui.feed.fake import World
from tui.feed.outbox import Outbox
from tui.history import backfill
from tui.history.backfill import Backfill
from tui.history.fake import FakeHistory
from tui.state.inbox import Batch, Delivery, Inbox, Past
from tui.state.journal import Journal, JournalError

NOW = 1_800_000_000_000_000


def feedback(number: int) -> Feedback:
    return Feedback(
        feedback_id=f"id-{number}", pattern_id="p", verdict="confirmed", timestamp=iso_from_us(NOW + number), source="host"
    )


class Line:
    """A way out that can be cut, and that refuses some verdicts."""

    def __init__(self) -> None:
        self.up = True
        self.refused: set[str] = set()
        self.sent: list[str] = []
        self.tried = 0

    async def run(self, inbox: Inbox) -> None:
        raise NotImplementedError

    async def send(self, feedback: Feedback) -> None:
        await asyncio.sleep(0)
        self.tried += 1
        if not self.up:
            raise FeedDown("cut")
        if feedback.feedback_id in self.refused:
            raise FeedRefused("not wanted")
        self.sent.append(feedback.feedback_id)


@pytest.fixture
def line() -> Line:
    return Line()


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_verdicts_go_out_in_order_and_leave_the_journal(tmp_path: Path, line: Line) -> None:
    journal, inbox = Journal(tmp_path), Inbox()
    box = Outbox(journal, line, inbox)
    for number in range(3):
        box.put(feedback(number))
    assert len(journal.unsent()) == 3
    async with running(box.run()):
        await until(lambda: not journal.unsent())
    assert line.sent == ["id-0", "id-1", "id-2"]
    assert inbox.drain().deliveries == [Delivery("id-0"), Delivery("id-1"), Delivery("id-2")]


async def test_what_cannot_be_sent_waits_and_survives_a_restart(
    tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.01)
    line.up = False
    box = Outbox(Journal(tmp_path), line, Inbox())
    box.put(feedback(1))
    async with running(box.run()):
        await until(lambda: line.tried >= 3)
    assert line.sent == []

    inbox = Inbox()
    again = Outbox(Journal(tmp_path), line, inbox)
    assert again.reload() == [feedback(1)]
    line.up = True
    async with running(again.run()):
        await until(lambda: not Journal(tmp_path).unsent())
    assert line.sent == ["id-1"]
    assert inbox.drain().deliveries == [Delivery("id-1")]


async def test_it_goes_on_by_itself_when_the_way_is_free(
    tmp_path: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.01)
    line.up = False
    box = Outbox(Journal(tmp_path), line, Inbox())
    async with running(box.run()):
        box.put(feedback(1))
        await until(lambda: line.tried >= 2)
        line.up = True
        await until(lambda: line.sent == ["id-1"])
        box.put(feedback(2))
        await until(lambda: line.sent == ["id-1", "id-2"])


async def test_a_refused_verdict_does_not_block_those_behind_it(tmp_path: Path, line: Line) -> None:
    line.refused = {"id-0"}
    inbox = Inbox()
    box = Outbox(Journal(tmp_path), line, inbox)
    box.put(feedback(0))
    box.put(feedback(1))
    async with running(box.run()):
        await until(lambda: not Journal(tmp_path).unsent())
    assert line.sent == ["id-1"]
    assert inbox.drain().deliveries == [Delivery("id-0", "not wanted"), Delivery("id-1")]


async def test_without_a_journal_a_verdict_is_sent_all_the_same(tmp_path: Path, line: Line) -> None:
    (tmp_path / "unsent").write_text("in the way")
    box = Outbox(Journal(tmp_path / "unsent"), line, Inbox())
    with pytest.raises(JournalError):
        box.put(feedback(0))
    async with running(box.run()):
        await until(lambda: line.sent == ["id-0"])


async def test_the_list_is_filled_once_the_database_answers_and_once_more_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfill, "RETRY_SECONDS", 0.01)
    history, inbox = FakeHistory([Past(World().pattern(NOW))]), Inbox()
    history.up = False
    filler = Backfill(history, inbox, again_seconds=0.05)
    seen = Batch()

    def collected() -> Batch:
        batch = inbox.drain()
        seen.past += batch.past
        seen.history += batch.history
        return seen

    async with running(filler.run()):
        filler.want()
        await until(lambda: collected().history)
        assert seen.past == []
        assert "ClickHouse" in seen.history[0]
        history.up = True
        await until(lambda: len(collected().past) == 2)
        assert seen.history[-1] == ""
        await asyncio.sleep(0.2)
        assert len(collected().past) == 2, "once at once, once for what was stored a little later, and no more"
