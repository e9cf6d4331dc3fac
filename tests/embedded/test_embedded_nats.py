"""The embedded nats-server: real publishes, restarts, clashes."""

from __future__ import annotations

import socket
from pathlib import Path

import nats
import pytest
from nats.js.errors import APIError

from qraft.embedded.nats import start_nats
from qraft.embedded.process import Child, ChildError, PortTakenError

MIB = 1024**2


async def _start(folder: Path, *, port: int = 0, sync_always: bool = False) -> Child:
    return await start_nats(folder / "data", port=port, max_store=16 * MIB, sync_always=sync_always, log=folder / "nats.log")


async def _publish(url: str, text: bytes) -> int:
    client = await nats.connect(url)
    try:
        return (await client.jetstream().publish("events", text)).seq
    finally:
        await client.close()


async def test_fixture_serves_jetstream(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    stream = client.jetstream()
    await stream.add_stream(name="E", subjects=["events"])
    assert (await stream.publish("events", b"one")).seq == 1
    assert client.max_payload == MIB
    await client.close()


@pytest.mark.parametrize("sync_always", [False, True])
async def test_streams_survive_a_crash_and_the_port_stays(tmp_path: Path, sync_always: bool) -> None:
    server = await _start(tmp_path, sync_always=sync_always)
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="E", subjects=["events"])
    await client.close()
    assert await _publish(server.url, b"one") == 1
    await server.kill()
    again = await _start(tmp_path, port=int(server.url.rpartition(":")[2]), sync_always=sync_always)
    try:
        assert again.url == server.url
        assert await _publish(again.url, b"two") == 2
    finally:
        assert await again.stop() == 0
    assert ("sync_interval: always" in (tmp_path / "data" / "nats.conf").read_text()) is sync_always


async def test_store_is_limited(tmp_path: Path) -> None:
    server = await _start(tmp_path)
    client = await nats.connect(server.url)
    try:
        with pytest.raises(APIError, match="insufficient storage"):
            await client.jetstream().add_stream(name="E", subjects=["events"], max_bytes=17 * MIB)
    finally:
        await client.close()
        await server.stop()


async def test_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 cannot be used"):
            await _start(tmp_path, port=port)


async def test_second_opener_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    server = await _start(tmp_path)
    try:
        with pytest.raises(
            ChildError, match=f"nats-server could not start: {tmp_path / 'data'} is in use by pid {server.pid};"
        ):
            await _start(tmp_path)
        client = await nats.connect(server.url)
        await client.close()
    finally:
        await server.stop()
