"""Commands against a REST server elsewhere: real processes, a real server, its ClickHouse and NATS."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from qraft.api.tokens import make, tokens_path, utc_now, write_tokens
from qraft.bus import Bus, Publisher
from qraft.config.api import ApiSettings
from tests.api.conftest import bus, client, serve, store
from tests.api.sample import Serve, make_pattern

__all__ = ["bus", "client", "serve", "store"]


async def qraft(folder: Path, *arguments: str, data: bytes = b"", **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qraft.cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(data), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_each_command_asks_the_server_elsewhere(client: httpx.AsyncClient, bus: Bus, tmp_path: Path) -> None:
    url = str(client.base_url)
    status, out, err = await qraft(tmp_path, "patterns", "--url", url, "--limit", "2", "--type", "drift", "--json")
    assert (status, err) == (0, "")
    assert [json.loads(line)["pattern_id"] for line in out.splitlines()] == [make_pattern(n).pattern_id for n in (39, 36)]
    pattern = make_pattern(39).pattern_id
    status, given, err = await qraft(tmp_path, "feedback", pattern, "confirmed", "--user", "ops1", QRAFT_URL=url)
    assert (status, err) == (0, "")
    mute = ("feedback", pattern, "mute", "--for", "2h", "--scope", "source", "--url", url, "--json")
    status, muted, _ = await qraft(tmp_path, *mute)
    assert (status, json.loads(muted)["scope"]["source"]) == (0, "market")
    assert next(iter(await bus.pending_feedback("market"))).feedback_id == given.strip()
    status, out, _ = await qraft(tmp_path, "sources", "--json", "--url", url)
    assert (status, [(one["source"], one["events"]) for one in json.loads(out)]) == (0, [("host", 200), ("market", 0)])
    status, out, err = await qraft(tmp_path, "status", "--url", url)
    assert (status, out, err) == (1, f"REST:       {url}\n", "qraft: no engine speaks; start one with `qraft engine`\n")
    lines = b"1.5\n2.5\n"
    status, _, err = await qraft(tmp_path, "ingest", "--source", "lab", "--url", url, data=lines)
    assert status == 0
    assert err.endswith("sent 2 events, 0 dead letters\n")
    status, _, err = await qraft(tmp_path, "ingest", "--source", "lab", "--url", url, data=b'{"a": 1}\nno json\n')
    assert (status, err.splitlines()[-1]) == (0, "sent 1 event, 1 dead letter")
    assert "not sent: " in err


async def test_patterns_are_followed_as_they_are_found(client: httpx.AsyncClient, bus: Bus, tmp_path: Path) -> None:
    command = ("patterns", "--follow", "--json", "--source", "host", "--url", str(client.base_url))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qraft.cli", *command), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    line = asyncio.ensure_future(process.stdout.readline())
    publisher, number = Publisher(bus), 0
    try:
        while not line.done():  # until it listens nobody hears
            await publisher.patterns([make_pattern(number), make_pattern(number + 1)])
            number += 2
            await asyncio.sleep(0.1)
        assert json.loads(await line)["source"] == "host"
    finally:
        process.terminate()
        await process.wait()


async def test_mistakes_are_one_sentence(tmp_path: Path, unused_tcp_port: int) -> None:
    assert await qraft(tmp_path, "patterns", "--follow") == (
        1,
        "",
        "qraft: --follow needs --url, the address of a REST server; `qraft tui` follows the instance here\n",
    )
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    status, _, err = await qraft(tmp_path, "sources", "--url", nowhere)
    assert (status, err.startswith(f"qraft: {nowhere} does not answer")) == (1, True)


async def test_a_token_opens_what_its_role_says(
    serve: Serve, bus: Bus, clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    text, kept = make("read", now=utc_now())
    write_tokens(tokens_path(tmp_path), {"reader": kept})
    async with serve(bus.url, clickhouse_url, database, settings=ApiSettings(auth="tokens"), data_dir=tmp_path) as served:
        url = str(served.base_url)
        status, _, err = await qraft(tmp_path, "status", "--url", url)
        assert (status, len(err.splitlines())) == (1, 1)
        assert "token" in err
        assert (await qraft(tmp_path, "status", "--url", url, QRAFT_TOKEN=text))[2].startswith("qraft: no engine speaks")
        status, _, err = await qraft(tmp_path, "ingest", "-s", "x", "--url", url, data=b"1\n", QRAFT_TOKEN=text)
        assert (status, len(err.splitlines())) == (1, 1)


@pytest.fixture(autouse=True)
def _no_server_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QRAFT_URL", "QRAFT_TOKEN", "QRAFT_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
