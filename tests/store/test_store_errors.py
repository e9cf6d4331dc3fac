"""Not now, or never: how failures are told apart."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.process import free_port
from qraft.model import CleanEvent
from qraft.store import Block, PatternQuery, Store, StoreRejected, StoreUnavailable
from qraft.store.client import Client


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreUnavailable, match=f"ClickHouse at {url} does not answer"):
        await Store.connect(ClickHouseAddress(url), database="q")


async def test_something_else_answers() -> None:
    def serve(listener: socket.socket) -> None:
        with listener:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                return

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=serve, args=[listener])
    thread.start()
    try:
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await Store.connect(ClickHouseAddress(url), database="q")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_server_that_stops_and_comes_back(tmp_path: Path) -> None:
    server = await start_clickhouse(tmp_path / "data", log=tmp_path / "log")
    port = int(server.url.rpartition(":")[2])
    try:
        async with await Store.connect(ClickHouseAddress(server.url), database="q") as store:
            await store.migrate(StoreSettings())
            assert await store.ping()
            await server.stop()
            assert not await store.ping()
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.history.patterns(PatternQuery())
            clean = CleanEvent(event_id="1", source="s", entity="", time_us=0, fields={"x": 1.0})
            block = Block("t", time.time_ns() // 1000, clean=[clean])
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await store.write(block)
            server = await start_clickhouse(tmp_path / "data", port=port, log=tmp_path / "log")
            assert await store.ping()
            await store.write(block)
            assert (await store.history.counts())["clean_events"] == 1
    finally:
        await server.stop()


async def test_server_killed_during_a_query(tmp_path: Path) -> None:
    server = await start_clickhouse(tmp_path / "data", log=tmp_path / "log")
    client = await Client.connect(ClickHouseAddress(server.url))
    long = asyncio.create_task(client.query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 1"))
    while await client.query("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'") != [(2,)]:
        await asyncio.sleep(0.02)
    await server.kill()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await long
    await client.close()


async def test_refusals_carry_the_server_s_sentence(clickhouse_url: str) -> None:
    client = await Client.connect(ClickHouseAddress(clickhouse_url))
    with pytest.raises(StoreRejected) as caught:
        await client.query("SELECT bad")
    said = "Unknown expression identifier `bad` in scope SELECT bad. (UNKNOWN_IDENTIFIER)"
    assert str(caught.value) == f"ClickHouse refused: {said}"
    assert caught.value.code == 47
    with pytest.raises(StoreRejected, match="UNKNOWN_DATABASE"):
        await client.insert("nope.nope", {"a": [1]}, {"a": "UInt8"}, "t")
    await client.close()


async def test_no_time_is_not_now(clickhouse_url: str) -> None:
    client = await Client.connect(ClickHouseAddress(clickhouse_url))
    with pytest.raises(StoreUnavailable, match=r"cannot do this now: Timeout exceeded.*\(TIMEOUT_EXCEEDED\)"):
        await client.query("SELECT count() FROM numbers(1000000000000) SETTINGS max_execution_time = 0.1")
    with pytest.raises(StoreUnavailable, match="MEMORY_LIMIT_EXCEEDED"):
        await client.query("SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 10000000")
    await client.close()


async def test_data_that_does_not_fit_is_refused_before_it_is_sent(store: Store) -> None:
    clean = CleanEvent(event_id="1", source="\ud800", entity="", time_us=0, fields={})
    with pytest.raises(StoreRejected, match=r"the data do not fit the table: .*surrogates"):
        await store.write(Block("t", time.time_ns() // 1000, clean=[clean]))
