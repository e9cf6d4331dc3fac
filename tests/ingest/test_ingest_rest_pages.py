"""Every kind of paging, followed to its end and no further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qraft.ingest.base import NotConnected
from tests.ingest.rest_server import Asked, Reply, adapter, polled, served

TOTAL = 25
RECORDS = [{"k": number} for number in range(TOTAL)]


def by_page(asked: Asked, size: int = 10) -> Reply:
    number = int(asked.query["p"])
    return Reply({"rows": RECORDS[(number - 1) * size : number * size]})


def by_offset(asked: Asked) -> Reply:
    start, size = int(asked.query["offset"]), int(asked.query["limit"])
    return Reply({"rows": RECORDS[start : start + size]})


def by_cursor(asked: Asked) -> Reply:
    start = int(asked.query.get("after", "c0")[1:])
    following = f"c{start + 10}" if start + 10 < TOTAL else None
    return Reply({"rows": RECORDS[start : start + 10], "meta": {"next": following}})


def by_address(asked: Asked) -> Reply:
    start = int(asked.query.get("start", 0))
    following = f"/list?start={start + 10}" if start + 10 < TOTAL else ""
    return Reply({"rows": RECORDS[start : start + 10], "meta": {"next": following}})


def by_link(asked: Asked) -> Reply:
    start = int(asked.query.get("start", 0))
    links = f'</list?start={start + 10}>; rel="next", </>; rel="first"' if start + 10 < TOTAL else '</>; rel="first"'
    return Reply({"rows": RECORDS[start : start + 10]}, headers={"Link": links})


KINDS: list[tuple[Any, dict[str, Any], int]] = [
    (by_page, {"pages": {"by": "page", "param": "p"}}, 4),  # it ends with the first page that has none
    (by_page, {"pages": {"by": "page", "param": "p", "size": 10}}, 3),
    (by_offset, {"pages": {"by": "offset", "size": 10}, "params": {"limit": 10}}, 3),
    (by_offset, {"pages": {"by": "offset"}, "params": {"limit": 10}}, 4),
    (by_cursor, {"pages": {"by": "cursor", "param": "after", "path": "meta.next"}}, 3),
    (by_address, {"pages": {"by": "cursor", "path": "meta.next"}}, 3),
    (by_link, {"pages": {"by": "link"}}, 3),
]


@pytest.mark.parametrize(("answer", "keys", "requests"), KINDS)
async def test_all_pages_are_read(sink: Any, answer: Any, keys: dict[str, Any], requests: int) -> None:
    async with served(answer) as server:
        await polled(f"{server.url}/list", sink, lambda: len(sink.events) >= 2 * TOTAL, record="rows", **keys)
    assert [event.payload for event in sink.events[:TOTAL]] == RECORDS
    assert len(sink.events[:TOTAL]) == TOTAL
    # The second poll begins anew, after as many requests as the first has pages.
    assert server.asked[requests].query == server.asked[0].query != server.asked[1].query
    assert sink.letters == sink.notices == []


@pytest.mark.parametrize("by", ["page", "offset"])
async def test_a_server_that_ignores_the_number_has_one_page(sink: Any, by: str) -> None:
    async with served([[{"k": 1}, {"k": 2}]]) as server:
        await polled(server.url, sink, lambda: len(server.asked) >= 5, pages={"by": by})
    assert [asked.query[by] for asked in server.asked[:3]] == (["1", "2", "1"] if by == "page" else ["0", "2", "0"])
    polls = -(-len(server.asked) // 2)
    assert [event.payload["k"] for event in sink.events] == [1, 2] * (len(sink.events) // 2)
    assert 2 <= len(sink.events) <= 2 * polls, "a page that comes again brings nothing"


@pytest.mark.parametrize("by", ["cursor", "link"])
async def test_a_circle_of_pages_ends(sink: Any, by: str) -> None:
    answer = Reply({"rows": [{"k": 1}], "next": "same"}, headers={"Link": '</a>; rel="next"'})
    pages = {"by": by, **({"path": "next"} if by == "cursor" else {})}
    async with served([answer]) as server:
        await polled(server.url, sink, lambda: len(server.asked) >= 8, record="rows", pages=pages)
    assert sink.notices == []


async def test_no_more_than_max_pages(sink: Any) -> None:
    def endless(asked: Asked) -> Reply:
        return Reply([{"k": int(asked.query["page"])}])

    async with served(endless) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 12, pages={"by": "page", "start": 0, "max_pages": 4})
    assert [asked.query["page"] for asked in server.asked[:8]] == ["0", "1", "2", "3"] * 2
    assert sink.notices == [("pages", "there are more than max_pages = 4 pages")]


async def test_all_pages_together_stay_below_max_bytes(sink: Any) -> None:
    def endless(asked: Asked) -> Reply:
        return Reply([{"k": asked.query["page"], "pad": "x" * 9_000}])

    async with served(endless) as server:
        pages = {"by": "page", "max_pages": 100}
        await polled(server.url, sink, lambda: len(sink.events) > 5, pages=pages, max_bytes="50 KB")
    assert [event.payload["k"] for event in sink.events[:6]] == ["1", "2", "3", "4", "5", "1"]
    assert "longer than 50000 bytes" in sink.letters[0].reason


async def test_what_came_before_a_failing_page_is_sent(sink: Any) -> None:
    async with served([[{"k": 1}], Reply(status=500)]) as server:
        with pytest.raises(NotConnected, match="answered 500"):
            await adapter(server.url, sink, pages={"by": "page"}).run()
    assert [event.payload for event in sink.events] == [{"k": 1}]


async def test_a_broken_page_ends_the_poll_and_not_the_polling(sink: Any) -> None:
    async with served([[{"k": 1}], b"{", [{"k": 2}], []]) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 2, pages={"by": "page"})
    assert [event.payload["k"] for event in sink.events] == [1, 2]
    assert [asked.query["page"] for asked in server.asked[:3]] == ["1", "2", "1"]
    assert len(sink.letters) == 1


async def test_a_used_up_quota_pauses_between_pages(sink: Any) -> None:
    limits = {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}
    async with served([Reply([{"k": 1}], headers=limits), [{"k": 2}], []]) as server:
        await polled(server.url, sink, lambda: len(sink.events) >= 2, pages={"by": "page"})
    assert server.asked[1].moment - server.asked[0].moment >= 0.95


async def test_numbers_go_into_the_body_where_there_is_one(sink: Any) -> None:
    async with served([[{"k": 1}], []]) as server:
        keys: dict[str, Any] = {"method": "POST", "body": {"q": "x"}, "pages": {"by": "page", "param": "n"}}
        await polled(server.url, sink, lambda: len(server.asked) > 1, **keys)
    assert [json.loads(asked.body) for asked in server.asked[:2]] == [{"q": "x", "n": 1}, {"q": "x", "n": 2}]
    assert server.asked[0].query == {}
