"""Live patterns as server-sent events: in order, each once, over breaks of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.api import sse
from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import NatsAddress, RunInfo, write_run
from qraft.embedded.nats import start_nats
from qraft.model import decode_pattern
from tests.api.sample import Serve, make_pattern, until
from tests.api.sse_reader import Sent, blocks, take

PROBLEM = "application/problem+json"
STREAM = "QRAFT_PATTERNS"


@contextlib.asynccontextmanager
async def following(client: httpx.AsyncClient, after: str = "", **wanted: Any) -> AsyncIterator[AsyncIterator[Sent]]:
    """The blocks of a stream, from the moment in which it begins."""
    headers = {"Last-Event-ID": after} if after else {}
    async with client.stream("GET", "/api/stream", params=wanted, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield blocks(answer)


async def publish(bus: Bus, numbers: Sequence[int]) -> None:
    for n in numbers:  # one at a time, since a stream tells them in the order in which they are stored
        await Publisher(bus).patterns([make_pattern(n)])


def numbers(sent: Sequence[Sent]) -> list[int]:
    known = {make_pattern(n).pattern_id: n for n in range(400)}
    return [known[one.value["pattern_id"]] for one in sent]


async def consumers(bus: Bus) -> int:
    return (await bus.jetstream().stream_info(STREAM)).state.consumer_count


async def test_patterns_come_as_they_are_published(client: httpx.AsyncClient, bus: Bus) -> None:
    await publish(bus, [0])
    async with following(client) as found:
        first = await anext(found)
        assert (first.event, first.retry, bool(first.id)) == ("", "2000", True)
        await publish(bus, [1, 2, 3])
        told = await take(found, 3)
    assert numbers(told) == [1, 2, 3]
    assert [decode_pattern(one.data) for one in told] == [make_pattern(n) for n in (1, 2, 3)]


async def test_after_a_break_what_was_missed_comes_first(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        await publish(bus, [0, 1, 2])
        seen = await take(found, 2)
    await publish(bus, [3])
    for wanted in ({"after": seen[0].id}, {"last_event_id": seen[0].id}, {"after": seen[0].id, "last_event_id": "1-1"}):
        async with following(client, **wanted) as found:
            assert numbers(await take(found, 3)) == [1, 2, 3]
    async with following(client, seen[1].id) as found:
        await publish(bus, [4])
        assert numbers(await take(found, 3)) == [2, 3, 4]


async def test_a_break_before_the_first_pattern_loses_none(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        begun = await anext(found)
    await publish(bus, [0])
    async with following(client, begun.id) as found:
        assert numbers(await take(found, 1)) == [0]


async def test_filters_narrow(client: httpx.AsyncClient, bus: Bus) -> None:
    async with (
        following(client, type="drift", source=["market", "x"]) as drifts,
        following(client, q="src:ho* score>=.54") as hosts,
        following(client, min_confidence=0.55, max_confidence=0.56, entity="BTC", detector="test") as few,
    ):
        await publish(bus, range(12))
        assert numbers(await take(drifts, 2)) == [3, 9]
        assert numbers(await take(hosts, 4)) == [4, 6, 8, 10]
        assert numbers(await take(few, 1)) == [5]


async def test_a_heartbeat_tells_how_far_a_filter_has_come(
    client: httpx.AsyncClient, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.2)
    async with following(client, q="src:nobody") as found:
        begun = await anext(found)
        await publish(bus, range(3))
        async with asyncio.timeout(60):
            async for block in found:
                assert (block.comment, block.event) == ("heartbeat", "")
                if block.id != begun.id and block.id.endswith("-3"):
                    break
    async with following(client, block.id) as found:
        await publish(bus, [3])
        assert numbers(await take(found, 1)) == [3]


async def test_what_the_stream_no_longer_holds_is_a_gap(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        await publish(bus, range(6))
        seen = await take(found, 1)
    await bus.jetstream().purge_stream(STREAM, seq=5)
    async with following(client, seen[0].id) as found:
        gap = (await take(found, 1, "gap"))[0]
        assert gap.value == {"after": seen[0].id, "missing": 3}
        assert numbers(await take(found, 2)) == [4, 5]
    async with following(client, gap.id) as found:  # the gap is told once
        assert numbers([await one_more(found)]) == [4]


async def one_more(found: AsyncIterator[Sent]) -> Sent:
    async with asyncio.timeout(60):
        async for block in found:
            if block.event:
                return block
    pytest.fail("the stream ended")


async def test_a_stream_made_anew_is_a_gap_of_unknown_size(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        await publish(bus, range(3))
        seen = await take(found, 3)
        await bus.jetstream().delete_stream(STREAM)
        await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
        await publish(bus, [10])
        gap = (await take(found, 1, "gap"))[0]
        assert gap.value == {"after": seen[2].id, "missing": None}
        assert numbers(await take(found, 1)) == [10]
    async with following(client, seen[0].id) as found:
        assert (await one_more(found)).event == "gap"
        assert numbers(await take(found, 1)) == [10]


async def test_an_id_beyond_the_stream_is_a_gap(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        begun = await anext(found)
    async with following(client, begun.id.partition("-")[0] + "-77") as found:
        assert (await take(found, 1, "gap"))[0].value["missing"] is None
        await publish(bus, [0])
        assert numbers(await take(found, 1)) == [0]


@pytest.mark.parametrize(
    ("query", "header", "field"),
    [
        ("last_event_id=x", "", "last_event_id"),
        ("last_event_id=1-99999999999999999999", "", "last_event_id"),
        ("", "nonsense", "last-event-id"),
        ("q=/x/", "", "q"),
        ("q=src:*a*a*a*a*b", "", "q"),
        ("q=scr:x", "", "q"),
        ("type=x", "", "type.0"),
        ("limit=1", "", "limit"),
    ],
)
async def test_what_cannot_be_used_is_named(alone: httpx.AsyncClient, query: str, header: str, field: str) -> None:
    answer = await alone.get(f"/api/stream?{query}", headers={"Last-Event-ID": header} if header else {})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_without_nats_there_is_no_stream(alone: httpx.AsyncClient) -> None:
    answer = await alone.get("/api/stream")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)


async def test_no_more_streams_are_open_at_once_than_fit(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_STREAMS", 1)
    async with following(client) as found:
        await anext(found)
        refused = await client.get("/api/stream")
        assert (refused.status_code, refused.headers["content-type"]) == (503, PROBLEM)
        assert int(refused.headers["retry-after"]) > 0
    async with asyncio.timeout(60):
        while True:
            async with client.stream("GET", "/api/stream") as answer:
                if answer.status_code == 200:
                    break
            await asyncio.sleep(0.05)


async def test_when_the_client_goes_the_consumer_goes(client: httpx.AsyncClient, bus: Bus) -> None:
    async with following(client) as found:
        await anext(found)
        assert await consumers(bus) == 1
    async with asyncio.timeout(60):
        while await consumers(bus):
            await asyncio.sleep(0.05)


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_however_often_it_breaks_each_comes_once_and_in_order(
    client: httpx.AsyncClient, bus: Bus, steps: list[tuple[int, int, bool]]
) -> None:
    """Publishes some, reads some, and breaks off or reads on."""
    await bus.jetstream().delete_stream(STREAM)
    await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
    async with following(client) as found:
        place = (await anext(found)).id
    published, seen = 0, list[Sent]()
    while steps or len(seen) < published:
        async with following(client, place) as found:
            while True:
                count, read, goes_on = steps.pop(0) if steps else (0, 99, False)
                await publish(bus, range(published, published + count))
                published += count
                seen += await take(found, min(read, published - len(seen)))
                if not goes_on:
                    break
        place = seen[-1].id if seen else place
    assert numbers(seen) == list(range(published))


async def test_nats_may_go_and_come_back(clickhouse_url: str, serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "nats-that-comes"
    child = await start_nats(folder, max_store=1024**3, log=folder / "nats.log")
    try:
        bus = await Bus.connect(NatsAddress(child.url), name="test")
        await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
        async with serve(child.url, clickhouse_url) as client:
            async with asyncio.timeout(60):
                while (await client.get("/api/stats")).json()["parts"]["nats"] is False:
                    await asyncio.sleep(0.05)
            async with following(client) as found:
                await publish(bus, range(3))
                seen = await take(found, 2)
                port = int(child.url.rpartition(":")[2])
                await child.stop()
                child = await start_nats(folder, port=port, max_store=1024**3, log=folder / "nats.log")
                await until(lambda: bus.connected)
                await publish(bus, range(3, 6))
                seen += await take(found, 4)
            assert numbers(seen) == list(range(6))
        await bus.close()
    finally:
        await child.stop()


async def test_a_slow_client_holds_up_itself_alone(client: httpx.AsyncClient, bus: Bus) -> None:
    count, wide = 400, "x" * 100_000
    patterns = [msgspec.structs.replace(make_pattern(n), summary=wide) for n in range(count)]
    async with following(client) as slow, following(client) as quick:
        await anext(slow)
        quickly = asyncio.create_task(take(quick, count))
        for one in patterns:
            await Publisher(bus).patterns([one])
        assert numbers(await quickly) == list(range(count))
        waiting = [info.num_pending for info in await bus.jetstream().consumers_info(STREAM)]
        assert max(count if n is None else n for n in waiting) > count // 2, "what a slow client has not read waits in NATS"
        assert numbers(await take(slow, count)) == list(range(count))


async def test_the_server_ends_while_a_stream_is_open(bus: Bus, nats_url: str, clickhouse_url: str, tmp_path: Path) -> None:
    write_run(tmp_path, RunInfo(nats_url=nats_url, clickhouse_url=clickhouse_url, pids={"engine": os.getpid()}))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "qraft.cli", "api", "--data-dir", str(tmp_path), "--port", str(port)]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=asyncio.subprocess.PIPE)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/api/stats")).json()["parts"]["nats"]:
                            break
                    await asyncio.sleep(0.1)
            async with following(client) as found:
                await publish(bus, [0])
                assert numbers(await take(found, 1)) == [0]
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(60):
                    assert [block.event async for block in found if block.event] == []
        _, said = await asyncio.wait_for(process.communicate(), 60)
        assert time.monotonic() - begun < 30, "it would wait for ever for open streams"
        assert said == b""
        assert process.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
