"""Sources and statistics over REST."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import BaseModel

from qraft.api.views_stats import EngineStatsView, NoticeView, SourceStatsView, StageStatsView
from qraft.bus import Bus
from qraft.model import EngineStats, Notice, SourceStats, StageStats
from tests.api.sample import NOW


async def test_sources_join_what_is_stored_with_what_engines_say(client: httpx.AsyncClient, bus: Bus) -> None:
    body = (await client.get("/api/sources")).json()
    assert [(s["source"], s["events"], s["patterns"], s["state"], s["rate"]) for s in body["sources"]] == [
        ("host", 200, 20, "", None),
        ("market", 0, 20, "", None),
    ]
    said = SourceStats(source="host", adapter="host", state="running", rate=1.5, lag_seconds=0.25)
    new = SourceStats(source="trades", adapter="websocket", state="retrying", detail="no route")
    await bus.publish_stats(EngineStats(engine="main", timestamp=NOW, state="running", sources=[said, new]))
    for _ in range(100):
        body = (await client.get("/api/sources")).json()
        if len(body["sources"]) == 3:
            break
        await asyncio.sleep(0.02)
    host, market, trades = body["sources"]
    assert (host["events"], host["state"], host["rate"], host["lag_seconds"], host["engine"]) == (
        200,
        "running",
        1.5,
        0.25,
        "main",
    )
    assert (market["events"], market["state"]) == (0, "")
    assert (trades["events"], trades["state"], trades["detail"]) == (0, "retrying", "no route")


async def heard(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """What engines say, once as many have spoken."""
    async with asyncio.timeout(60):
        while True:
            found: list[dict[str, Any]] = (await client.get("/api/stats")).json()["engines"]
            if len(found) == count:
                return found
            await asyncio.sleep(0.02)


async def test_sources_may_be_chosen(client: httpx.AsyncClient, bus: Bus) -> None:
    async def names(**wanted: Any) -> list[str]:
        answer = await client.get("/api/sources", params=wanted)
        return [source["source"] for source in answer.json()["sources"]]

    said = [SourceStats(source="host", state="running"), SourceStats(source="trades", state="failed")]
    await bus.publish_stats(EngineStats(engine="main", timestamp=NOW, state="running", sources=said))
    await heard(client, 1)
    assert await names(source=["host", "nobody"]) == ["host"]
    assert await names(state=["failed", "none"]) == ["market", "trades"]
    assert await names(state="running", source="trades") == []
    assert (await client.get("/api/sources", params={"state": "off"})).status_code == 422


async def test_statistics_come_as_engines_say_them(client: httpx.AsyncClient, bus: Bus) -> None:
    stats = EngineStats(
        engine="b",
        timestamp=NOW,
        state="waiting",
        detail="clickhouse",
        level="light",
        notices=[Notice(timestamp=NOW, source="host", kind="stale", text="nothing came")],
        notice_counts={"stale": 1},
        sources=[SourceStats(source="host", state="running", rate=1.5, last_event=NOW)],
        stages=[StageStats(stage="detect", received=3, reasons={"late": 1})],
    )
    await bus.publish_stats(stats)
    await bus.publish_stats(EngineStats(engine="a", timestamp=NOW, state="running"))
    engines = await heard(client, 2)
    assert [engine["engine"] for engine in engines] == ["a", "b"]
    assert engines[1] == msgspec.to_builtins(stats)
    parts = (await client.get("/api/stats")).json()["parts"]
    assert (parts["nats"], parts["clickhouse"]) == (True, True)
    events, patterns = parts["streams"]
    assert (events["stream"], events["messages"], events["max_bytes"]) == ("QRAFT_EVENTS", 0, 64 * 1024**2)
    assert patterns["stream"] == "QRAFT_PATTERNS"


async def test_statistics_say_what_is_away(alone: httpx.AsyncClient) -> None:
    answer = await alone.get("/api/stats")
    assert answer.status_code == 200
    assert answer.json() == {"engines": [], "parts": {"nats": False, "clickhouse": False, "streams": []}}


@pytest.mark.parametrize(
    ("view", "struct"),
    [
        (EngineStatsView, EngineStats),
        (SourceStatsView, SourceStats),
        (StageStatsView, StageStats),
        (NoticeView, Notice),
    ],
)
def test_no_key_of_the_wire_is_left_out(view: type[BaseModel], struct: type[msgspec.Struct]) -> None:
    assert list(view.model_fields) == [field.name for field in msgspec.structs.fields(struct)]
