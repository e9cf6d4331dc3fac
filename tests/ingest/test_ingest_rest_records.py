"""Who a record is, and where asking goes on: no record twice, none missed, across any restart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from qraft.config.sources import RestSource
from qraft.ingest.rest_records import End, Found, Known, Position, Recorder
from qraft.model import Event
from tests.ingest.rest_server import NOW, Asked, Reply, polled, served

KEYS: dict[str, Any] = {"adapter": "rest", "url": "http://127.0.0.1:1"}


def recorder(position: Position | None = None, **keys: Any) -> Recorder:
    return Recorder("r", RestSource.model_validate(KEYS | keys), position or Position())


def take(recorder: Recorder, records: list[dict[str, Any]], end: End = "whole") -> list[Event]:
    taken = recorder.take([Found(record, None) for record in records], NOW, end, Position())
    assert taken.letters == []
    return taken.events


def resumed(event: Event) -> Position:
    return Position.parse(event.meta.get("cursor"))


def test_a_position_is_read_as_it_was_written() -> None:
    for position in (
        Position(),
        Position(since=5),
        Position(since="a", etag='"x"', modified="y", of="z"),
        Position(since=0),
    ):
        assert Position.parse(str(position)) == position
    for text in (None, "", "{", "[]", '{"since": []}', "fingerprint:12:3"):
        assert Position.parse(text) == Position()


def test_rows_newest_first_are_turned_around_by_their_time() -> None:
    events = take(recorder(time="t"), [{"t": 1700000003}, {"t": 1700000001}, {"t": 1700000002}])
    assert [event.payload["t"] % 10 for event in events] == [1, 2, 3]


def test_without_a_time_the_order_is_the_servers() -> None:
    assert [event.payload["a"] for event in take(recorder(id=["a"]), [{"a": 2}, {"a": 1}])] == [2, 1]


def test_what_tells_a_record_is_no_measurement() -> None:
    (event,) = take(recorder(id=["n"], since={"path": "n", "param": "after"}), [{"n": 7, "a": 1}])
    assert (event.meta["unmeasured"], resumed(event).since) == (["n"], 7)
    (event,) = take(recorder(id=["t", "a"]), [{"t": 7, "a": 1}])
    assert "unmeasured" not in event.meta, "of several, some may be what is measured"


def test_time_may_stand_around_the_record() -> None:
    taken = recorder(time="meta.at").take([Found({"a": 1}, {"meta": {"at": 1700000001}})], NOW, "whole", Position())
    assert taken.events[0].timestamp == "2023-11-14T22:13:21.000000Z"


def test_the_cursor_never_passes_what_comes_later() -> None:
    asking = recorder(since={"path": "n", "param": "after"})
    events = take(asking, [{"n": 2, "a": 1}, {"n": 1}, {"n": 2, "a": 2}, {"n": 3}])
    assert [resumed(event).since for event in events] == [1, 1, 2, 3]
    assert asking.asks_from() == 3


def test_an_unfinished_poll_moves_on_only_in_rising_order() -> None:
    rising = recorder(since={"path": "n", "param": "after"})
    take(rising, [{"n": 1}, {"n": 2}, {"n": 3}], "failed")
    assert rising.asks_from() == 2  # more of 3 may come
    falling = recorder(since={"path": "n", "param": "after"})
    assert [resumed(event) for event in take(falling, [{"n": 3}, {"n": 2}], "failed")] == [Position(), Position()]
    assert falling.asks_from() is None


def test_newest_first_beyond_max_pages_moves_on_and_says_so() -> None:
    asking = recorder(since={"path": "n", "param": "after"})
    taken = asking.take([Found({"n": number}, None) for number in (9, 8, 7)], NOW, "cut", Position())
    assert taken.skipped
    assert asking.asks_from() == 9


@pytest.mark.parametrize(
    ("values", "highest"),
    [
        ([9, 10, 2], 10),
        (["9", "10", "2"], "10"),
        ([1.5, 2, 1], 2),
        (["2024-03-01T10:00:00+05:00", "2024-03-01T06:00:00Z"], "2024-03-01T06:00:00Z"),
        (["b", "a", "ab"], "b"),
        ([2**60, 2**60 + 1], 2**60 + 1),
    ],
)
def test_the_highest_value_is_that_of_its_kind(values: list[Any], highest: Any) -> None:
    asking = recorder(since={"path": "n", "param": "after"})
    take(asking, [{"n": value} for value in values])
    assert asking.asks_from() == highest


@pytest.mark.parametrize(
    ("send", "sent"),
    [
        ("as_is", 1700000001500),
        ("iso", "2023-11-14T22:13:21.500000Z"),
        ("seconds", 1700000001),
        ("milliseconds", 1700000001500),
    ],
)
def test_the_highest_value_is_sent_as_the_server_wants_it(send: str, sent: Any) -> None:
    asking = recorder(since={"path": "n", "param": "after", "send": send, "start": "2020-01-01"})
    assert asking.asks_from() == "2020-01-01"
    take(asking, [{"n": 1700000001500}])
    assert asking.asks_from() == sent


def test_what_has_no_value_to_ask_on_from_is_a_dead_letter_once() -> None:
    asking = recorder(since={"path": "n", "param": "after"})
    for expected in (1, 0):
        taken = asking.take([Found({"m": 1}, None)], NOW, "whole", Position())
        assert len(taken.letters) == expected
    assert 'has no "n" to ask on from' in asking.take([Found({"n": None}, None)], NOW, "whole", Position()).letters[0].reason


def test_ids_are_forgotten_beyond_a_bound() -> None:
    known = Known()
    assert all(known.add(str(number)) for number in range(12_000))
    known.trim(0)
    assert not known.add("11999")
    assert known.add("0")
    known.trim(100)
    assert len(known._ids) == 10_000


def test_a_poll_larger_than_the_memory_is_remembered_whole() -> None:
    asking = recorder(id=["k"])
    records = [{"k": number} for number in range(15_000)]
    assert len(take(asking, records)) == 15_000
    assert take(asking, records) == []


class Api:
    """A server's table of records, asked by value and page."""

    def __init__(self, values: list[int], *, above: bool, falling: bool, size: int) -> None:
        self.rows = [{"n": value, "k": number} for number, value in enumerate(sorted(values))]
        self.above, self.falling, self.size = above, falling, size

    def pages(self, since: Any, there: int) -> list[list[dict[str, Any]]]:
        """Pages of the first ``there`` rows, from ``since`` on or above it."""
        rows = self.rows[:there]
        if since is not None:
            rows = [row for row in rows if row["n"] > since or (row["n"] == since and not self.above)]
        rows = rows[::-1] if self.falling else rows
        return [rows[start : start + self.size] for start in range(0, len(rows), self.size)] or [[]]


@given(data=st.data())
def test_no_record_twice_and_none_missed_over_any_restarts(data: st.DataObject) -> None:
    """Polls that end whole or fail after any page, crashes after any event that was sent, servers of every manner."""
    values = data.draw(st.lists(st.integers(0, 8), max_size=25), "values")
    api = Api(values, above=data.draw(st.booleans(), "above"), falling=data.draw(st.booleans(), "falling"), size=4)
    # Rows of one value appear together, as a server that gives only what lies above a value must see to.
    moments = sorted({0, len(api.rows), *(n for n in range(1, len(api.rows)) if api.rows[n]["n"] > api.rows[n - 1]["n"])})
    keys: dict[str, Any] = {"since": {"path": "n", "param": "after"}, "id": data.draw(st.sampled_from([[], ["k"]]), "id")}
    stored: dict[str, Any] = {}
    position, asking, there = Position(), recorder(**keys), 0
    for _ in range(data.draw(st.integers(1, 6), "polls")):
        there = data.draw(st.sampled_from([moment for moment in moments if moment >= there]), "there")
        pages = api.pages(asking.asks_from(), there)
        read = data.draw(st.integers(1, len(pages)), "read")
        events = take(asking, [row for page in pages[:read] for row in page], "whole" if read == len(pages) else "failed")
        kept = data.draw(st.integers(0, len(events)), "kept")
        for event in events[:kept]:
            assert stored.setdefault(event.event_id, event.payload) == event.payload
            position = resumed(event) if "cursor" in event.meta else position
        if kept < len(events) or data.draw(st.booleans(), "restart"):
            asking = recorder(position, **keys)
    for page in api.pages(asking.asks_from(), len(api.rows)):
        stored |= {event.event_id: event.payload for event in take(asking, page)}
    assert sorted(stored.values(), key=lambda row: row["k"]) == api.rows


@pytest.mark.parametrize("above", [True, False])
async def test_a_real_server_asked_on_over_restarts(sink: Any, above: bool) -> None:
    """Every 40 rows the adapter is started anew from the cursor of a row in the midst of what was sent."""
    api = Api([number // 3 for number in range(300)], above=above, falling=False, size=10)
    there = 0

    def answer(asked: Asked) -> Reply:
        nonlocal there
        if asked.query["page"] == "1":
            there = min(there + 21, len(api.rows))
        after = asked.query.get("after")
        pages = api.pages(None if after is None else int(after), there)
        number = int(asked.query["page"]) - 1
        return Reply({"rows": pages[number] if number < len(pages) else []})

    keys: dict[str, Any] = {"record": "rows", "since": {"path": "n", "param": "after"}, "pages": {"by": "page", "size": 10}}
    stored: list[Event] = []
    async with served(answer) as server:
        while len({event.event_id for event in stored}) < 300:
            sink.batches.clear()
            resume = stored[-1].meta.get("cursor") if stored else None
            done = lambda: len(sink.events) >= 40 or (there == 300 and bool(sink.events))  # noqa: E731
            await polled(server.url, sink, done, interval_seconds=0.005, resume=resume, **keys)
            stored += sink.events if there == 300 else sink.events[:-7]
    # A restart repeats what is behind the cursor, under the same ids; while running nothing is sent twice.
    unique = {event.event_id: event.payload for event in stored}
    assert sorted(unique.values(), key=lambda row: row["k"]) == api.rows
    asked_from = [asked.query.get("after") for asked in server.asked]
    assert asked_from[0] is None
    assert len(set(asked_from)) > 10
    assert msgspec.json.decode(stored[-1].meta["cursor"])["since"] == 99
