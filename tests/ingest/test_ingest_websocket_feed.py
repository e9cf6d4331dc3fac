from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from hypothesis import given, strategies as st
from websockets.asyncio.server import ServerConnection, serve

from qraft.config import parse
from qraft.ingest import NotConnected, SourceError, make_adapter
from qraft.ingest.feed_gaps import AT_ONCE, QUIET_SECONDS, SETTLE_SECONDS, Gaps, Quiet

NOW = 1_700_000_000_000_000
Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def served(talk: Talk, **keys: Any) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0, **keys) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def adapter(url: str, sink: Any, toml: str = "", clock: Callable[[], int] = lambda: NOW) -> Any:
    source = parse(f'[sources.w]\nadapter = "websocket"\nurl = "{url}"\n{toml}').sources["w"]
    return make_adapter("w", source, sink, resume=None, clock=clock)


def saying(*messages: Any) -> Talk:
    async def talk(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    return talk


async def take(sink: Any, toml: str, *messages: Any) -> None:
    async with served(saying(*messages)) as url:
        with pytest.raises(NotConnected, match="code 1000"):
            await adapter(url, sink, toml).run()


def said(sink: Any) -> list[tuple[str, Any]]:
    return [(event.source, event.payload) for event in sink.events]


async def test_messages_go_to_sources_by_what_they_hold(sink: Any) -> None:
    await take(
        sink,
        """
        [[sources.w.routes]]
        match = { stream = "*@trade" }
        source = "{name}-trades"
        record = "data"
        [[sources.w.routes]]
        match = { stream = "*@ticker", "data.open" = "true" }
        source = "quotes"
        record = "data"
        map = { bid = "b", symbol = "*stream", seen = "$.stream", feed = "=main" }
        [[sources.w.routes]]
        match = { type = "1[0-9]" }
        """,
        {"stream": "a@trade", "data": {"p": "1.50"}},
        {"stream": "a@ticker", "data": {"b": "2", "x": 1, "open": True}},
        {"stream": "a@ticker", "data": {"b": "3", "open": False}},
        {"type": 12, "v": 4},
        {"type": 2, "v": 5},
        {"type": None, "v": 6},
        {"stream": ["a@trade"], "data": {"p": "7"}},
    )
    assert said(sink) == [
        ("w-trades", {"p": "1.50"}),
        ("quotes", {"bid": "2", "symbol": "a", "seen": "a@ticker", "feed": "main"}),
        ("w", {"type": 12, "v": 4}),
    ]
    assert sink.letters == []
    assert sink.notices == []


async def test_arrays_and_arrays_of_arrays_are_taken_apart(sink: Any) -> None:
    await take(
        sink,
        """
        [[sources.w.routes]]
        match = { "1" = "te" }
        source = "trades"
        record = "2"
        columns = ["id", "", "amount", "price"]
        [[sources.w.routes]]
        match = { "-2" = "book*" }
        source = "book"
        record = "1.bids"
        columns = ["price", "quantity"]
        map = { symbol = "$.-1", price = "price", quantity = "quantity" }
        [[sources.w.routes]]
        match = { events = "*" }
        source = "nested"
        record = "events.rows"
        newest_first = true
        map = { v = "v", of = "^.of", deep = "a.b" }
        """,
        [17, "te", [401, 1_600_000_000_000, "-0.5", "7.25", "more"]],
        [17, "te", [[402, 0, "1", "8"], [403, 0, "2", "9"], [404]]],
        [17, "hb"],
        [9, {"bids": [["5.0", "1"], ["4.0", "2"]]}, "book-10", "XBT/USD"],
        {"events": [{"of": "A", "rows": [{"v": 1}, {"v": 2, "a": {"b": 3}}]}, {"of": "B", "rows": [{"v": 4}]}, {"of": "C"}]},
        {"events": [{"of": "A", "rows": []}]},
    )
    assert said(sink) == [
        ("trades", {"id": 401, "amount": "-0.5", "price": "7.25"}),
        ("trades", {"id": 402, "amount": "1", "price": "8"}),
        ("trades", {"id": 403, "amount": "2", "price": "9"}),
        ("trades", {"id": 404}),
        ("book", {"symbol": "XBT/USD", "price": "5.0", "quantity": "1"}),
        ("book", {"symbol": "XBT/USD", "price": "4.0", "quantity": "2"}),
        ("nested", {"v": 4, "of": "B"}),
        ("nested", {"v": 2, "of": "A", "deep": 3}),
        ("nested", {"v": 1, "of": "A"}),
    ]
    assert sink.letters == []


async def test_what_is_kept_besides_the_map_and_what_is_needed(sink: Any) -> None:
    await take(
        sink,
        """
        [[sources.w.routes]]
        record = "d"
        map = { price = "p", symbol = "s" }
        keep = true
        needs = ["price", "size"]
        """,
        {"d": {"s": "A", "p": 1, "other": 2, "symbol": "hidden"}},
        {"d": {"s": "A", "size": None}},
        {"d": {"s": "A", "other": 3}},
    )
    assert said(sink) == [
        ("w", {"price": 1, "symbol": "A", "other": 2}),
        ("w", {"symbol": "A", "size": None}),
    ]
    assert sink.letters == []


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (1_700_000_001, "000000"),
        ("1700000001.250", "250000"),
        (1_700_000_001_250, "250000"),
        ("1700000001250001", "250001"),
        (1_700_000_001_250_001_999, "250001"),
        ("2023-11-14T22:13:21.250001999Z", "250001"),
        ("2023-11-14T23:13:21.25+01:00", "250000"),
    ],
)
async def test_event_time_in_every_unit(value: Any, micros: str, sink: Any) -> None:
    await take(sink, '[[sources.w.routes]]\nrecord = "d"\ntime = "$.ts"', {"ts": value, "d": {"a": 1}})
    assert [event.timestamp for event in sink.events] == [f"2023-11-14T22:13:21.{micros}Z"]
    assert said(sink) == [("w", {"a": 1})]


async def test_the_time_of_a_source_is_in_the_event_wherever_it_stood(sink: Any) -> None:
    """Preprocessing reads the field that the source's `time` names."""
    await take(sink, 'record = "d"\ntime = "ts"', {"ts": 1_700_000_001, "d": [{"a": 1}, {"a": 2, "ts": 1_700_000_002}]})
    assert said(sink) == [("w", {"a": 1, "ts": 1_700_000_001}), ("w", {"a": 2, "ts": 1_700_000_002})]


async def test_a_matched_message_that_holds_no_usable_record_is_a_dead_letter(sink: Any) -> None:
    await take(
        sink,
        """
        [[sources.w.routes]]
        match = { t = "*" }
        source = "a"
        record = "x.bids"
        time = "^.ts"
        [[sources.w.routes]]
        match = { t = "b" }
        source = "a"
        record = "x.asks"
        """,
        {"t": "b", "x": {"asks": []}},
        {"t": "b", "x": {}},
        {"t": "a", "x": {"bids": [{"p": 1}]}},
        {"t": "a", "x": {"bids": [{"p": 1}, 2, 3]}, "ts": 1},
        "{",
    )
    assert sink.events == []
    assert [(letter.source, letter.reason) for letter in sink.letters] == [
        ("a", 'message: has no "x.bids" or "x.asks"'),
        ("a", 'message: has no "^.ts" to take the time from'),
        ("a", "message: 2 of 3 elements are no JSON objects"),
        ("a", 'message: has no "^.ts" to take the time from'),
        ("w", "message: not JSON: Input data was truncated"),
    ]


ROUTED = '[[sources.w.routes]]\nmatch = { type = "data" }\n'


@pytest.mark.parametrize(
    ("unmatched", "events", "letters"),
    [("drop", [], []), ("keep", [("w", {"type": "hb", "n": 1})], []), ("dead", [], ["message: no route matches"])],
)
async def test_messages_that_no_route_matches(unmatched: str, events: Any, letters: Any, sink: Any) -> None:
    await take(sink, f'unmatched = "{unmatched}"\n{ROUTED}', {"type": "hb", "n": 1})
    assert said(sink) == events
    assert [letter.reason for letter in sink.letters] == letters


@pytest.mark.parametrize(
    "complaint",
    [
        {"type": "error", "message": "ETH-USB is not a product"},
        {"event": "error", "msg": "channel doesn't exist", "code": "60018"},
        {"errorMessage": "Currency pair not supported", "event": "subscriptionStatus", "status": "error"},
        {"success": False, "ret_msg": "error:handler not found", "op": "subscribe"},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 1},
        {"event": "bts:error", "channel": "", "data": {"code": None, "message": "Bad subscription string."}},
    ],
)
async def test_complaints_of_exchanges_reach_the_operator(complaint: Any, sink: Any) -> None:
    await take(sink, ROUTED, complaint, {"result": None, "id": 1}, {"success": True}, {"error": None})
    assert sink.notices == [("refused", f"the server says: {json.dumps(complaint)}")]
    assert sink.events == []


async def test_a_server_s_own_words_for_a_complaint(sink: Any) -> None:
    await take(sink, f'errors = [{{ code = "[45]??" }}]\n{ROUTED}', {"type": "error"}, {"code": 403}, {"code": 200})
    assert sink.notices == [("refused", 'the server says: {"code": 403}')]


async def test_packed_frames(sink: Any) -> None:
    bomb = gzip.compress(b'{"a":"' + b"x" * 100_000 + b'"}')
    await take(
        sink,
        'max_message_bytes = "10 KB"',
        gzip.compress(b'{"a":1}'),
        zlib.compress(b'[{"a":2}]'),
        bomb,
        b"\x1f\x8b\x00garbage",
    )
    assert [payload["a"] for _, payload in said(sink)] == [1, 2]
    assert "longer than 10000 bytes when unpacked" in sink.letters[0].reason
    assert "cannot be unpacked" in sink.letters[1].reason


@pytest.mark.parametrize(
    ("ping", "answer", "text"),
    [
        ('message = "ping"', "pong", "ping"),
        ('message = { op = "ping" }', '{"success":true,"ret_msg":"pong","op":"ping"}', '{"op":"ping"}'),
    ],
)
async def test_pings_go_on_and_their_answers_are_no_data(ping: str, answer: str, text: str, sink: Any) -> None:
    heard: list[Any] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"type":"data"}')
        for _ in range(3):
            heard.append(await connection.recv())
            await connection.send(answer)

    async with served(talk) as url:
        with pytest.raises(NotConnected, match="code 1000"):
            await adapter(url, sink, f"ping = {{ {ping}, interval_seconds = 0.05 }}\n{ROUTED}").run()
    assert heard == [text] * 3
    assert said(sink) == [("w", {"type": "data"})]
    assert sink.letters == []


async def beating(connection: ServerConnection) -> None:
    """One message of data, then heartbeats for as long as the connection stands."""
    await connection.send('{"type":"data"}')
    while True:
        await connection.send('{"type":"hb"}')
        await asyncio.sleep(0.02)


async def test_a_feed_of_heartbeats_alone_is_stale(sink: Any) -> None:
    async with served(beating) as url:
        with pytest.raises(NotConnected, match=r"sent no data for 0\.3 s; \d+ messages so far matched no route, the last"):
            await adapter(url, sink, f"idle_seconds = 0.3\n{ROUTED}").run()
    ((kind, text),) = sink.notices
    assert kind == "stale"
    assert '{"type":"hb"}; connecting anew' in text


async def test_heartbeats_may_count(sink: Any) -> None:
    async with served(beating) as url:
        task = asyncio.create_task(adapter(url, sink, f'idle_seconds = 0.3\nidle_counts = "any"\n{ROUTED}').run())
        done, _ = await asyncio.wait({task}, timeout=1.0)
        assert not done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sink.notices == []


async def test_after_a_cut_the_subscription_is_sent_again_and_repeats_have_the_same_id(sink: Any) -> None:
    asked: list[Any] = []

    async def talk(connection: ServerConnection) -> None:
        asked.append([await connection.recv() for _ in range(3)])
        for number in (1, 2, 3):
            await connection.send(json.dumps({"s": "A", "n": number + len(asked)}))
        connection.transport.abort()

    toml = """
        subscribe = ["hello", { op = "subscribe", args = ["a"] }, ["sub", 1]]
        [[sources.w.routes]]
        id = ["s", "n"]
    """
    clock = count(NOW).__next__
    async with served(talk) as url:
        for _ in range(2):
            with pytest.raises(NotConnected, match="broke the connection off"):
                await adapter(url, sink, toml, clock).run()
    assert asked == [["hello", '{"op":"subscribe","args":["a"]}', '["sub",1]']] * 2
    ids = {(payload["n"]): event.event_id for event, (_, payload) in zip(sink.events, said(sink), strict=True)}
    assert len(sink.events) == 6
    assert len({event.event_id for event in sink.events}) == len(ids) == 4


async def test_secrets_come_from_the_environment(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.request.path, connection.request.headers, await connection.recv()))

    toml = 'headers = { Authorization = "Bearer ${QRAFT_T}", User-Agent = "me" }\nsubscribe = [{ key = "${QRAFT_T}" }]'
    async with served(talk) as url:
        with pytest.raises(SourceError, match=r"^sources\.w\.subscribe\.key: the environment variable QRAFT_T is not set$"):
            await adapter(url, sink, toml).run()
        with pytest.raises(SourceError, match=r"^sources\.w\.headers\.A: the environment variable QRAFT_T is not set$"):
            await adapter(url, sink, 'headers = { A = "${QRAFT_T}" }').run()
        monkeypatch.setenv("QRAFT_T", "a\nb: c")
        with pytest.raises(SourceError, match="QRAFT_T holds more than one line"):
            await adapter(url, sink, toml).run()
        monkeypatch.setenv("QRAFT_T", "s3cret")
        with pytest.raises(NotConnected) as caught:
            await adapter(url + "/?token=${QRAFT_T}", sink, toml).run()
    ((path, headers, message),) = seen
    assert path == "/?token=s3cret"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers.get_all("User-Agent") == ["me"]
    assert json.loads(message) == {"key": "s3cret"}
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("compression", [True, False])
async def test_compression_is_negotiated(compression: bool, sink: Any) -> None:
    offered: list[str | None] = []

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers.get("Sec-WebSocket-Extensions"))
        assert [extension.name for extension in connection.protocol.extensions] == ["permessage-deflate"] * compression
        await connection.send(json.dumps({"a": "x" * 1000}))

    async with served(talk) as url:
        with pytest.raises(NotConnected, match="code 1000"):
            await adapter(url, sink, f"compression = {str(compression).lower()}").run()
    assert len(sink.events) == 1
    assert (offered[0] or "").startswith("permessage-deflate") is compression


async def test_through_a_proxy(sink: Any) -> None:
    """An HTTP proxy that understands CONNECT; the loopback address goes through it as well, once it is asked for."""
    connected: list[str] = []

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split()[1].decode()
        connected.append(target)
        host, port = target.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with (
        served(saying({"a": 1})) as url,
        await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy,
    ):
        port = proxy.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected, match="code 1000"):
            await adapter(url, sink, f'proxy = "http://127.0.0.1:{port}"').run()
        assert connected == [url.removeprefix("ws://")]
        with pytest.raises(NotConnected, match="code 1000"):
            await adapter(url, sink, 'proxy = "none"').run()
        assert len(connected) == 1
    with pytest.raises(NotConnected, match="cannot be reached"):
        await adapter(url, sink, f'proxy = "http://127.0.0.1:{port}"').run()
    assert len(sink.events) == 2


SEQUENCES = {
    "of a connection": ('sequence = { path = "n" }', [{"n": n} for n in (7, 8, 10, 11)], 1, ["9 never came"]),
    "in text": ('sequence = { path = "n" }', [{"n": str(n)} for n in (7, 8, 12)], 3, ["9 to 11 never came"]),
    "of arrays": ('sequence = { path = "-1" }', [["x", {"a": 1}, n] for n in (1, 2, 4)], 1, ["3 never came"]),
    "late and repeated": ('sequence = { path = "n" }', [{"n": n} for n in (1, 3, 2, 2, 3, 4)], 0, []),
    "begun anew": ('sequence = { path = "n" }', [{"n": n} for n in (90_000, 90_001, 1, 2, 4)], 1, ["3 never came"]),
    "of symbols": (
        'sequence = { path = "n", per = "s" }',
        [{"s": s, "n": n} for s, n in (("a", 1), ("b", 5), ("a", 2), ("b", 7), ("a", 4))],
        2,
        ["b: 6 never came", "a: 3 never came"],
    ),
    "of ranges": (
        'sequence = { path = "u", first = "U" }',
        [{"U": a, "u": b} for a, b in ((1, 5), (6, 6), (10, 12), (13, 20), (20, 21))],
        1,
        ["7 to 9 never came"],
    ),
    "linked": (
        'sequence = { path = "n", previous = "p" }',
        [{"p": p, "n": n} for p, n in ((-1, 10), (10, 15), (15, 15), (17, 30), (30, 31))],
        1,
        ["17 was sent but never came, the last before was 15"],
    ),
    "not there": ('sequence = { path = "n" }', [{"n": 1}, {"x": 1}, {"n": None}, {"n": "x"}, {"n": True}, {"n": 2}], 0, []),
}


@pytest.mark.parametrize("case", SEQUENCES)
async def test_gaps_in_a_sequence(case: str, sink: Any) -> None:
    toml, messages, missing, texts = SEQUENCES[case]
    await take(sink, toml, *messages)
    assert sink.gaps == missing
    assert sink.notices == [("gap", f"the feed's sequence has a gap: {text}") for text in texts]


async def test_a_route_numbers_its_records(sink: Any) -> None:
    toml = """
        [[sources.w.routes]]
        match = { t = "a" }
        record = "rows"
        sequence = { path = "n", per = "$.s" }
        [[sources.w.routes]]
        match = { t = "b" }
        record = "rows"
        sequence = { path = "$.n" }
    """
    rows = [{"t": "a", "s": "x", "rows": [{"n": 3}, {"n": 2}]}, {"t": "a", "s": "x", "rows": [{"n": 4}, {"n": 7}]}]
    messages = [{"t": "b", "n": 1, "rows": []}, {"t": "b", "n": 2, "rows": [{}, {}]}, {"t": "b", "n": 4, "rows": []}]
    await take(sink, toml, *rows, *messages)
    assert sink.gaps == 3
    assert len(sink.events) == 6


class Recorder:
    """A sink's side of gaps, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.lost, self.notices, self.now = 0, list[tuple[str, str]](), 100.0

    def missing(self, events: int) -> None:
        self.lost += events

    def notice(self, kind: str, text: str) -> None:
        self.notices.append((kind, text))

    def gaps(self) -> Gaps:
        self.quiet = Quiet(self.notice, self.clock)
        return Gaps(self, self.quiet, self.clock)  # type: ignore[arg-type]  # all that Gaps uses

    def clock(self) -> float:
        return self.now


@given(st.sets(st.integers(1, 60), min_size=1), st.randoms(use_true_random=False), st.integers(0, 5))
def test_what_is_missing_is_exact_however_near_numbers_change_places(here: set[int], rng: Any, apart: int) -> None:
    numbers = sorted(here)
    shuffled = [n for _, n in sorted((place + rng.uniform(0, apart), n) for place, n in enumerate(numbers))]
    first = shuffled[0]
    recorder = Recorder()
    gaps = recorder.gaps()
    for number in shuffled:
        gaps.take("", number, number)
        gaps.flush()
    gaps.flush(all_of_it=True)
    assert recorder.lost == sum(n not in here for n in range(first, max(numbers)))


def test_a_gap_is_counted_once_it_has_settled() -> None:
    recorder = Recorder()
    gaps = recorder.gaps()
    gaps.take("", 1, 1)
    gaps.take("", 5, 5)
    recorder.now += SETTLE_SECONDS / 2
    gaps.take("", 3, 3)
    gaps.flush()
    assert recorder.lost == 0
    recorder.now += SETTLE_SECONDS / 2
    gaps.flush()
    assert recorder.lost == 2
    gaps.take("", 2, 2)
    gaps.flush(all_of_it=True)
    assert recorder.lost == 2


def test_a_lossy_feed_does_not_flood() -> None:
    recorder = Recorder()
    gaps = recorder.gaps()
    quiet = recorder.quiet
    for number in range(0, 400, 2):
        gaps.take("", number, number)
        recorder.now += 0.1
        gaps.flush()
        quiet.flush()
    assert recorder.lost == pytest.approx(199, abs=20 * SETTLE_SECONDS)
    assert len(recorder.notices) == AT_ONCE
    recorder.now += QUIET_SECONDS
    gaps.flush(all_of_it=True)
    quiet.flush()
    assert recorder.lost == 199
    assert len(recorder.notices) <= 2 * AT_ONCE
    assert any("more of this kind before" in text for _, text in recorder.notices)
