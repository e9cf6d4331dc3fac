from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from qraft.config.sources import WebSocketSource
from qraft.ingest import NotConnected, SourceError, make_adapter
from qraft.ingest.records import KEPT_BYTES

NOW = 1_700_000_000_000_000


@asynccontextmanager
async def served(talk: Callable[[ServerConnection], Awaitable[None]], **keys: Any) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0, **keys) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def adapter(url: str, sink: Any, clock: Callable[[], int] = lambda: NOW, **keys: Any) -> Any:
    return make_adapter("w", WebSocketSource(adapter="websocket", url=url, **keys), sink, resume=None, clock=clock)


def saying(*messages: str | bytes) -> Callable[[ServerConnection], Awaitable[None]]:
    async def talk(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)

    return talk


async def take(sink: Any, *messages: str | bytes, **keys: Any) -> None:
    """Runs an adapter against a server that says this and closes."""
    async with served(saying(*messages)) as url:
        with pytest.raises(NotConnected, match="closed the connection with code 1000"):
            await adapter(url, sink, **keys).run()


async def test_text_binary_and_arrays_become_events(sink: Any) -> None:
    await take(sink, '{"a":1}', b'{"a":2}', '[{"a":3},{"a":4}]', "[]", '{"a":"5"}')
    assert [event.payload["a"] for event in sink.events] == [1, 2, 3, 4, "5"]
    assert {event.timestamp for event in sink.events} == {"2023-11-14T22:13:20.000000Z"}
    assert len({event.event_id for event in sink.events}) == 5
    assert sink.letters == []


async def test_what_cannot_be_used_is_a_dead_letter(sink: Any) -> None:
    await take(sink, '{"a":1', b"\x00\xff\xfe", "17", '[{"a":1},7,"hb"]', '{"a":2}')
    assert [event.payload["a"] for event in sink.events] == [1, 2]
    assert [(letter.original, letter.stage) for letter in sink.letters] == [
        (b'{"a":1', "ingest"),
        (b"\x00\xff\xfe", "ingest"),
        (b"17", "ingest"),
        (b'[{"a":1},7,"hb"]', "ingest"),
    ]
    for letter, reason in zip(sink.letters, ("not JSON", "not UTF-8", "not a JSON object", "2 of 3 elements"), strict=True):
        assert reason in letter.reason


async def test_record_and_time_at_paths(sink: Any) -> None:
    await take(
        sink,
        '{"stream":"x","data":{"E":1700000000001,"p":"1.5"}}',
        '{"ts":1700000000002,"data":{"p":"2.5"}}',
        '{"data":[{"E":1700000000003,"p":"3"},{"E":"soon","p":"4"}]}',
        '{"result":null,"id":1}',
        '{"data":{"p":"5"}}',
        record="data",
        time="E",
    )
    assert [(event.payload["p"], event.timestamp[-5:-1]) for event in sink.events] == [("1.5", "1000"), ("3", "3000")]
    reasons = [letter.reason for letter in sink.letters]
    assert 'has no "E" to take the time from' in reasons[0]
    assert "not a time: 'soon'" in reasons[1]
    assert sink.letters[1].original == b'{"E":"soon","p":"4"}'
    assert 'has no "data"' in reasons[2]


async def test_time_may_stand_around_the_record(sink: Any) -> None:
    await take(sink, '{"ts":1700000000002,"data":[{"p":1},{"p":2}]}', record="data", time="ts")
    assert [event.timestamp for event in sink.events] == ["2023-11-14T22:13:20.002000Z"] * 2


async def test_subscriptions_are_sent_on_each_connect(sink: Any) -> None:
    asked: list[Any] = []

    async def talk(connection: ServerConnection) -> None:
        asked.append([json.loads(await connection.recv()), json.loads(await connection.recv())])
        await connection.send('{"a":1}')

    clock = count(NOW).__next__
    async with served(talk) as url:
        for _ in range(2):
            with pytest.raises(NotConnected):
                await adapter(url, sink, clock, subscribe=[{"op": "subscribe"}, {"ch": ["x"]}]).run()
    assert asked == [[{"op": "subscribe"}, {"ch": ["x"]}]] * 2
    assert len({event.event_id for event in sink.events}) == 2


async def test_a_message_over_the_limit_ends_the_connection_and_is_counted(sink: Any) -> None:
    async with served(saying('{"a":1}', json.dumps({"a": "x" * 5000}))) as url:
        with pytest.raises(NotConnected, match="longer than 4096 bytes ended the connection; raise max_message_bytes"):
            await adapter(url, sink, max_message_bytes=4096).run()
    assert len(sink.events) == 1
    assert "longer than 4096 bytes" in sink.letters[0].reason


async def test_a_record_too_large_for_the_bus_is_a_dead_letter(sink: Any) -> None:
    large = {"a": "x" * 600_000}
    await take(sink, json.dumps(large), json.dumps([{"a": 1}, large]), max_message_bytes=4 * 1024**2)
    assert [event.payload for event in sink.events] == [{"a": 1}]
    assert [len(letter.original) for letter in sink.letters] == [KEPT_BYTES, KEPT_BYTES]


async def test_a_huge_message_of_many_records_is_taken(sink: Any) -> None:
    await take(sink, json.dumps([{"a": n, "pad": "x" * 100} for n in range(20_000)]), max_message_bytes=4 * 1024**2)
    assert [event.payload["a"] for event in sink.events] == list(range(20_000))
    assert max(len(batch) for batch in sink.batches) <= 500


async def test_a_server_that_says_nothing(sink: Any) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"a":1}')
        await connection.wait_closed()

    async with served(talk) as url:
        with pytest.raises(NotConnected, match=r"sent no data for 0\.2 s"):
            await adapter(url, sink, idle_seconds=0.2).run()
    assert len(sink.events) == 1


async def test_a_server_that_breaks_off(sink: Any) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"a":1}')
        connection.transport.abort()

    async with served(talk) as url:
        with pytest.raises(NotConnected, match="broke the connection off"):
            await adapter(url, sink).run()


async def test_close_codes_are_told(sink: Any) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(4001, "key expired")

    async with served(talk) as url:
        with pytest.raises(NotConnected, match="closed the connection with code 4001: key expired"):
            await adapter(url, sink).run()


async def test_no_server_and_no_websocket_server(sink: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected, match="cannot be reached"):
            await adapter(f"ws://127.0.0.1:{taken.getsockname()[1]}", sink).run()

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(http, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected, match=r"refused the connection: .*404"):
            await adapter(f"ws://127.0.0.1:{port}", sink).run()

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected, match="refused the connection"):
            await adapter(f"ws://127.0.0.1:{port}", sink).run()


@pytest.mark.parametrize("url", ["ws://", "ws://127.0.0.1:99999", "ws://[::1"])
async def test_an_address_that_is_none(url: str, sink: Any) -> None:
    with pytest.raises(SourceError, match="not the address of a WebSocket server"):
        await adapter(url, sink).run()


async def test_a_blocked_sink_stops_the_reading_and_loses_nothing(sink: Any) -> None:
    """The server can send only so much until TCP makes it wait; all of it arrives when the sink opens."""
    sent, total = 0, 10_000
    padding = "x" * 4000

    async def talk(connection: ServerConnection) -> None:
        nonlocal sent
        for number in range(total):
            await connection.send(f'{{"a":{number},"p":"{padding}"}}')
            sent += 1

    sink.open.clear()
    async with served(talk, compression=None) as url:
        task = asyncio.create_task(adapter(url, sink, idle_seconds=0.2).run())
        await sink.entered.wait()
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < total
        assert not task.done()
        sink.open.set()
        with pytest.raises(NotConnected, match="code 1000"):
            await task
    assert [event.payload["a"] for event in sink.events] == list(range(total))


async def test_a_cancelled_adapter_sends_what_it_has_and_says_goodbye(sink: Any) -> None:
    code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def talk(connection: ServerConnection) -> None:
        for number in range(10):
            await connection.send(f'{{"a":{number}}}')
        await connection.wait_closed()
        code.set_result(connection.close_code)

    async with served(talk) as url:
        task = asyncio.create_task(adapter(url, sink).run())
        await sink.until(lambda: len(sink.events) >= 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await code == 1000
    assert [event.payload["a"] for event in sink.events] == list(range(10))


async def test_a_cancelled_adapter_takes_all_that_the_server_sent_before_it_agreed_to_the_end(sink: Any) -> None:
    sent = 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal sent
        with suppress(ConnectionClosed):
            while True:
                await connection.send('[{"a":1},{"a":2},{"a":3}]')
                sent += 3
                await asyncio.sleep(0)

    async with served(talk) as url:
        for _ in range(3):
            before = len(sink.events)
            task = asyncio.create_task(adapter(url, sink).run())
            await sink.until(lambda before=before: len(sink.events) > before + 1000)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert len(sink.events) == sent


def messages_of(path: Path) -> list[str]:
    with gzip.open(path, "rb") as file:
        return [msgspec.json.encode(json.loads(line)["msg"]).decode() for line in file]


async def test_a_recorded_exchange_stream(sink: Any, recordings: Path) -> None:
    (path,) = (recordings / "binance_ws").glob("*.jsonl.gz")
    messages = await asyncio.to_thread(messages_of, path)
    messages = messages[:20_000]
    trades = sum('"stream":"btcusdt@trade"' in message for message in messages)

    async def talk(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)

    async with served(talk, compression=None) as url:
        with pytest.raises(NotConnected):
            await adapter(url, sink, record="data").run()
    # One message of the recording is an order book fetched over HTTP, which has no "data".
    assert ['has no "data"' in letter.reason for letter in sink.letters] == [True]
    assert len(sink.events) == len(messages) - 1
    assert sum(event.payload.get("e") == "trade" for event in sink.events) == trades > 1000
    assert sink.events[0].payload["s"] == "BTCUSDT"
