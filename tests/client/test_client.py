"""The client against a real server over real sockets, a real ClickHouse and a real NATS; both flavours say the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from qraft.api.tokens import make, tokens_path, utc_now, write_tokens
from qraft.bus import Bus, Publisher
from qraft.client import AsyncClient, Client, ClientError, Missed, Refused, Unreachable, Wish
from qraft.config.api import ApiSettings
from qraft.model import Scope
from tests.api.sample import NOW, START_US, Serve, make_pattern, until


@pytest.fixture
async def there(client: httpx.AsyncClient) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(str(client.base_url)) as connected:
        yield connected


def test_both_flavours_offer_the_same() -> None:
    def offered(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert offered(Client) == offered(AsyncClient)


async def test_patterns_come_over_pages_newest_first(there: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qraft.client.wishes.PAGE", 7)
    found = [pattern.pattern_id async for pattern in there.patterns()]
    assert found == [make_pattern(n).pattern_id for n in range(39, -1, -1)]
    assert [one.pattern_id async for one in there.patterns(limit=10)] == found[:10]
    assert [one.pattern_id async for one in there.patterns(limit=0)] == []


async def test_what_is_wished_narrows(there: AsyncClient) -> None:
    async def ids(wish: Wish) -> list[int]:
        numbers = {make_pattern(n).pattern_id: n for n in range(40)}
        return [numbers[one.pattern_id] async for one in there.patterns(wish)]

    assert await ids(Wish(types=["drift"], sources=["host"])) == [36, 30, 24, 18, 12, 6, 0]
    assert await ids(Wish(entity="")) == list(range(38, -1, -2))
    assert await ids(Wish(entity="BTC", min_confidence=0.85)) == [39, 37, 35]
    assert await ids(Wish(verdict="confirmed")) == [3]
    assert await ids(Wish(q="src:host score>.86")) == [38]
    start = datetime.fromtimestamp(START_US / 1e6, UTC)
    assert await ids(Wish(until=start.replace(tzinfo=None))) == []
    assert await ids(Wish(since=start, max_confidence=0.51)) == [1, 0]


async def test_one_pattern_is_told_with_all_that_belongs_to_it(there: AsyncClient) -> None:
    found = await there.pattern(make_pattern(3).pattern_id)
    assert (found.verdict, found.verdict_user, found.feedback[0].note) == ("confirmed", "ops1", "seen")
    assert found.contributors == make_pattern(3).contributors
    assert found.details.metrics == {"effect": 3.0}
    with pytest.raises(Refused, match="no pattern nothing is stored") as refused:
        await there.pattern("nothing")
    assert refused.value.status == 404


async def test_events_come_as_seen_and_as_sent(there: AsyncClient) -> None:
    clean = [event async for event in there.events("host", limit=3)]
    assert [event.fields for event in clean] == [{"x": 99.5}, {"x": 99.0}, {"x": 98.5}]
    raw = [event async for event in there.events("host", kind="raw", limit=2)]
    assert [event.payload for event in raw] == [{"x": 99.5}, {"x": 99.0}]
    assert [event async for event in there.events("market")] == []


async def test_sources_and_statistics(there: AsyncClient) -> None:
    assert [(one.source, one.events, one.patterns) for one in await there.sources()] == [
        ("host", 200, 20),
        ("market", 0, 20),
    ]
    assert await there.stats() == []


async def test_what_is_said_arrives_once_and_can_be_taken_back(there: AsyncClient, bus: Bus) -> None:
    pattern = make_pattern(5).pattern_id
    given = await there.feedback(pattern, "confirmed", user="ops1", note="pump", feedback_id="mine")
    again = await there.feedback(pattern, "confirmed", user="ops1", note="pump", feedback_id="mine")
    assert (given.feedback_id, given.note, given.timestamp) == ("mine", "pump", NOW)
    assert again.feedback_id == "mine"
    mute = await there.feedback(pattern, "mute", scope=Scope(source="market"), until="2026-11-22T18:00:00Z")
    assert (mute.scope, mute.until) == (Scope(source="market"), "2026-11-22T18:00:00.000000Z")
    undo = await there.feedback(pattern, "undo", user="ops1")
    assert undo.undoes == "mine"
    assert len(await bus.pending_feedback("market")) == 3


async def test_records_are_stored_once_under_one_key(there: AsyncClient, bus: Bus) -> None:
    records = [{"volts": 3.3}, {"volts": 3.4}]
    assert (await there.ingest("lab", records, key="k")).accepted == 2
    assert (await there.ingest("lab", records, key="k")).accepted == 2
    told = await there.ingest("lab", [{"payload": {"volts": 1.0}, "timestamp": "no time"}, {"volts": 2.0}])
    assert (told.accepted, [one.line for one in told.rejected]) == (1, [1])
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 2


async def test_a_stream_goes_on_where_it_was_lost(there: AsyncClient, bus: Bus) -> None:
    publisher = Publisher(bus)
    lost: list[ClientError | None] = []
    seen: list[str] = []
    last = ""
    async with aclosing(there.stream(Wish(sources=["host"]), lost=lost.append)) as stream:
        first = asyncio.ensure_future(anext(stream))
        published = 0
        while not first.done():  # until the server listens nobody hears
            await publisher.patterns([make_pattern(published * 2)])
            published += 1
            await asyncio.sleep(0.1)
        last, pattern = await first
        seen.append(pattern.pattern_id)
    while_away = [make_pattern(n) for n in (61, 62, 64)]
    await publisher.patterns(while_away)
    async with aclosing(there.stream(Wish(sources=["host"]), last_id=last)) as stream:
        async for _, pattern in stream:
            seen.append(pattern.pattern_id)
            if pattern.pattern_id == while_away[-1].pattern_id:
                break
    begin = next(n for n in range(published) if make_pattern(n * 2).pattern_id == seen[0])
    expected = [make_pattern(n * 2).pattern_id for n in range(begin, published)] + [one.pattern_id for one in while_away[1:]]
    assert seen == expected
    assert lost == []


async def test_what_the_stream_no_longer_holds_is_told(there: AsyncClient, bus: Bus) -> None:
    publisher, lost = Publisher(bus), list[ClientError | None]()
    found: list[str] = []
    places: list[str] = []
    async with aclosing(there.stream()) as stream:
        first = asyncio.ensure_future(anext(stream))
        number = 0
        while not first.done():
            await publisher.patterns([make_pattern(number)])
            number += 1
            await asyncio.sleep(0.1)
        places.append((await first)[0])
    await publisher.patterns([make_pattern(n) for n in range(70, 75)])
    await bus.jetstream().purge_stream("QRAFT_PATTERNS", keep=2)
    async with aclosing(there.stream(last_id=places[0], lost=lost.append)) as stream:
        async for _, pattern in stream:
            found.append(pattern.pattern_id)
            if len(found) == 2:
                break
    assert found == [make_pattern(n).pattern_id for n in (73, 74)]
    assert [type(one) for one in lost] == [Missed]


async def test_a_token_is_sent_and_a_refusal_is_a_sentence(
    serve: Serve, bus: Bus, clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    token, kept = make("read", now=utc_now())
    write_tokens(tokens_path(tmp_path), {"reader": kept})
    async with serve(bus.url, clickhouse_url, database, settings=ApiSettings(auth="tokens"), data_dir=tmp_path) as served:
        url = str(served.base_url)
        async with AsyncClient(url, token=token) as reader:
            assert await reader.stats() == []
            with pytest.raises(Refused) as refused:
                await reader.ingest("lab", [{"volts": 1.0}])
            assert refused.value.status == 403
        async with AsyncClient(url) as nobody:
            with pytest.raises(Refused) as refused:
                await nobody.sources()
            assert refused.value.status == 401


async def test_the_ordinary_client_says_the_same(client: httpx.AsyncClient) -> None:
    def ask() -> tuple[list[str], int, str]:
        with Client(str(client.base_url)) as there:
            ids = [one.pattern_id for one in there.patterns(limit=3)]
            given = there.feedback(ids[0], "note", note="seen", user="ops1")
            return ids, there.ingest("lab", [{"volts": 1.0}]).accepted, given.note

    ids, accepted, note = await asyncio.to_thread(ask)
    assert ids == [make_pattern(n).pattern_id for n in (39, 38, 37)]
    assert (accepted, note) == (1, "seen")


async def test_faults_that_may_pass_are_tried_again(unused_tcp_port: int) -> None:
    answers = [b"HTTP/1.1 503 x\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", b""]
    answers.append(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"engines":[]}')
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(asked) < len(answers):
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head)
            body = answers[len(asked) - 1]
            writer.write(body)
            if not body:
                break
        writer.close()

    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with await asyncio.start_server(answer, "127.0.0.1", unused_tcp_port), AsyncClient(url) as there:
        assert await there.stats() == []
    await until(lambda: len(asked) == 3)


async def test_a_server_that_is_not_there_and_mistakes_are_sentences(unused_tcp_port: int, tmp_path: Path) -> None:
    async with AsyncClient(f"http://127.0.0.1:{unused_tcp_port}") as there:
        with pytest.raises(Unreachable, match=f"http://127.0.0.1:{unused_tcp_port} does not answer"):
            await there.stats()
    with pytest.raises(ClientError, match="is no address of a REST server"):
        Client("qraft.example.org:8080")
    with pytest.raises(ClientError, match="the token holds characters"):
        Client("http://127.0.0.1:1", token="two words")
    with pytest.raises(ClientError, match=r"none\.pem"):
        Client("https://127.0.0.1:1", ca_file=tmp_path / "none.pem")
