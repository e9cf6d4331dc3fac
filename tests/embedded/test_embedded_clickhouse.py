"""The embedded ClickHouse as a process: start, stop, crash, clashes."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.process import Child, ChildError, PortTakenError


async def _start(folder: Path, port: int = 0) -> Child:
    return await start_clickhouse(folder / "data", port=port, log=folder / "clickhouse.log")


async def _ask(url: str, sql: str) -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, content=sql, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_crash_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    server = await _start(tmp_path)
    try:
        await _ask(server.url, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        for number in range(20):
            await _ask(server.url, f'INSERT INTO t SETTINGS async_insert = 0 FORMAT JSONEachRow\n{{"a": {number}}}\n')
    finally:
        await server.kill()
    again = await _start(tmp_path, port=int(server.url.rpartition(":")[2]))
    try:
        assert again.url == server.url
        assert await _ask(again.url, "SELECT count(), sum(a) FROM t") == "20\t190\n"
    finally:
        assert await again.stop() == 0
    assert (tmp_path / "clickhouse.log").read_text() == ""


async def test_stop_ends_a_long_query(tmp_path: Path) -> None:
    server = await _start(tmp_path)
    long = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) % 7 = 1"
    seen = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'"
    async with httpx.AsyncClient() as client:
        running = asyncio.create_task(client.post(server.url, content=long, timeout=60))
        while await _ask(server.url, seen) != "1\n":
            await asyncio.sleep(0.05)
        assert await server.stop(grace=30) == 0
        answer = await running
    assert answer.status_code == 500
    assert "QUERY_WAS_CANCELLED" in answer.text


async def test_second_opener_is_refused_in_plain_words(tmp_path: Path) -> None:
    server = await _start(tmp_path)
    try:
        with pytest.raises(ChildError) as caught:
            await _start(tmp_path)
        assert str(caught.value) == (
            f"the embedded ClickHouse could not start: {tmp_path / 'data'} is in use by pid {server.pid}; "
            "end that process first or choose another data directory"
        )
        assert await _ask(server.url, "SELECT 1") == "1\n"
    finally:
        await server.stop()


async def test_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 cannot be used"):
            await _start(tmp_path, port)


PARENT = """
import asyncio, pathlib, sys, time
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
folder = pathlib.Path(sys.argv[1])
async def both():
    clickhouse = await start_clickhouse(folder / "clickhouse", log=folder / "log")
    nats = await start_nats(folder / "nats", max_store=1024**2, log=folder / "log")
    print(clickhouse.pid, nats.pid, flush=True)
asyncio.run(both())
time.sleep(60)
"""


def test_both_servers_die_with_their_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(servers) == 2
        parent.kill()
    deadline = time.monotonic() + 20
    while any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers):
        assert time.monotonic() < deadline, servers
        time.sleep(0.05)
