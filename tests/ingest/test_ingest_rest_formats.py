"""Bytes in, records and faults out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qraft.config.sources import RestSource
from qraft.ingest.records import RecordError
from qraft.ingest.rest_formats import ABSENT, as_utf8, at, kind_of, read_records
from tests.ingest.rest_server import Reply, polled, served


def settings(**keys: Any) -> RestSource:
    return RestSource.model_validate({"adapter": "rest", "url": "http://x", **keys})


def read(raw: bytes | str | Any, content_type: str = "", **keys: Any) -> Any:
    body = raw if isinstance(raw, bytes) else (raw if isinstance(raw, str) else json.dumps(raw)).encode()
    form = settings(**keys)
    body = as_utf8(body, content_type)
    return read_records(body, kind_of(body, content_type, form), form)


CASES: list[tuple[Any, dict[str, Any], list[dict[str, Any]]]] = [
    ({"a": 1}, {}, [{"a": 1}]),
    ([{"a": 1}, {"a": 2}], {}, [{"a": 1}, {"a": 2}]),
    ([], {}, []),
    ({"data": {"rows": [{"a": 1}]}}, {"record": "data.rows"}, [{"a": 1}]),
    ({"data.rows": {"a": 1}}, {"record": "data.rows"}, [{"a": 1}]),
    ([{"page": 1}, [{"a": 1}]], {"record": "1"}, [{"a": 1}]),
    ({"items": None}, {"record": "items"}, []),  # Go writes an empty slice as null
    ({"BTC": {"p": 1}, "ETH": {"p": 2}}, {"key": "coin"}, [{"coin": "BTC", "p": 1}, {"coin": "ETH", "p": 2}]),
    ({"r": {"EUR": 0.9, "JPY": 9}}, {"record": "r", "key": "to"}, [{"to": "EUR", "value": 0.9}, {"to": "JPY", "value": 9}]),
    ({"rates": {"EUR": 0.9}}, {"record": "rates"}, [{"EUR": 0.9}]),
    ([[1, "2", 3]], {"columns": ["t", "open"]}, [{"t": 1, "open": "2"}]),
    ({"X": [1, 2]}, {"key": "pair", "columns": ["bid", "ask"]}, [{"pair": "X", "bid": 1, "ask": 2}]),
    ('{"a":1}\n{"a":2}\n', {}, [{"a": 1}, {"a": 2}]),
    ('{"a":1}\r\n\r\n{"a":2}', {"format": "ndjson"}, [{"a": 1}, {"a": 2}]),
    ("a,b\n1,x\n2,\"y,z\"\n", {}, [{"a": "1", "b": "x"}, {"a": "2", "b": "y,z"}]),
    ("a;b\n1;x\n", {"delimiter": ";"}, [{"a": "1", "b": "x"}]),
    ("a\n1\n", {"format": "csv"}, [{"a": "1"}]),
    (b"\xef\xbb\xbf[{\"a\":1}]", {}, [{"a": 1}]),
    (
        {"type": "Feature", "id": 7, "properties": {"mag": 1}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
        {},
        [{"mag": 1, "id": 7, "longitude": 1, "latitude": 2}],
    ),
    (
        {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": None, "geometry": None, "id": "a"}]},
        {},
        [{"id": "a"}],
    ),
    ({"type": "FeatureCollection", "features": []}, {"format": "json"}, [{"type": "FeatureCollection", "features": []}]),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "keys", "records"), CASES)
def test_records(raw: Any, keys: dict[str, Any], records: list[dict[str, Any]]) -> None:
    found = read(raw, **keys)
    assert found.records == records
    assert found.faults == []


@pytest.mark.parametrize(
    ("raw", "keys", "kept", "reasons"),
    [
        ([{"a": 1}, 7, None, "x"], {}, 1, ["a record is no JSON object"] * 3),
        ([[1], [1, 2]], {"columns": ["a", "b"]}, 1, ["a record has 1 values where columns names 2"]),
        ({"X": [1]}, {"key": "k"}, 0, ["a record is a list; set columns"]),
        ({"type": "FeatureCollection", "features": [3]}, {}, 0, ["a record is no GeoJSON feature"]),
        ('{"a":1}\n{"a"\n{"a":2}', {"format": "ndjson"}, 2, ["byte 8: not JSON: "]),
        ("a,b\n1\n2,3\n", {}, 1, ["byte 4: 1 column where the header has 2"]),
    ],
)
def test_a_bad_record_costs_itself_alone(raw: Any, keys: dict[str, Any], kept: int, reasons: list[str]) -> None:
    found = read(raw, **keys)
    assert len(found.records) == kept
    assert found.count == kept + len(reasons)
    for fault, reason in zip(found.faults, reasons, strict=True):
        assert fault.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("application/problem+json; charset=utf-8", "json"),
        ("application/geo+json", "geojson"),
        ("application/x-ndjson", "ndjson"),
        ("text/csv; header=present", "csv"),
        ("text/plain; version=0.0.4; charset=utf-8", "prometheus"),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"),
    ],
)
def test_the_content_type_says_the_form(content_type: str, kind: str) -> None:
    assert kind_of(b"\x00", content_type, settings()) == kind


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b' \n{"a":1}', "json"),
        (b"# HELP x y\n", "prometheus"),
        (b"# TYPE x gauge\nx 1\n", "prometheus"),
        (b"up 1\n", "prometheus"),
        (b'up{a="b, c"} NaN 1700000000000\n', "prometheus"),
        (b"time,value\n1,2\n", "csv"),
        (b"up 1,2\n", "csv"),
    ],
)
def test_else_the_content_does(raw: bytes, kind: str) -> None:
    for content_type in ("", "text/plain", "application/octet-stream"):
        assert kind_of(raw, content_type, settings()) == kind


def test_a_configured_form_is_not_guessed() -> None:
    assert kind_of(b"{", "text/csv", settings(format="json")) == "json"
    assert kind_of(b"{", "application/openmetrics-text", settings(format="prometheus")) == "openmetrics"


def test_other_encodings() -> None:
    assert read("n,v\nZürich,1\n".encode("latin-1"), "text/csv; charset=ISO-8859-1").records == [{"n": "Zürich", "v": "1"}]
    assert read('{"n":"Zürich"}'.encode("utf-16"), 'application/json; charset="utf-16"').records == [{"n": "Zürich"}]
    with pytest.raises(RecordError, match="unknown encoding"):
        as_utf8(b"x", "text/csv; charset=ascii-or-so")
    with pytest.raises(RecordError, match="not utf-16, which its content type names"):
        as_utf8(b"odd", "text/csv; charset=utf-16")
    with pytest.raises(RecordError, match="not base64, which its content type names"):
        as_utf8(b"odd", "text/csv; charset=base64")


def test_paths() -> None:
    value = {"a": [{"b": 1}], "c.d": 2, "e": None}
    assert at(value, "a.0.b") == 1
    assert at(value, "c.d") == 2
    assert at(value, "e") is None
    assert at(value, "a.1.b") is at(value, "a.x") is at(value, "f") is at(None, "a") is ABSENT


async def test_a_recorded_earthquake_feed(sink: Any, recordings: Path) -> None:
    raw = (recordings / "rest" / "usgs_all_week_20180206.geojson").read_bytes()
    headers = {"Content-Type": "application/geo+json"}
    async with served([Reply(raw, headers=headers)]) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 2, time="time", id=["id", "updated"])
    features = json.loads(raw)["features"]
    assert len(sink.events) == len(features) == 1707
    assert [event.payload["time"] for event in sink.events] == sorted(feature["properties"]["time"] for feature in features)
    by_id = {event.payload["id"]: event for event in sink.events}
    castaic = by_id["ci37868143"]
    assert castaic.timestamp == "2018-02-07T01:26:13.840000Z"
    place = [castaic.payload[name] for name in ("longitude", "latitude", "depth", "mag")]
    assert place == [-118.6671667, 34.4945, 26.49, 2]
    assert sink.letters == []


async def test_recorded_exchange_answers(sink: Any, recordings: Path) -> None:
    async with served([(recordings / "rest" / "coinbase_products_20260809.json").read_bytes()]) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 1840, record="products", entity="product_id")
    assert len({event.payload["product_id"] for event in sink.events}) == 920
    assert sink.events[0].payload["price"] == "65086.18"
    sink.batches.clear()
    async with served([(recordings / "rest" / "binance_depth_NKNUSDT_20211012.json").read_bytes()]) as server:
        await polled(server.url, sink, lambda: bool(sink.events))
        await polled(server.url, sink, lambda: len(sink.events) > 1000, record="bids", columns=["price", "quantity"])
    assert len(sink.events[0].payload["asks"]) == 1000
    assert sink.events[-1].payload.keys() == {"price", "quantity"}
