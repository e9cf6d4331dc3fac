"""The REST interface over a real ClickHouse and a real NATS."""

from __future__ import annotations

import asyncio
import math
import socket
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import BaseModel

from qraft.bus import Bus, ensure_streams
from qraft.embedded.nats import start_nats
from qraft.model import EngineStats, Feedback, Scope, SourceStats, Verdict
from qraft.store import Block, Store
from tests.api.sample import NOW, START_US, Serve, make_pattern, until, until_well

PROBLEM = "application/problem+json"


def nobody() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ids(client: httpx.AsyncClient, **wanted: Any) -> list[str]:
    answer = await client.get("/api/patterns", params=wanted)
    assert answer.status_code == 200, answer.text
    return [pattern["pattern_id"] for pattern in answer.json()["patterns"]]


def expected(*numbers: int) -> list[str]:
    return [make_pattern(n).pattern_id for n in numbers]


async def test_patterns_come_newest_first_with_the_keys_of_the_wire(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/patterns", params={"limit": 1})).json()
    assert body["patterns"] == [
        {
            "pattern_id": make_pattern(39).pattern_id,
            "type": "drift",
            "timestamp": make_pattern(39).timestamp,
            "source": "market",
            "details": {
                "prev_state": {"mean": 1.0},
                "new_state": {"mean": 2.0, "μ": "größer"},
                "metrics": {"effect": 3.0},
                "confidence": pytest.approx(0.89),
            },
            "contributors": [
                {"field": "x", "score": 0.75, "before": 1.0, "after": 2.0, "origin": ""},
                {"field": "y", "score": 0.25, "before": None, "after": None, "origin": ""},
            ],
            "detector": "test",
            "event_id": make_pattern(39).event_id,
            "entity": "BTC",
            "line": 0.5,
            "summary": "x: mean 2.0, was 1.0 (39)",
            "verdict": None,
            "verdict_user": "",
            "verdict_at": "",
            "feedback_id": "",
        }
    ]


async def test_numbers_that_json_lacks_are_null(client: httpx.AsyncClient, store: Store) -> None:
    one = make_pattern(50)
    odd = {"ratio": math.inf, "other": math.nan}
    pattern = msgspec.structs.replace(one, details=msgspec.structs.replace(one.details, metrics=odd))
    await store.write(Block(token="test:0:241-241:odd", ingested_at=START_US, patterns=[pattern]))
    body = (await client.get(f"/api/pattern/{one.pattern_id}")).json()
    assert body["details"]["metrics"] == {"ratio": None, "other": None}


async def test_pages_hold_every_pattern_once(client: httpx.AsyncClient) -> None:
    found: list[str] = []
    cursor, pages = "", 0
    while True:
        body = (await client.get("/api/patterns", params={"limit": 7, "cursor": cursor})).json()
        found += [pattern["pattern_id"] for pattern in body["patterns"]]
        pages += 1
        if body["next"] is None:
            break
        cursor = body["next"]
    assert (found, pages) == (expected(*range(39, -1, -1)), 6)


async def test_a_page_that_ends_exactly_with_the_last_pattern_has_no_next(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/patterns", params={"limit": 40})).json()
    assert (len(body["patterns"]), body["next"]) == (40, None)


async def test_filters_narrow(client: httpx.AsyncClient) -> None:
    assert await ids(client, type="drift") == expected(*range(39, -1, -3))
    assert await ids(client, type=["drift", "anomaly"]) == expected(*(n for n in range(39, -1, -1) if n % 3 != 2))
    assert await ids(client, source="host") == expected(*range(38, -1, -2))
    assert len(await ids(client, source=["host", "market"])) == 40
    assert await ids(client, entity="BTC") == expected(*range(39, -1, -2))
    assert await ids(client, entity="") == expected(*range(38, -1, -2))
    assert await ids(client, min_confidence=0.875) == expected(39, 38)
    assert await ids(client, since=make_pattern(37).timestamp) == expected(39, 38, 37)
    assert await ids(client, until=make_pattern(2).timestamp) == expected(1, 0)
    assert await ids(client, verdict="confirmed") == expected(3)
    assert expected(3)[0] not in await ids(client, verdict="none")
    assert await ids(client, source="nobody") == []


async def test_one_pattern_comes_with_its_verdicts_and_the_events_around_it(client: httpx.AsyncClient) -> None:
    two = make_pattern(2)
    body = (await client.get(f"/api/pattern/{two.pattern_id}")).json()
    assert body["pattern_id"] == two.pattern_id
    assert body["feedback"] == []
    assert [event["fields"]["x"] for event in body["events"]] == [n / 2 for n in range(120 - 49, 120 + 51)]
    three = make_pattern(3)
    body = (await client.get(f"/api/pattern/{three.pattern_id}")).json()
    assert (body["verdict"], body["verdict_user"], body["feedback_id"]) == ("confirmed", "ops1", "fb-3")
    assert [(v["verdict"], v["note"]) for v in body["feedback"]] == [("confirmed", "seen")]


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


async def heard_by(bus: Bus) -> list[Feedback]:
    heard: list[Feedback] = []
    await bus.watch_feedback(heard.append)
    return heard


async def test_a_verdict_is_on_the_stream_when_the_answer_comes(client: httpx.AsyncClient, bus: Bus) -> None:
    heard = await heard_by(bus)
    one = make_pattern(5)
    request = {"verdict": "false_positive", "note": "nightly", "user": "ops1"}
    answer = await client.post(f"/api/feedback/{one.pattern_id}", json=request)
    assert answer.status_code == 202
    await until(lambda: bool(heard))
    assert heard == [Feedback(**answer.json())]
    given = heard[0]
    assert (given.pattern_id, given.source, given.detector, given.timestamp) == (one.pattern_id, one.source, "test", NOW)
    assert (given.verdict, given.note, given.user) == ("false_positive", "nightly", "ops1")
    stream = await bus.jetstream().stream_info("QRAFT_EVENTS")
    assert stream.state.messages == 1


async def test_the_same_feedback_id_is_stored_once(client: httpx.AsyncClient, bus: Bus) -> None:
    request = {"verdict": "confirmed", "feedback_id": "mine-1"}
    for _ in range(3):
        answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json=request)
        assert (answer.status_code, answer.json()["feedback_id"]) == (202, "mine-1")
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 1


async def test_an_undo_names_the_verdict_it_takes_back(client: httpx.AsyncClient) -> None:
    path = f"/api/feedback/{make_pattern(3).pattern_id}"
    answer = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert (answer.status_code, answer.json()["undoes"]) == (202, "fb-3")
    other = await client.post(path, json={"verdict": "undo", "user": "ops2"})
    assert other.status_code == 409
    assert other.json()["detail"] == f'no verdict of "ops2" is in force on pattern {make_pattern(3).pattern_id}'


async def test_a_verdict_that_is_not_stored_yet_can_be_undone_at_once(client: httpx.AsyncClient) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    given = (await client.post(path, json={"verdict": "confirmed", "user": "ops1"})).json()
    undo = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert (undo.status_code, undo.json().get("undoes")) == (202, given["feedback_id"])
    again = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert again.status_code == 409


SCOPE = {"source": "market", "entity": "BTC", "type": "", "detector": ""}


async def test_a_mute_and_a_note_travel_with_what_they_need(client: httpx.AsyncClient, bus: Bus) -> None:
    heard = await heard_by(bus)
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    mute = {"verdict": "mute", "scope": SCOPE, "until": "2026-11-22T19:00:00+01:00", "user": "ops1"}
    answer = await client.post(path, json=mute)
    assert (answer.status_code, answer.json()["scope"]) == (202, SCOPE)
    assert (await client.post(path, json={"verdict": "note", "note": "backup"})).status_code == 202
    await until(lambda: len(heard) == 2)
    assert (heard[0].scope, heard[0].until) == (Scope(source="market", entity="BTC"), "2026-11-22T18:00:00.000000Z")
    assert heard[0].source == make_pattern(5).source
    assert (heard[1].verdict, heard[1].note, heard[1].scope, heard[1].until) == ("note", "backup", None, "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"verdict": "note"}, "a note needs its text"),
        ({"verdict": "mute", "until": "2026-11-22T18:00:00Z"}, "a mute needs a scope"),
        ({"verdict": "mute", "scope": {}, "until": "2026-11-22T18:00:00Z"}, "a mute needs a scope"),
        ({"verdict": "mute", "scope": SCOPE}, "a mute needs an end"),
        ({"verdict": "mute", "scope": SCOPE, "until": "2026-11-22T11:00:00Z"}, "a mute must end after it begins"),
        ({"verdict": "mute", "scope": SCOPE, "until": "2027-11-22T11:00:00Z"}, "a mute ends after 30 days at the latest"),
        ({"verdict": "confirmed", "scope": SCOPE}, '"confirmed" takes neither a scope nor an end'),
    ],
)
async def test_a_mute_or_note_without_what_it_needs_is_refused(
    client: httpx.AsyncClient, bus: Bus, body: dict[str, object], reason: str
) -> None:
    answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["detail"].startswith(reason)
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 0


async def test_mutes_and_notes_are_told_with_their_pattern_and_undone_by_who_said_them(
    client: httpx.AsyncClient, store: Store
) -> None:
    one = make_pattern(3)

    def said(name: str, verdict: Verdict, **more: Any) -> Feedback:
        base = {"feedback_id": name, "pattern_id": one.pattern_id, "verdict": verdict, "timestamp": NOW}
        return msgspec.convert({**base, "source": one.source, "user": "ops1", **more}, Feedback)

    past = said("ended", "mute", scope=SCOPE, until="2026-11-22T11:59:00Z", timestamp="2026-11-22T11:00:00Z")
    await store.write(Block(token="a", ingested_at=START_US + 1, feedback=[said("note", "note", note="hm"), past]))
    path = f"/api/feedback/{one.pattern_id}"
    undo = {"verdict": "undo", "user": "ops1"}
    assert (await client.post(path, json=undo)).json()["undoes"] == "note", "a mute that ended needs no undo"
    mute = said("mute", "mute", scope=SCOPE, until="2026-11-22T18:00:00Z")
    await store.write(Block(token="b", ingested_at=START_US + 2, feedback=[mute]))
    assert (await client.post(path, json=undo)).json()["undoes"] == "mute"
    body = (await client.get(f"/api/pattern/{one.pattern_id}")).json()
    assert (body["verdict"], body["feedback_id"]) == ("confirmed", "fb-3")
    assert [(f["feedback_id"], f["scope"], f["until"]) for f in body["feedback"]] == [
        ("fb-3", None, ""),
        ("note", None, ""),
        ("ended", SCOPE, "2026-11-22T11:59:00.000000Z"),
        ("mute", SCOPE, "2026-11-22T18:00:00.000000Z"),
    ]


async def test_an_unknown_pattern_is_404(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/api/pattern/unknown-1"),
        await client.post("/api/feedback/unknown-1", json={"verdict": "confirmed"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
        assert answer.json()["detail"].startswith("no pattern unknown-1 is stored")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=drifft", "type.0"),
        ("min_confidence=2", "min_confidence"),
        ("since=yesterday", "since"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=99999999999999999999_x", "cursor"),
        ("verdict=undo", "verdict"),
        ("sources=host", "sources"),
    ],
)
async def test_a_query_that_cannot_be_used_names_the_field(alone: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await alone.get(f"/api/patterns?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    body = answer.json()
    assert [error["field"] for error in body["errors"]] == [field]
    assert body["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "verdict"),
        ('{"verdict": "ok"}', "verdict"),
        ('{"verdict": "confirmed", "notes": ""}', "notes"),
        ('{"verdict": "confirmed", "note": 3}', "note"),
        ('{"verdict": "confirmed", "feedback_id": "a b"}', "feedback_id"),
        ('{"verdict": "mute", "until": "soon"}', "until"),
        ('{"verdict": "mute", "scope": {"type": "spike"}}', "scope.type"),
        ('{"verdict": "mute", "scope": {"host": "x"}}', "scope.host"),
        ("{", "body"),
        ("[]", "body"),
    ],
)
async def test_a_body_that_cannot_be_used_names_the_field(alone: httpx.AsyncClient, body: str, field: str) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    answer = await alone.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_body_that_is_not_declared_as_json_is_refused(client: httpx.AsyncClient, bus: Bus) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    answer = await client.post(path, content='{"verdict": "confirmed"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 422
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 0


async def test_whatever_the_text_a_filter_is_text(client: httpx.AsyncClient) -> None:
    for text in ("'; DROP TABLE pattern_events; --", "\\", "日本", "{x}", "%", "\t\n", "\x00"):
        assert await ids(client, entity=text) == [], text
        assert await ids(client, source=text) == [], text


async def test_other_paths_and_methods_are_plain_problems(alone: httpx.AsyncClient) -> None:
    unknown = await alone.get("/api/nothing")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
    wrong = await alone.delete("/api/patterns")
    assert (wrong.status_code, wrong.headers["content-type"], wrong.headers["allow"]) == (405, PROBLEM, "GET")


async def test_a_name_pointed_at_loopback_by_a_web_page_is_not_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/patterns", headers={"host": "evil.example"})).status_code == 400
    assert (await client.get("/api/patterns", headers={"host": "localhost:1"})).status_code == 200
    assert (await client.get("/api/patterns", headers={"host": "[::1]:1"})).status_code == 200


async def test_without_clickhouse_the_server_says_so_and_stays(bus: Bus, nats_url: str, serve: Serve) -> None:
    async with serve(nats_url, f"http://127.0.0.1:{nobody()}") as client:
        for path in ("/api/patterns", "/api/sources", "/api/pattern/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
            assert int(answer.headers["retry-after"]) > 0
            assert "does not answer" in answer.json()["detail"]
        health = await client.get("/healthz")
        assert (health.status_code, health.json()["status"], health.json()["clickhouse"]) == (200, "degraded", False)


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
                connected = await Bus.connect(child.url, name="test")
                await ensure_streams(connected, partitions=4, max_bytes=64 * 1024**2)
                await connected.close()
                assert (await client.post(path, json=request)).status_code == 202
            finally:
                await child.stop()
            gone = await client.post(path, json=request)
            assert gone.status_code == 503


async def test_without_the_engines_stream_a_verdict_is_not_taken(
    store: Store, nats_url: str, clickhouse_url: str, database: str, serve: Serve
) -> None:
    async with serve(nats_url, clickhouse_url, database) as client:
        await until_well(client)
        answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json={"verdict": "confirmed"})
        assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)


async def test_the_openapi_document_is_complete(alone: httpx.AsyncClient) -> None:
    document = (await alone.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/healthz",
        "/api/sources",
        "/api/patterns",
        "/api/pattern/{pattern_id}",
        "/api/feedback/{pattern_id}",
    }
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            for status, answer in operation["responses"].items():
                (media, content), *_ = answer["content"].items()
                assert content["schema"]["$ref"].rsplit("/", 1)[1] in schemas, (path, status)
                assert (media == PROBLEM) == (int(status) >= 400)
    for name in ("PatternView", "PatternPage", "PatternDetail", "SourceView", "FeedbackRequest", "FeedbackView", "Problem"):
        assert schemas[name]["examples"], name


async def test_the_examples_of_the_openapi_document_are_valid() -> None:
    from qraft.api import problems, views

    for module in (views, problems):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__:
                for example in model.model_json_schema().get("examples", []):
                    assert model.model_validate(example).model_dump(exclude_unset=True, mode="json") == example
