"""What watches the server: health, readiness, metrics, and errors that can be found again in the log."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import ClientDisconnect

from qraft.api.app import create_app
from qraft.api.links import Backend
from qraft.api.meters import API_METRICS, ApiMeters
from qraft.api.server import ApiServer, listen
from qraft.bus import Bus
from qraft.config.api import ApiSettings
from qraft.model import EngineStats
from qraft.store import Store
from tests.api.sample import NOW, until

PROBLEM = "application/problem+json"


def away(answer: httpx.Response) -> list[str]:
    return [part["field"] for part in answer.json()["errors"]]


async def test_alive_it_says_so_whatever_is_away(alone: httpx.AsyncClient) -> None:
    answer = await alone.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_not_ready_it_names_the_parts_that_are_away(alone: httpx.AsyncClient) -> None:
    answer = await alone.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"] == "away: nats, clickhouse, engine"
    assert away(answer) == ["nats", "clickhouse", "engine"]
    assert "127.0.0.1" not in answer.text


async def test_ready_it_is_with_nats_clickhouse_and_an_engine(client: httpx.AsyncClient, bus: Bus) -> None:
    for _ in range(200):
        answer = await client.get("/readyz")
        if answer.status_code == 200:
            break
        assert away(answer) == ["engine"]
        await bus.publish_stats(EngineStats(engine="main", timestamp=NOW, state="running"))
        await asyncio.sleep(0.2)
    assert answer.json() == {"status": "ready"}


def counted(text: str) -> dict[str, float]:
    """Samples by name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_template(client: httpx.AsyncClient, store: Store) -> None:
    before = counted((await client.get("/metrics")).text)
    for path in ("/api/pattern/a", "/api/pattern/b", "/nothing/1", "/nothing/2"):
        assert (await client.get(path)).status_code == 404
    assert (await client.get("/api/patterns")).status_code == 200
    assert (await client.request("BREW", "/nothing")).status_code == 404
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    after = counted(answer.text)

    def more(name: str, **labels: str) -> float:
        key = f"{name}{sorted(labels.items())}"
        return after[key] - before.get(key, 0)

    of_patterns = {"route": "/api/patterns", "method": "GET"}
    assert more("qraft_api_requests_total", route="/api/pattern/{pattern_id}", method="GET", status="4xx") == 2
    assert more("qraft_api_requests_total", **of_patterns, status="2xx") == 1
    assert more("qraft_api_requests_total", route="_other", method="GET", status="4xx") == 2
    assert more("qraft_api_requests_total", route="_other", method="_other", status="4xx") == 1
    assert more("qraft_api_request_seconds_count", **of_patterns) == 1
    assert after["qraft_api_requests_in_flight[]"] == 1
    assert after["qraft_api_stream_clients[]"] == 0
    assert not re.search(r"nothing|pattern/[ab]", answer.text)


def test_every_metric_is_served_as_it_is_listed() -> None:
    meters = ApiMeters()
    with meters.streaming():
        families = list(text_string_to_metric_families(meters.exposition().decode()))
        assert counted(meters.exposition().decode())["qraft_api_stream_clients[]"] == 1
    found = {(family.name, family.type, family.documentation) for family in families}
    assert found == {(spec.family, spec.kind, spec.text) for spec in API_METRICS}
    assert all(spec.name.startswith("qraft_api_") for spec in API_METRICS)


@pytest.fixture
async def broken() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with a mistake inside: whatever asks for its parts fails."""

    def backend() -> Backend:
        raise ZeroDivisionError("what only the log may tell")

    async with serving(create_app(backend, now=lambda: NOW)) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    settings = ApiSettings()
    server = ApiServer(app, settings)
    with listen(settings) as listener:
        running = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        async with httpx.AsyncClient(base_url=settings.url(listener.getsockname()[1]), trust_env=False) as client:
            yield client
        server.should_exit = True
        await running


async def test_a_client_that_goes_in_the_middle_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    gone: list[str] = []

    def nothing() -> Backend:
        raise AssertionError

    async def reads(request: Request) -> None:
        try:
            await request.body()
        except ClientDisconnect:
            gone.append(request.method)
            raise

    app = create_app(nothing, now=lambda: NOW)
    app.add_api_route("/reads", reads, methods=["POST"])
    async with serving(app) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(
            b"POST /reads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        await writer.drain()
        while "qraft_api_requests_in_flight 2.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.02)
        writer.close()
        while "qraft_api_requests_in_flight 1.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.02)
    assert gone == ["POST"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_mistake_inside_is_a_problem_that_the_log_tells_more_of(
    broken: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await broken.get("/api/pattern/x%0Ay")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    problem: dict[str, Any] = answer.json()
    assert problem["detail"] == "an error inside the server (ZeroDivisionError); its log says more"
    assert "what only the log may tell" not in answer.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.message == f"request {problem['instance'].removeprefix('urn:uuid:')}: GET /api/pattern/x%0Ay failed"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "what only the log may tell"
    assert (await broken.get("/healthz")).status_code == 200
    assert (
        'qraft_api_requests_total{method="GET",route="/api/pattern/{pattern_id}",status="5xx"} 1.0'
        in (await broken.get("/metrics")).text
    )


async def test_each_request_has_an_id_of_its_own(alone: httpx.AsyncClient) -> None:
    found = [(await alone.get("/nothing")).json()["instance"] for _ in range(2)]
    assert found[0] != found[1]
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", one) for one in found)
