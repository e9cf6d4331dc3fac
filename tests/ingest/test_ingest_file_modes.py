"""Replay of several files and its pace; small files that are rewritten; several files through the adapter."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qraft.config.sources import FileSource
from qraft.ingest import NotConnected, SourceError, make_adapter
from qraft.ingest.file_pace import ByRate, ByTime, FlatOut, Pace, pace_of
from qraft.ingest.file_standing import Standing
from qraft.model import Event, iso_from_us

NOW = 1_700_000_000_000_000


def adapter(path: Path | str, sink: Any, resume: str | None = None, **keys: Any) -> Any:
    source = FileSource(adapter="file", path=str(path), **keys)
    return make_adapter("s", source, sink, resume=resume, clock=lambda: NOW)


@asynccontextmanager
async def running(made: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def values(sink: Any, field: str = "n") -> list[Any]:
    return [event.payload[field] for event in sink.events]


async def test_a_replay_reads_files_in_the_order_of_their_names(tmp_path: Path, sink: Any) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"part-{number}.csv").write_text("t,n\n" + "".join(f"{k},{number}.{k}\n" for k in range(800)))
    expected = [f"{number}.{k}" for number in (1, 2, 10) for k in range(800)]
    await adapter(tmp_path / "*.csv", sink, mode="replay", file_field="file", time="t").run()
    assert values(sink) == expected
    assert {event.payload["file"] for event in sink.events} == {"part-1.csv", "part-2.csv", "part-10.csv"}
    everything = sink.events
    for stop in (0, 799, 800, 1500, 2398):
        sink.batches.clear()
        await adapter(
            tmp_path / "*.csv", sink, everything[stop].meta["cursor"], mode="replay", file_field="file", time="t"
        ).run()
        assert sink.events == everything[stop + 1 :]


async def test_a_replay_of_nothing_is_a_mistake(tmp_path: Path, sink: Any) -> None:
    with pytest.raises(SourceError, match=r"\*\.csv: no file is called so; check path"):
        await adapter(tmp_path / "*.csv", sink, mode="replay").run()


async def test_the_last_event_of_a_batch_tells_of_every_file(tmp_path: Path, sink: Any) -> None:
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("n\n" + "".join(f"{name}{k}\n" for k in range(700)))
    async with running(adapter(tmp_path / "*.csv", sink)):
        await sink.until(lambda: len(sink.events) == 2100)
    for batch in sink.batches:
        assert Standing.parse(batch[-1].meta["cursor"]).places
        assert all(event.meta["cursor"].endswith(".csv") for event in batch[:-1])
    assert len(Standing.parse(sink.events[-1].meta["cursor"]).places) == 3
    stored = [event for batch in sink.batches[:3] for event in batch]
    sink.batches.clear()
    async with running(adapter(tmp_path / "*.csv", sink, stored[-1].meta["cursor"])):
        await sink.until(lambda: len(sink.events) >= 2100 - len(stored))
        await asyncio.sleep(0.3)
    assert sorted([*(e.payload["n"] for e in stored), *values(sink)]) == sorted(f"{n}{k}" for n in "abc" for k in range(700))


async def test_a_file_of_several_that_cannot_be_read_is_told_of(tmp_path: Path, sink: Any) -> None:
    (tmp_path / "a.csv").write_text("t,n\n1,x\n")
    (tmp_path / "b.csv").write_text("n\ny\n")
    async with running(adapter(tmp_path / "*.csv", sink, time="t")):
        await sink.until(lambda: bool(sink.events and sink.notices))
    assert values(sink) == ["x"]
    ((kind, text),) = sink.notices
    assert kind == "unreadable"
    assert 'b.csv: has no column "t"' in text


Rewrite = Callable[[Path, str], None]


def replace(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def in_place(path: Path, text: str) -> None:
    with path.open("r+" if path.exists() else "w") as file:
        file.truncate()
        file.write(text)


@pytest.mark.parametrize("rewrite", [replace, in_place])
async def test_a_file_that_is_rewritten_is_read_anew(tmp_path: Path, sink: Any, rewrite: Rewrite) -> None:
    path = tmp_path / "status.json"
    in_place(path, json.dumps({"hosts": [{"n": 1}, {"n": 2}]}))
    made = adapter(path, sink, mode="whole", record="hosts")
    async with running(made):
        await sink.until(lambda: values(sink) == [1, 2])
        rewrite(path, json.dumps({"hosts": [{"n": 1}, {"n": 3}, {"n": 4}]}))
        await sink.until(lambda: values(sink) == [1, 2, 1, 3, 4])
        rewrite(path, json.dumps({"hosts": [{"n": 1}, {"n": 3}, {"n": 4}]}))
        await sink.until(lambda: values(sink) == [1, 2, 1, 3, 4, 1, 3, 4])
    assert len({event.event_id for event in sink.events}) == 8
    stored = sink.events
    for stop, rest in ((7, []), (6, [4]), (4, [1, 3, 4])):
        sink.batches.clear()
        async with running(adapter(path, sink, stored[stop].meta["cursor"], mode="whole", record="hosts")):
            await asyncio.sleep(0.6)
        assert values(sink) == rest
        assert [event.event_id for event in sink.events] == [event.event_id for event in stored[8 - len(rest) :]]


async def test_a_half_written_state_is_not_taken(tmp_path: Path, sink: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,x\n1,")
    async with running(adapter(path, sink, mode="whole")):
        await asyncio.sleep(0.3)
        with path.open("a") as file:
            file.write("2\n3,4\n")
        await sink.until(lambda: values(sink) == ["1", "3"])
        in_place(path, "n,x\n5,6\nbroken\n")
        await sink.until(lambda: values(sink) == ["1", "3", "5"] and bool(sink.letters))
    assert [letter.original for letter in sink.letters] == [b"broken"]


async def test_a_state_that_stays_unreadable_is_one_dead_letter(tmp_path: Path, sink: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text("hello")
    async with running(adapter(path, sink, mode="whole")):
        await sink.until(lambda: bool(sink.letters))
        path.write_text('{"n": 1}')
        await sink.until(lambda: values(sink) == [1])
    ((letter),) = sink.letters
    assert letter.original == b"hello"
    assert "not JSON" in letter.reason


async def test_several_small_files_and_where_each_stands(tmp_path: Path, sink: Any) -> None:
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps([{"n": f"{name}{k}"} for k in range(3)]))
    async with running(adapter(tmp_path / "*.json", sink, mode="whole", file_field="host")):
        await sink.until(lambda: len(sink.events) == 6)
    assert [event.payload["host"] for event in sink.events] == ["a.json"] * 3 + ["b.json"] * 3
    cursor = sink.events[-1].meta["cursor"]
    sink.batches.clear()
    in_place(tmp_path / "b.json", '[{"n": "b9"}]')
    async with running(adapter(tmp_path / "*.json", sink, cursor, mode="whole", file_field="host")):
        await sink.until(lambda: bool(sink.events))
        await asyncio.sleep(0.3)
    assert values(sink) == ["b9"]


async def test_what_cannot_be_followed(tmp_path: Path, sink: Any) -> None:
    with pytest.raises(NotConnected, match="no such file yet"):
        await adapter(tmp_path / "a.json", sink, mode="whole").run()
    with pytest.raises(SourceError, match="set format"):
        await adapter(tmp_path / "a.log", sink, mode="whole").run()


def rows(*seconds: float) -> list[Event]:
    return [
        Event(event_id=str(n), source="s", type="row", timestamp=iso_from_us(NOW + int(at * 1e6)), payload={})
        for n, at in enumerate(seconds)
    ]


async def spent(pace: Pace, *blocks: list[Event]) -> tuple[list[int], float]:
    loop = asyncio.get_running_loop()
    begun, sizes = loop.time(), []
    for block in blocks:
        for part in pace.parts(block):
            await pace.wait()
            sizes.append(len(part))
    return sizes, loop.time() - begun


async def test_the_pace_follows_the_rows_own_time() -> None:
    sizes, seconds = await spent(ByTime(10.0, 60.0), rows(0, 0.1, 1, 2), rows(2, 1.5, 4))
    assert sum(sizes) == 7
    assert sizes[0] == 2
    assert 0.39 < seconds < 2.0


async def test_long_gaps_are_cut() -> None:
    assert 0.19 < (await spent(ByTime(1.0, 0.1), rows(0, 3600, 7200)))[1] < 2.0


async def test_what_pace_the_settings_ask_for() -> None:
    assert isinstance(pace_of(0.0, 0.0, 1.0), FlatOut)
    assert isinstance(pace_of(1.0, 0.0, 1.0), ByRate)
    assert isinstance(pace_of(0.0, 1.0, 1.0), ByTime)
    assert await spent(FlatOut(), rows(*range(1000))) == ([1000], pytest.approx(0, abs=0.5))


async def test_a_replay_at_ten_times_the_speed(tmp_path: Path, sink: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,n\n" + "".join(f"{1_700_000_000 + k / 10},{k}\n" for k in range(50)))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await adapter(path, sink, mode="replay", time="t", speed=10.0).run()
    assert loop.time() - begun > 0.45
    assert len(sink.events) == 50


async def test_a_tail_in_utf16_and_in_latin1(tmp_path: Path, sink: Any) -> None:
    for encoding in ("utf-16", "latin-1"):
        sink.batches.clear()
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes("n,x\né1,ü\n".encode(encoding))
        later = encoding if encoding == "latin-1" else "utf-16-le"
        async with running(adapter(path, sink, encoding=encoding)):
            await sink.until(lambda: values(sink) == ["é1"])
            with path.open("ab") as file:
                file.write("é2,ü\n".encode(later)[:3])
                file.flush()
                await asyncio.sleep(0.25)
                file.write("é2,ü\n".encode(later)[3:])
            await sink.until(lambda: values(sink) == ["é1", "é2"])
        cursor = sink.events[-1].meta["cursor"]
        with path.open("ab") as file:
            file.write("é3,ü\n".encode(later))
        async with running(adapter(path, sink, cursor, encoding=encoding)):
            await sink.until(lambda: values(sink) == ["é1", "é2", "é3"])
        os.truncate(path, 0)
