"""Events that are sent over REST: each form of them, what cannot be used, repeats, a full stream, packed bodies."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qraft.api import records
from qraft.bus import Bus, ensure_streams
from qraft.bus.codec import decode_message
from qraft.config.api import ApiSettings
from qraft.model import Event, event_id, iso_from_us, us_from_iso
from tests.api.sample import NOW, Serve, until_well

PROBLEM = "application/problem+json"
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


async def stored(bus: Bus) -> list[Event]:
    """What stands in the stream of events."""
    jetstream = bus.jetstream()
    state = (await jetstream.stream_info("QRAFT_EVENTS")).state
    found: list[Event] = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg("QRAFT_EVENTS", sequence)
        lines = decode_message(str(message.subject), message.data or b"", sequence=sequence, arrived_us=0)
        found += [one for one in lines if isinstance(one, Event)]
    return found


async def send(client: httpx.AsyncClient, body: Any, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/api/ingest/web", json=body, **wanted)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_an_object_is_an_event_with_the_time_of_arrival(client: httpx.AsyncClient, bus: Bus) -> None:
    assert await send(client, {"cpu": 1.5}) == {"accepted": 1, "rejected": [], "rejected_total": 0}
    (event,) = await stored(bus)
    assert (event.source, event.type, event.timestamp, event.payload) == ("web", "event", NOW, {"cpu": 1.5})


async def test_payloads_that_come_together_keep_their_order(client: httpx.AsyncClient, bus: Bus) -> None:
    await send(client, [{"n": 0}, 7, {"n": 2}])
    now_us = us_from_iso(NOW)
    assert [event.timestamp for event in await stored(bus)] == [iso_from_us(now_us - 2), NOW]


async def test_an_event_keeps_what_it_says(client: httpx.AsyncClient, bus: Bus) -> None:
    whole = {
        "event_id": "42", "source": "web", "type": "row", "timestamp": "2026-11-22T13:00:00+01:00",
        "payload": {"cpu": 1.5}, "meta": {"version": "1.0", "host": "a", "cursor": "9"},
    }  # fmt: skip
    await send(client, [whole, {"payload": {"cpu": 2}, "timestamp": 1_795_000_000}])
    first, second = await stored(bus)
    assert first == Event(
        event_id="42",
        source="web",
        type="row",
        timestamp="2026-11-22T12:00:00.000000Z",
        payload={"cpu": 1.5},
        meta={"version": "1.0", "host": "a"},
    )
    assert (second.timestamp, second.type) == ("2026-11-18T11:06:40.000000Z", "event")


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl; charset=utf-8", "application/x-jsonlines"])
async def test_lines_that_cannot_be_used_are_told_and_the_rest_is_taken(
    client: httpx.AsyncClient, bus: Bus, kind: str
) -> None:
    lines = [
        b'\xef\xbb\xbf{"a": 1}', b"", b'{"a": NaN}\r', b"[1]", b"x", b'{"payload": null}',
        b'{"payload": {}, "source": "other"}',
        b'{"payload": {}, "type": "qraft.tick"}', b'{"payload": {}, "timestamp": "soon"}', b'{"payload": {}, "event_id": 7}',
        b'{"payload": {}, "event_id": "a\\r\\nb"}', b'{"a": "\xff"}', b'{"a": "' + b"x" * 600_000 + b'"}',
        b'{"payload": {"a": 2}}',
    ]  # fmt: skip
    answer = await client.post("/api/ingest/web", content=b"\n".join(lines), headers={"Content-Type": kind})
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected_total"]) == (202, 3, 10)
    assert [(one["line"], one["reason"]) for one in told["rejected"]] == [
        (4, "not a JSON object"),
        (5, "not JSON: JSON is malformed: invalid character (byte 0)"),
        (6, "no event: Expected `object`, got `null` - at `$.payload`"),
        (7, 'its source is "other", that of the request "web"'),
        (8, 'its type is "qraft.tick", and types that begin with qraft. are Qraft\'s own'),
        (9, "not a time: 'soon'"),
        (10, "no event: Expected `str`, got `int` - at `$.event_id`"),
        (11, "its event_id holds what cannot be printed"),
        (12, "not UTF-8: byte 0xff"),
        (13, "longer than 524288 bytes"),
    ]
    assert [event.payload for event in await stored(bus)] == [{"a": 1}, {"a": None}, {"a": 2}]


async def test_many_rejections_are_counted_and_the_first_told(client: httpx.AsyncClient) -> None:
    told = (await client.post("/api/ingest/web", content=b"x\n" * 500, headers=NDJSON)).json()
    assert (told["accepted"], told["rejected_total"], len(told["rejected"])) == (0, 500, 100)


async def test_time_and_id_may_be_fields_of_the_payload(client: httpx.AsyncClient, bus: Bus) -> None:
    body = [{"at": 1_795_000_000_000, "row": {"id": 7}}, {"at": "x", "row": {"id": 8}}, {"row": {"id": 9}}, {"at": 1}]
    told = await send(client, body, params={"time": "at", "id": "row.id"})
    assert [(one["line"], one["reason"]) for one in told["rejected"]] == [
        (2, "not a time: 'x'"),
        (3, 'has no "at" to take the time from'),
        (4, 'has no "row.id" to take the id from'),
    ]
    (event,) = await stored(bus)
    assert (event.event_id, event.timestamp) == (event_id("web", "id:7"), "2026-11-18T11:06:40.000000Z")


async def test_a_repeat_is_stored_once(client: httpx.AsyncClient, bus: Bus) -> None:
    body = [{"a": n} for n in range(1200)]
    for _ in range(2):
        assert (await send(client, body, headers={"Idempotency-Key": "batch 7"}))["accepted"] == 1200
    events = await stored(bus)
    assert [event.payload["a"] for event in events] == list(range(1200))
    assert events[0].event_id == event_id("web", "batch 7:1")
    await send(client, body[:3], headers={"Idempotency-Key": "batch 8"})
    await send(client, body[:3])
    assert len(await stored(bus)) == 1206
    for _ in range(2):
        await send(client, {"event_id": "own", "payload": {}})
    assert len(await stored(bus)) == 1207


async def test_ids_of_one_source_say_nothing_of_another(client: httpx.AsyncClient, bus: Bus) -> None:
    for source in ("a", "b"):
        answer = await client.post(f"/api/ingest/{source}", json=[{"event_id": "é 1", "payload": {"n": 1}}])
        assert answer.status_code == 202
    assert [(event.source, event.event_id) for event in await stored(bus)] == [("a", "é 1"), ("b", "é 1")]


async def test_a_full_stream_says_how_many_it_took(client: httpx.AsyncClient, bus: Bus, store: object) -> None:
    await ensure_streams(bus, partitions=4, max_bytes=2 * 1024**2)
    body = [{"payload": {"text": "x" * 100_000, "n": n}, "event_id": f"e{n}"} for n in range(30)]
    answer = await client.post("/api/ingest/web", json=[*body, "x"])
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    told = answer.json()
    assert int(answer.headers["retry-after"]) > 0
    assert 0 < told["accepted"] < 30
    assert told["rejected"] == [{"line": 31, "reason": "not a JSON object"}]
    assert told["detail"].startswith(f"the event stream is full; sources wait; {told['accepted']} of 30 events are stored")
    assert [event.payload["n"] for event in await stored(bus)] == list(range(told["accepted"]))
    await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
    assert (await send(client, body))["accepted"] == 30
    events = await stored(bus)
    assert sorted(event.payload["n"] for event in events) == list(range(30)), "what was taken is not taken again"


async def test_without_the_engines_stream_nothing_is_taken(
    serve: Serve, nats_url: str, clickhouse_url: str, database: str
) -> None:
    async with serve(nats_url, clickhouse_url, database) as client:
        await until_well(client)
        answer = await client.post("/api/ingest/web", json={"a": 1})
        assert (answer.status_code, answer.headers["content-type"], answer.json()["accepted"]) == (503, PROBLEM, 0)


async def test_a_packed_body_is_unpacked(client: httpx.AsyncClient, bus: Bus) -> None:
    body = [gzip.compress(b'{"n": %d}\n' % n, mtime=0) for n in range(3)]
    headers = {**NDJSON, "Content-Encoding": "gzip"}
    answer = await client.post("/api/ingest/web", content=b"".join(body), headers=headers)  # members of one body
    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(len(body[0])):
            yield body[0][at : at + 1]

    answer = await client.post("/api/ingest/web", content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert [event.payload["n"] for event in await stored(bus)] == [0, 1, 2, 0]


async def test_a_bomb_is_not_unpacked(serve: Serve) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 1024**2) for _ in range(256)) + packer.flush()
    assert len(bomb) < 300_000
    async with serve("nats://127.0.0.1:1", "http://127.0.0.1:1", settings=ApiSettings(rate_per_minute=0)) as client:
        for kind in (JSON, NDJSON):
            answer = await client.post("/api/ingest/web", content=bomb, headers={**kind, "Content-Encoding": "gzip"})
            assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
            assert "4194304 bytes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"{", JSON, 422, "body: not JSON: Input data was truncated"),
        (b"", JSON, 422, "body: not JSON: Input data was truncated"),
        (b"7", JSON, 422, "body: expected an object or an array of objects"),
        (b"[" * 100_000, JSON, 422, "body: JSON is nested too deeply"),
        (b"a,b\n1,2\n", {"Content-Type": "text/csv"}, 415, "only JSON is taken"),
        (b"{}", {"Content-Type": "application/merge-patch+json"}, 415, "expected one of application/json, "),
        (b"{}", {**JSON, "Content-Encoding": "br"}, 415, "a body may be packed with gzip, not br"),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 400, "the body is not gzip"),
        (gzip.compress(b"{}", mtime=0)[:-5], {**JSON, "Content-Encoding": "gzip"}, 400, "the body ends within its gzip"),
        (b"{}", {**JSON, "Idempotency-Key": "x" * 300}, 422, "idempotency-key: "),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    alone: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answer = await alone.post("/api/ingest/web", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.json()["detail"].startswith(said)


@pytest.mark.parametrize("source", ["a.b", "*", "é", "x" * 65, "_qraft", "a%20b", "a%0Ab"])
async def test_a_name_that_is_no_source_is_refused(alone: httpx.AsyncClient, source: str) -> None:
    answer = await alone.post(f"/api/ingest/{source}", json={})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "source")


async def test_too_many_events_are_refused(alone: httpx.AsyncClient) -> None:
    for body, headers in ((b"[" + b"0," * 50_000 + b"0]", JSON), (b"{}\n" * 50_001, NDJSON)):
        answer = await alone.post("/api/ingest/web", content=body, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (422, "body: holds more than 50000 events; send it in parts")


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_numbers_of_any_size_stay_as_they_are(form: records.Form) -> None:
    settings = records.RecordSettings("web", "k", us_from_iso(NOW))
    found = records.read_records(json.dumps({"n": 10**30, "f": 0.1}).encode(), form, settings)
    assert [event.payload for event in found.events] == [{"n": 10**30, "f": 0.1}]
