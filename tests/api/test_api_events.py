"""Events over REST: as the detectors saw them and as they were sent."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from qraft.model import CleanEvent, Event, event_id, iso_from_us
from qraft.store import Block, RawRow, Store
from tests.api.sample import START_US, make_events

PROBLEM = "application/problem+json"


async def page(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.get("/api/events", params=wanted)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def ids(client: httpx.AsyncClient, **wanted: Any) -> list[str]:
    return [event["event_id"] for event in (await page(client, **wanted))["events"]]


async def all_pages(client: httpx.AsyncClient, **wanted: Any) -> list[str]:
    found, body = [], await page(client, **wanted)
    found += [event["event_id"] for event in body["events"]]
    while body["next"] is not None:
        body = await page(client, **wanted, cursor=body["next"])
        found += [event["event_id"] for event in body["events"]]
    return found


def expected(*numbers: int) -> list[str]:
    return [make_events()[n].event_id for n in numbers]


@pytest.fixture
async def busy(store: Store) -> Store:
    """Further events: of one time in two sources and two entities, some with an id that both sources use."""
    events = [
        CleanEvent(event_id="42", source=source, entity=entity, time_us=START_US + 500, fields={"x": 1.0})
        for source in ("a", "b")
        for entity in ("", "é,")
    ] + [CleanEvent(event_id=str(n), source="a", entity="e", time_us=START_US + 500, fields={}) for n in range(10)]
    sent = {(event.source, event.event_id): event for event in events}.values()
    rows = [
        RawRow(
            Event(event_id=e.event_id, source=e.source, type="row", timestamp=iso_from_us(e.time_us), payload={"n": 10**30}),
            0,
            n,
            START_US,
        )
        for n, e in enumerate(sent)
    ]
    await store.write(Block(token="busy", ingested_at=START_US, raw=rows, clean=events))
    return store


async def test_clean_events_come_newest_first(client: httpx.AsyncClient) -> None:
    event = make_events()[199]
    assert (await page(client, limit=1))["events"] == [
        {
            "event_id": event.event_id,
            "source": "host",
            "timestamp": iso_from_us(event.time_us),
            "entity": "",
            "fields": {"x": 99.5},
            "type": None,
            "payload": None,
            "meta": None,
        }
    ]


async def test_raw_events_come_as_they_were_sent(client: httpx.AsyncClient) -> None:
    event = make_events()[199]
    assert (await page(client, kind="raw", limit=1))["events"] == [
        {
            "event_id": event.event_id,
            "source": "host",
            "timestamp": iso_from_us(event.time_us),
            "entity": None,
            "fields": None,
            "type": "row",
            "payload": {"x": 99.5},
            "meta": {"version": "1.0"},
        }
    ]


@pytest.mark.parametrize("kind", ["clean", "raw"])
@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_pages_hold_every_event_once(client: httpx.AsyncClient, busy: Store, kind: str, order: str) -> None:
    whole = await ids(client, kind=kind, order=order, limit=1000)
    assert len(whole) == {"clean": 214, "raw": 212}[kind]
    assert await all_pages(client, kind=kind, order=order, limit=19) == whole
    times = [event["timestamp"] for event in (await page(client, kind=kind, order=order, limit=1000))["events"]]
    assert times == sorted(times, reverse=order == "desc")


async def test_while_events_come_those_that_were_there_come_once(client: httpx.AsyncClient, store: Store) -> None:
    there, found, body, n = set(expected(*range(200))), [], await page(client, limit=17), 0
    while True:
        found += [event["event_id"] for event in body["events"]]
        if body["next"] is None:
            break
        n += 1
        late = [
            CleanEvent(event_id=event_id("host", f"late{n}-{at}"), source="host", entity="", time_us=at, fields={})
            for at in (START_US - n, START_US + n * 10_000_000 + 1, START_US + 10**10 + n)
        ]
        await store.write(Block(token=f"late{n}", ingested_at=START_US, clean=late))
        body = await page(client, limit=17, cursor=body["next"])
    assert len(found) == len(set(found))
    assert there <= set(found)


async def test_filters_narrow(client: httpx.AsyncClient, busy: Store) -> None:
    assert await ids(client, source="host", since=iso_from_us(make_events()[198].time_us)) == expected(199, 198)
    assert await ids(client, source="host", until=iso_from_us(make_events()[2].time_us), kind="raw") == expected(1, 0)
    assert len(await ids(client, source=["a", "b"])) == 14
    assert len(await ids(client, source=["a", "b"], entity="é,")) == 2
    assert len(await ids(client, entity="")) == 100
    assert await ids(client, kind="raw", type="qraft.notice") == []
    assert len(await ids(client, kind="raw", type=["row", "x"], source="b")) == 1
    assert await ids(client, source="nobody") == []
    assert await ids(client, since="0001-01-01T00:00:00Z", until="0002-01-01T00:00:00Z") == []
    assert len(await ids(client, since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z", limit=1000)) == 214


async def test_numbers_of_any_size_come_as_they_were_sent(client: httpx.AsyncClient, busy: Store) -> None:
    answer = await client.get("/api/events", params={"kind": "raw", "source": "b"})
    assert msgspec.json.decode(answer.content)["events"][0]["payload"] == {"n": 10**30}


async def test_the_link_header_names_the_next_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/events", params={"limit": 150, "source": ["host", "é"], "kind": "raw"})
    link = answer.links["next"]["url"]
    assert link.startswith("/api/events?")
    rest = await client.get(link)
    assert [e["event_id"] for e in rest.json()["events"]] == expected(*range(49, -1, -1))
    assert "link" not in rest.headers


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=both", "kind"),
        ("limit=0", "limit"),
        ("kind=raw&entity=", "entity"),
        ("type=row", "type"),
        ("cursor=abc", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("cursor=é", "cursor"),
        ("since=x", "since"),
        ("sources=host", "sources"),
    ],
)
async def test_a_query_that_cannot_be_used_names_the_field(alone: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await alone.get(f"/api/events?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [error["field"] for error in answer.json()["errors"]] == [field]
