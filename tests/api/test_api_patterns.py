"""Patterns over REST: lists of them, and one with what belongs to it."""

from __future__ import annotations

import math
import uuid
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.api.matching import test_of as matcher
from qraft.api.views_filter import PatternChoice
from qraft.model import Feedback, iso_from_us, us_from_iso
from qraft.store import Block, Store
from tests.api.sample import NOW, START_US, make_pattern

PROBLEM = "application/problem+json"


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
            "kind": "",
            "began": "",
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


async def test_whatever_the_text_a_filter_is_text(client: httpx.AsyncClient) -> None:
    for text in ("'; DROP TABLE pattern_events; --", "\\", "日本", "{x}", "%", "\t\n", "\x00"):
        assert await ids(client, entity=text) == [], text
        assert await ids(client, source=text) == [], text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=drifft", "type.0"),
        ("min_confidence=2", "min_confidence"),
        ("since=yesterday", "since"),
        ("until=0", "until"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=abc", "cursor"),
        ("cursor=99999999999999999999_x", "cursor"),
        ("verdict=undo", "verdict"),
        ("sources=host", "sources"),
        ("q=conf>x", "q"),
        ("q=scr:x", "q"),
        ("q=/(/", "q"),
        ("order=up", "order"),
    ],
)
async def test_a_query_that_cannot_be_used_names_the_field(alone: httpx.AsyncClient, query: str, field: str) -> None:
    answer = await alone.get(f"/api/patterns?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    body = answer.json()
    assert [error["field"] for error in body["errors"]] == [field]
    assert body["detail"].startswith(f"{field}: ")


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


async def test_an_unknown_pattern_is_404(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.get("/api/pattern/unknown-1"),
        await client.post("/api/feedback/unknown-1", json={"verdict": "confirmed"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
        assert answer.json()["detail"].startswith("no pattern unknown-1 is stored")


async def test_oldest_first_is_the_same_list_turned_round(client: httpx.AsyncClient) -> None:
    assert await ids(client, order="asc") == expected(*range(40))
    body = (await client.get("/api/patterns", params={"order": "asc", "limit": 38})).json()
    assert await ids(client, order="asc", cursor=body["next"]) == expected(38, 39)


async def test_the_link_header_names_the_next_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/patterns", params={"limit": 19, "source": ["host", "é"], "q": "!y*  score>0"})
    rest = await client.get(answer.links["next"]["url"])
    assert [one["pattern_id"] for one in rest.json()["patterns"]] == expected(0)
    assert "link" not in rest.headers


async def test_the_filter_language_narrows_alike_in_list_and_stream(client: httpx.AsyncClient) -> None:
    now_us = us_from_iso(NOW)
    for text, numbers in {
        "kind:drift": range(39, -1, -3),
        "src:host": range(38, -1, -2),
        "src:market/B*": range(39, -1, -2),
        "entity:btc !kind:drift,anomaly": range(35, -1, -6),
        "score>.88": [39],
        "score>=.88 n:1": [39, 38],
        "n>1": [],
        "state:confirmed": [3],
        "state:new score>.86": [39, 38, 37],
        "by:ops": [3],
        "!by:ops score<.54": [2, 1, 0],
        "field:Y det:TEST (7)": [7],
        "field:z": [],
        "MEAN src:*et,ho??": range(39, -1, -1),
        "/^host\\s.*\\(1[02]\\)/": [12, 10],
        "what:mean": [],
        f"age<{(now_us - us_from_iso(make_pattern(38).timestamp)) / 1e6 - 1}": [39],
    }.items():
        assert await ids(client, q=text) == expected(*numbers), text
        if "/" not in text[:1] and "confirmed" not in text and not text.startswith("by:"):
            passes = matcher(PatternChoice(q=text))
            live = [n for n in range(39, -1, -1) if n != 3 and passes(make_pattern(n), now_us)]
            assert live == [n for n in numbers if n != 3], text


async def test_a_regular_expression_that_the_store_does_not_have_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/patterns", params={"q": "/(?=x)y/"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert "RE2" in answer.json()["detail"]


async def test_further_filters_narrow(client: httpx.AsyncClient, store: Store) -> None:
    assert await ids(client, max_confidence=0.515) == expected(1, 0)
    assert await ids(client, detector="other") == []
    assert len(await ids(client, detector="test")) == 40
    assert await ids(client, text="WAS 1.0 (17)") == expected(17)
    assert await ids(client, since="0001-01-01T00:00:00Z", until="1800-01-01T00:00:00Z") == []
    assert len(await ids(client, since="0001-01-01T00:00:00+14:00", until="9999-12-31T23:59:59-14:00")) == 40
    silent = msgspec.structs.replace(make_pattern(41), kind="silence", began=make_pattern(40).timestamp)
    await store.write(Block(token="kind", ingested_at=START_US, patterns=[silent]))
    assert await ids(client, kind=["silence", "mean"]) == [silent.pattern_id]
    body = (await client.get(f"/api/pattern/{silent.pattern_id}")).json()
    assert (body["kind"], body["began"]) == ("silence", make_pattern(40).timestamp)


async def test_events_around_may_be_more_or_fewer_and_raw(client: httpx.AsyncClient) -> None:
    path = f"/api/pattern/{make_pattern(2).pattern_id}"
    body = (await client.get(path, params={"before": 2, "after": 1, "raw": True})).json()
    assert [(e["fields"], e["payload"], e["type"]) for e in body["events"]] == [
        ({"x": n / 2}, {"x": n / 2}, "row") for n in (119, 120, 121)
    ]
    body = (await client.get(path, params={"before": 0, "after": 0})).json()
    assert (body["events"], body["similar"]) == ([], None)


async def test_similar_patterns_come_with_their_verdicts(client: httpx.AsyncClient, store: Store) -> None:
    days = [make_pattern(n * 1440 + 9) for n in range(1, 5)]  # days apart: runs of their own
    alike = [
        msgspec.structs.replace(
            one, type="drift", source="market", entity="BTC",
            details=msgspec.structs.replace(one.details, confidence=0.9), pattern_id=f"day-{n}",
        )
        for n, one in enumerate(days)
    ]  # fmt: skip
    said = Feedback(feedback_id="d", pattern_id="day-1", verdict="expected", timestamp=NOW, source="market", user="ops1")
    await store.write(Block(token="days", ingested_at=START_US, patterns=alike, feedback=[said]))
    body = (await client.get("/api/pattern/day-3", params={"similar": 2})).json()
    names = [one["pattern_id"] for one in body["similar"]["patterns"]]
    assert names[0] == "day-1"
    assert len(names) == 2
    assert body["similar"]["patterns"][0]["verdict"] == "expected"
    assert body["similar"]["verdicts"]["expected"] == 1
    assert body["similar"]["verdicts"]["none"] >= 2


@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_while_patterns_come_those_that_were_there_come_once(
    data: st.DataObject, client: httpx.AsyncClient, store: Store
) -> None:
    """Patterns of few times, so that many stand at one; others are stored between any two pages, before and behind."""
    source = uuid.uuid4().hex

    async def write(count: int) -> set[str]:
        times = data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
        made = [
            msgspec.structs.replace(
                make_pattern(0), pattern_id=uuid.uuid4().hex, source=source, timestamp=iso_from_us(START_US + at)
            )
            for at in times
        ]
        await store.write(Block(token=uuid.uuid4().hex, ingested_at=START_US, patterns=made))
        return {one.pattern_id for one in made}

    there = await write(data.draw(st.integers(0, 12)))
    wanted = {"source": source, "order": data.draw(st.sampled_from(["desc", "asc"])), "limit": data.draw(st.integers(1, 4))}
    found: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        body = (await client.get("/api/patterns", params={**wanted, "cursor": cursor})).json()
        found += [one["pattern_id"] for one in body["patterns"]]
        cursor, pages = body["next"], pages + 1
        if pages <= 3:
            await write(2)
    assert len(found) == len(set(found))
    assert there <= set(found)
