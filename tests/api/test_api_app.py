"""The REST server while its parts come and go, and what it says to requests that fit nothing."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from qraft.bus import Bus, ensure_streams
from qraft.config import NatsAddress
from qraft.embedded.nats import start_nats
from qraft.store import Store
from tests.api.sample import Serve, make_pattern, until_well

PROBLEM = "application/problem+json"


def nobody() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_other_paths_and_methods_are_plain_problems(alone: httpx.AsyncClient) -> None:
    unknown = await alone.get("/api/nothing")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
    wrong = await alone.delete("/api/patterns")
    assert (wrong.status_code, wrong.headers["content-type"], wrong.headers["allow"]) == (405, PROBLEM, "GET")


async def test_a_name_pointed_at_loopback_by_a_web_page_is_not_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/patterns", headers={"host": "evil.example"})).status_code == 400
    assert (await client.get("/api/patterns", headers={"host": "localhost:1"})).status_code == 200
    assert (await client.get("/api/patterns", headers={"host": "[::1]:1"})).status_code == 200


async def until_status(client: httpx.AsyncClient, path: str, request: dict[str, str], status: int) -> None:
    for _ in range(600):
        if (await client.post(path, json=request)).status_code == status:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{path} was never answered with {status}")


async def test_without_clickhouse_the_server_says_so_and_stays(bus: Bus, nats_url: str, serve: Serve) -> None:
    async with serve(nats_url, f"http://127.0.0.1:{nobody()}") as client:
        for path in ("/api/patterns", "/api/sources", "/api/pattern/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
            assert int(answer.headers["retry-after"]) > 0
            assert "does not answer" in answer.json()["detail"]
        assert (await client.get("/healthz")).status_code == 200
        parts = (await client.get("/api/stats")).json()["parts"]
        assert (parts["nats"], parts["clickhouse"]) == (True, False)


async def test_before_the_engine_made_its_tables_the_server_says_so(
    bus: Bus, nats_url: str, clickhouse_url: str, database: str, serve: Serve
) -> None:
    async with serve(nats_url, clickhouse_url, database) as client:
        answer = await client.get("/api/patterns")
        assert (answer.status_code, "no tables yet" in answer.json()["detail"]) == (503, True)


async def test_without_nats_the_server_reads_on_and_takes_verdicts_when_it_is_back(
    store: Store, clickhouse_url: str, database: str, serve: Serve, tmp_path: Path
) -> None:
    folder, port = tmp_path / "nats-that-comes", nobody()
    path, request = f"/api/feedback/{make_pattern(5).pattern_id}", {"verdict": "confirmed"}
    async with serve(f"nats://127.0.0.1:{port}", clickhouse_url, database) as client:
        refused = await client.post(path, json=request)
        assert (refused.status_code, refused.headers["content-type"]) == (503, PROBLEM)
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get("/api/patterns")).status_code == 200
        for _ in range(2):  # it comes, goes and comes again
            child = await start_nats(folder, port=port, max_store=1024**3, log=folder / "nats.log")
            try:
                await until_well(client)
                connected = await Bus.connect(NatsAddress(child.url), name="test")
                await ensure_streams(connected, partitions=4, max_bytes=64 * 1024**2)
                await connected.close()
                await until_status(client, path, request, 202)
            finally:
                await child.stop()
            await until_status(client, path, request, 503)


async def test_without_the_engines_stream_a_verdict_is_not_taken(
    store: Store, nats_url: str, clickhouse_url: str, database: str, serve: Serve
) -> None:
    async with serve(nats_url, clickhouse_url, database) as client:
        await until_well(client)
        answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json={"verdict": "confirmed"})
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
