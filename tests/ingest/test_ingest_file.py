from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.config.sources import FileSource
from qraft.ingest import NotConnected, SourceError, make_adapter
from qraft.ingest.files import read_rows
from qraft.model import Event

NOW = 1_700_000_000_000_000


def adapter(path: Path, sink: Any, resume: str | None = None, **keys: Any) -> Any:
    source = FileSource(adapter="file", path=str(path), **keys)
    return make_adapter("s", source, sink, resume=resume, clock=lambda: NOW)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("t,a\n" + "".join(f"{n},{n * n}\n" for n in range(3000)) + "broken\n3001,1\n")
    return path


async def test_replay_reads_every_row_and_ends(table: Path, sink: Any) -> None:
    await adapter(table, sink, mode="replay", time="t").run()
    assert sink.events == [row for row in read_rows(table, "s", time="t") if isinstance(row, Event)]
    assert len(sink.events) == 3001
    assert [letter.original for letter in sink.letters] == [b"broken"]
    assert max(len(batch) for batch in sink.batches) <= 500
    assert len(sink.batches) < 40


async def test_without_time_it_is_the_time_of_arrival(table: Path, sink: Any) -> None:
    await adapter(table, sink, mode="replay").run()
    assert {event.timestamp for event in sink.events} == {"2023-11-14T22:13:20.000000Z"}
    assert sink.letters[0].timestamp == "2023-11-14T22:13:20.000000Z"


async def test_replay_and_tail_give_the_same_ids(table: Path, sink: Any, tmp_path: Path) -> None:
    await adapter(table, sink, mode="replay", time="t").run()
    replayed = [event.event_id for event in sink.events]
    sink.batches.clear()
    task = asyncio.create_task(adapter(table, sink, mode="tail", time="t").run())
    await sink.until(lambda: len(sink.events) >= 3001)
    with table.open("a") as file:
        file.write("4000,1\n")
    await sink.until(lambda: len(sink.events) >= 3002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event.event_id for event in sink.events][:-1] == replayed


def rotate(path: Path, text: str) -> None:
    path.rename(path.with_name(path.name + ".1"))
    path.write_text(text)


async def test_a_rotation_under_a_running_adapter(table: Path, sink: Any) -> None:
    task = asyncio.create_task(adapter(table, sink, mode="tail", time="t").run())
    await sink.until(lambda: len(sink.events) >= 3001)
    rotate(table, "t,a\n5000,1\n")
    await sink.until(lambda: len(sink.events) >= 3002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sink.events[-1].payload == {"t": "5000", "a": "1"}


async def test_faults_end_the_adapter_with_a_sentence(tmp_path: Path, sink: Any) -> None:
    with pytest.raises(NotConnected, match="no such file yet"):
        await adapter(tmp_path / "a.csv", sink, mode="tail").run()
    with pytest.raises(SourceError, match="no such file; check path"):
        await adapter(tmp_path / "a.csv", sink, mode="replay").run()
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match='has no column "when"'):
        await adapter(tmp_path / "a.csv", sink, mode="tail", time="when").run()
    with pytest.raises(SourceError, match="set format"):
        await adapter(tmp_path / "a.log", sink, mode="tail").run()


@pytest.fixture
def damaged(table: Path) -> Path:
    packed = table.with_name("data.csv.gz")
    whole = gzip.compress(table.read_bytes())
    packed.write_bytes(whole[: len(whole) // 2])
    return packed


async def test_rows_before_a_damaged_place_are_sent(damaged: Path, sink: Any) -> None:
    with pytest.raises(SourceError, match="break off"):
        await adapter(damaged, sink, mode="replay").run()
    assert len(sink.events) > 500


async def test_rate_spreads_the_rows(tmp_path: Path, sink: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n" + "1\n" * 60)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await adapter(path, sink, mode="replay", rate=200.0).run()
    assert loop.time() - begun > 0.2
    assert len(sink.events) == 60
    assert len(sink.batches) > 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(stops=st.lists(st.integers(min_value=1, max_value=1200), max_size=5), packed=st.booleans())
def test_any_kill_point_gives_each_row_once(tmp_path: Path, stops: list[int], packed: bool) -> None:
    """A run is cancelled when so many events were stored, and resumes behind the last of them."""
    rows = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n % 7) if n % 50 else b"broken %d\n" % n for n in range(1, 2000))
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(rows) if packed else rows)
    stored: list[Event] = []
    dead: set[bytes] = set()

    class Dying:
        when_full = "block"
        pressed = False

        def ready(self) -> None: ...

        def __init__(self, left: int) -> None:
            self.left = left
            self.over = asyncio.Event()

        async def send(self, events: Any) -> None:
            if self.left <= 0:
                await asyncio.Event().wait()
            stored.extend(events)
            self.left -= len(events)
            if self.left <= 0:
                self.over.set()

        async def dead(self, letters: Any) -> None:
            dead.update(letter.original for letter in letters)

    async def run() -> None:
        for stop in stops:
            sink = Dying(stop)
            resume = stored[-1].meta["cursor"] if stored else None
            task = asyncio.create_task(adapter(path, sink, resume, mode="replay").run())
            over = asyncio.create_task(sink.over.wait())
            await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
            for each in (task, over):
                each.cancel()
                await asyncio.wait({each})
        await adapter(path, Dying(10**9), stored[-1].meta["cursor"] if stored else None, mode="replay").run()

    asyncio.run(run())
    assert [event.payload["a"] for event in stored] == [str(n) for n in range(1, 2000) if n % 50]
    assert len({event.event_id for event in stored}) == len(stored)
    assert len(dead) == 39
