"""`qraft ingest` as a process of its own, over a real NATS and a real engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qraft import cli
from qraft.bus import Bus, ensure_streams
from qraft.bus.codec import decode_message
from qraft.commands import ingest_ways
from qraft.commands.ingest_run import feed
from qraft.config import NatsAddress
from qraft.embedded.nats import start_nats
from qraft.ingest.lines import LineSettings
from qraft.model import DeadLetter, Event
from tests.e2e.harness import EngineProcess, count, until

MIB = 1024**2


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=1, max_bytes=64 * MIB)
    yield bus
    await bus.close()


async def stored(bus: Bus) -> list[Any]:
    """Everything in the event stream, in order."""
    stream = bus.jetstream()
    state = (await stream.stream_info("QRAFT_EVENTS")).state
    found: list[Any] = []
    for n in range(state.first_seq, state.last_seq + 1) if state.messages else ():
        message = await stream.get_msg("QRAFT_EVENTS", n)
        found += decode_message(message.subject or "", message.data or b"", sequence=n, arrived_us=0)
    return found


async def until_stored(bus: Bus, items: int) -> list[Any]:
    async with asyncio.timeout(20):
        while len(found := await stored(bus)) < items:
            await asyncio.sleep(0.05)
    return found


async def begin(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "qraft.cli",
        "ingest",
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


async def run(folder: Path, *arguments: str, data: bytes = b"") -> tuple[int | None, str, str]:
    process = await begin(folder, *arguments)
    out, err = await asyncio.wait_for(process.communicate(data), 60)
    return process.returncode, out.decode(), err.decode()


async def test_a_pipe_at_full_speed_in_order(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    rows = b"".join(b"%d,%d\n" % (1_700_000_000 + n, n) for n in range(20_000))
    data = b"t,n\n" + rows + b"broken\n1700000000,last"
    assert await run(tmp_path, "-s", "x", "--nats", nats_url, "--time", "t", data=data) == (
        0,
        "",
        "sent 20001 events, 1 dead letter\n",
    )
    found = await stored(bus)
    events = [item for item in found if isinstance(item, Event)]
    assert [event.payload["n"] for event in events] == [*map(str, range(20_000)), "last"]
    assert len({event.event_id for event in events}) == 20_001
    assert events[7].timestamp == "2023-11-14T22:13:27.000000Z"
    assert [item.original for item in found if isinstance(item, DeadLetter)] == [b"broken"]
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages < 200


async def test_a_line_goes_out_when_it_comes_and_ctrl_c_ends_in_order(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    process = await begin(tmp_path, "-s", "x", "--nats", nats_url, "--json")
    assert process.stdin is not None
    process.stdin.write(b'{"n": 1}\n')
    (event,) = await until_stored(bus, 1)
    assert (event.source, event.payload) == ("x", {"n": 1})
    process.stdin.write(b'{"n": 2}\n{"n":')
    await until_stored(bus, 2)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, json.loads(out), err) == (0, {"source": "x", "events": 2, "dead": 1}, b"")
    dead = (await until_stored(bus, 3))[-1]
    assert dead.original == b'{"n":'


async def test_files_one_after_the_other(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    (tmp_path / "a.csv").write_text("n;m\n1;2\n", encoding="utf-8")
    (tmp_path / "b.ndjson").write_text('{"n": 3}\n', encoding="utf-8")
    arguments = ("-s", "x", "--nats", nats_url, "--delimiter", ";", "--id", "n", "a.csv", "b.ndjson", "-")
    status, _, err = await run(tmp_path, *arguments, data=b'{"n": 4}')
    assert (status, err) == (0, "sent 3 events, 0 dead letters\n")
    assert [event.payload for event in await stored(bus)] == [{"n": "1", "m": "2"}, {"n": 3}, {"n": 4}]


async def test_a_full_stream_is_waited_for(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    await ensure_streams(bus, partitions=1, max_bytes=MIB // 2)
    process = await begin(tmp_path, "-s", "x", "--nats", nats_url)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"".join(b"%d\n" % n for n in range(20_000)))
    process.stdin.write_eof()
    assert b"the event stream is full" in await asyncio.wait_for(process.stderr.readline(), 20)
    await ensure_streams(bus, partitions=1, max_bytes=64 * MIB)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"sent 20000 events, 0 dead letters\n")
    assert [int(event.payload["value"]) for event in await stored(bus)] == list(range(20_000))


async def test_an_instance_that_goes_and_comes_back_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of `qraft up`: the same data, another port."""
    monkeypatch.setattr(ingest_ways, "LOOK_SECONDS", 0.5)
    folder, pipe = tmp_path / "nats", tmp_path / "pipe"
    os.mkfifo(pipe)
    child = await start_nats(folder, max_store=1024**3, log=tmp_path / "log")
    bus = await Bus.connect(NatsAddress(child.url), name="test")
    await ensure_streams(bus, partitions=1, max_bytes=64 * MIB)
    await bus.close()
    urls = [child.url]
    settings = LineSettings(source="x", run="r", arrival=lambda: 0)

    async def sent() -> ingest_ways.Way:
        async with ingest_ways.to_bus(lambda: NatsAddress(urls[-1])) as way:
            await feed(settings, [pipe], way)
            return way

    task = asyncio.create_task(sent())
    out = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    try:
        os.write(out, b"1\n2\n")
        await asyncio.sleep(0.3)
        await child.kill()
        os.write(out, b"3\n")
        await asyncio.sleep(0.3)
        child = await start_nats(folder, max_store=1024**3, log=tmp_path / "log")
        urls.append(child.url)
        os.write(out, b"4\n")
        os.close(out)
        done = await asyncio.wait_for(task, 30)
        assert (done.events, done.letters) == (4, 0)
        bus = await Bus.connect(NatsAddress(child.url), name="test")
        assert [event.payload["value"] for event in await stored(bus)] == ["1", "2", "3", "4"]
        await bus.close()
    finally:
        task.cancel()
        await asyncio.wait({task})
        await child.stop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-s", "a.b"), '--source "a.b": expected a name of letters, digits, - and _ only, 64 at most'),
        (("-s", "x", "--format", "xml"), '--format "xml": expected one of auto, ndjson, csv, text'),
        (("-s", "x", "--delimiter", ";;"), '--delimiter ";;": expected one character'),
        (("-s", "x", "absent.csv"), "absent.csv: no such file"),
        (("-s", "x", "-d", "nowhere"), "; start it with `qraft up`"),
        (("-s", "x", "--nats", "nats://127.0.0.1:1"), "no NATS server answers at nats://127.0.0.1:1"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ingest_ways, "OPEN_SECONDS", 0.5)
    monkeypatch.setattr(sys, "argv", ["qraft", "ingest", *arguments])
    assert cli.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qraft: ")
    assert said in err


async def test_input_that_has_no_header_is_told(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    status, _, err = await run(tmp_path, "-s", "x", "--nats", nats_url, data=b"1,2\n3,4\n")
    assert status == 1
    assert err.startswith('qraft: stdin: the first line, "1,2", holds no column names')


async def test_a_real_engine_stores_what_is_piped_in(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str
) -> None:
    engine = EngineProcess(
        tmp_path,
        {
            "nats": {"url": nats_url, "max_bytes": "64 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "engine": {"barrier_seconds": 0.5},
            "sources": {"piped": {"adapter": "external"}},
        },
    )
    engine.start()
    try:
        await until(lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 1, 60, "the engine runs")
        data = b"".join(b'{"n": %d}\n' % n for n in range(3000)) + b"garbage\n"
        config = ("--config", str(engine.config), "--data-dir", str(engine.data_dir))
        status, _, err = await run(tmp_path, "-s", "piped", *config, data=data)
        assert (status, err) == (0, "sent 3000 events, 1 dead letter\n")
        await until(lambda: count(clickhouse_url, database, "raw_events") >= 3000, 60, "the events are stored")
        await until(lambda: count(clickhouse_url, database, "dead_letters") == 1, 60, "the dead letter is stored")
        assert engine.stop() == 0
    finally:
        if engine.alive():
            engine.kill()
