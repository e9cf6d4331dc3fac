"""Bad input, all at once: the engine stays alive, good rows get through, every bad one is a dead letter with its bytes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import clickhouse_connect
import pytest
from websockets.asyncio.server import ServerConnection, serve

from qraft.bus import Bus
from qraft.config import NatsAddress
from tests.e2e.harness import EngineProcess, count, until

GOOD_ROWS = 300
GOOD_MESSAGES = 50


@pytest.fixture
async def rude_server() -> AsyncIterator[str]:
    """Sends good messages, then binary, half JSON, text and an array with nonsense in it."""

    async def talk(connection: ServerConnection) -> None:
        for number in range(GOOD_MESSAGES):
            await connection.send(f'{{"price": {100 + number}}}')
        await connection.send(b"\x00\xff\xfe binary")
        await connection.send('{"price": 10')
        await connection.send("hello")
        await connection.send('[{"price": 1}, 7, "x"]')
        await connection.wait_closed()

    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    async with serve(talk, "127.0.0.1", port):
        yield f"ws://127.0.0.1:{port}"


def write_bad_file(path: Path) -> int:
    """Good rows with broken ones between them; how many are broken."""
    broken = [b"not,enough\n", b'1700000000,"never closed,1\n', b"\xff\xfe\xfd,1,2\n", b"no time,1,2\n", b"1,2,3,4,5,6\n"]
    with path.open("wb") as out:
        out.write(b"t,a,b\n")
        for n in range(GOOD_ROWS):
            out.write(f"{1_700_000_000 + n},{n % 7},{n % 5}\n".encode())
            if n % 60 == 30:
                out.write(broken[n // 60])
    return len(broken)


async def test_the_engine_takes_any_input(
    tmp_path: Path, nats_url: str, clickhouse_url: str, database: str, rude_server: str
) -> None:
    broken = write_bad_file(tmp_path / "bad.csv")
    engine = EngineProcess(
        tmp_path / "engine",
        {
            "engine": {"barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "64 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "sources": {
                "bad-file": {"adapter": "file", "path": str(tmp_path / "bad.csv"), "mode": "replay", "time": "t"},
                "rude": {"adapter": "websocket", "url": rude_server},
                "nobody": {"adapter": "websocket", "url": "ws://127.0.0.1:1"},
                "missing": {"adapter": "file", "path": str(tmp_path / "missing.csv")},
            },
        },
    )
    engine.start()
    try:
        await until(lambda: count(clickhouse_url, database, "raw_events") >= GOOD_ROWS + GOOD_MESSAGES + 1, 60, "good rows")
        bus = await Bus.connect(NatsAddress(nats_url), name="test")
        await bus.client.publish(
            "qraft.events.anyone", b'{"payload": {"x": 1}}\n{"payload": \n\xff\n{"payload": {"x": "text"}}\n'
        )
        await bus.client.flush()
        await bus.close()
        await until(lambda: count(clickhouse_url, database, "dead_letters") >= broken + 4 + 3, 30, "dead letters")
        with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
            rows = client.query(f"SELECT source, reason, original FROM {database}.dead_letters").result_rows
        assert all(reason for _, reason, _ in rows)
        originals = {bytes(original) if isinstance(original, bytes) else original.encode() for _, _, original in rows}
        assert b'{"price": 10' in originals
        assert sum(source == "bad-file" for source, _, _ in rows) == broken
        assert sum(source == "rude" for source, _, _ in rows) == 4
        assert engine.alive()
        assert engine.metrics()['qraft_engine_state{state="running"}'] == 1
        assert "Traceback" not in engine.said()
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()
