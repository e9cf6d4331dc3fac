"""Each preset against what the exchange really sent: a server plays the recording, the events are counted independently."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from qraft.config import parse
from qraft.ingest import NotConnected, make_adapter
from qraft.model import us_from_iso
from qraft.preprocess.fields import FieldFilter, numeric_fields

NOW = 1_700_000_000_000_000
ARRIVAL = "2023-11-14T22:13:20.000000Z"


class Transcript:
    """One connection of a recording: its address, and what was sent and received on it."""

    def __init__(self, folder: Path, exchange: str, number: int = 0) -> None:
        self.address, self.sent, self.received = "", [], []
        self.http: dict[str, Any] = {}
        found: dict[str, list[dict[str, Any]]] = {}
        with gzip.open(folder / "exchange_ws_samples" / f"{exchange}.jsonl.gz", "rt") as file:
            for line in file:
                entry = json.loads(line)
                if entry["t"] == "http":
                    self.http[entry["url"]] = json.loads(entry["data"])
                elif entry["t"] != "header":
                    found.setdefault(entry["conn"], []).append(entry)
        for entry in list(found.values())[number]:
            if entry["t"] == "connect":
                self.address = entry["addr"]
            else:
                (self.sent if entry["t"] == "send" else self.received).append(entry["data"])

    @property
    def messages(self) -> list[Any]:
        return [json.loads(text) for text in self.received]


class Played:
    """What an adapter made of messages that a real server played, and what it had asked the server."""

    def __init__(self, sink: Any, asked: list[Any]) -> None:
        self.sink, self.asked = sink, asked

    def counts(self) -> dict[str, int]:
        return dict(Counter(event.source for event in self.sink.events))

    def of(self, channel: str) -> list[Any]:
        return [event for event in self.sink.events if event.source == f"x-{channel}"]

    def rows(self, channel: str, *fields: str) -> list[tuple[Any, ...]]:
        return [tuple(event.payload.get(field) for field in fields) for event in self.of(channel)]

    def times(self, channel: str) -> list[int]:
        return [us_from_iso(event.timestamp) for event in self.of(channel)]


async def play(sink: Any, settings: str, messages: Iterable[str], asks: int) -> Played:
    """Plays messages once the adapter has sent ``asks`` messages."""
    asked: list[Any] = []

    async def talk(connection: ServerConnection) -> None:
        asked.extend([json.loads(await connection.recv()) for _ in range(asks)])
        for message in messages:
            await connection.send(message)

    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = parse(f'[sources.x]\nadapter = "websocket"\nurl = "{url}"\n{settings}').sources["x"]
        with pytest.raises(NotConnected, match="code 1000"):
            await make_adapter("x", source, sink, resume=None, clock=lambda: NOW).run()
    feeds = source.feeds("x")
    watched = FieldFilter(source.fields, source.exclude, (source.time, source.entity))
    for event in sink.events:
        assert event.source in feeds
        assert isinstance(event.payload["symbol"], str)
        assert numeric_fields(event.payload, watched)[0], event.payload
    assert len({event.event_id for event in sink.events}) == len(sink.events)
    assert sink.notices == []
    assert sink.letters == []
    assert sink.gaps == 0
    return Played(sink, asked)


def quoted(names: Iterable[str]) -> str:
    return json.dumps(list(names))


def us_from_decimal(text: str) -> int:
    """Exact, unlike a float."""
    seconds, _, digits = text.partition(".")
    return int(seconds) * 1_000_000 + int(digits[:6].ljust(6, "0"))


def us_from_utc(text: str) -> int:
    """ISO 8601 with any number of digits, exactly."""
    whole, _, digits = text.removesuffix("Z").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + int(digits[:6].ljust(6, "0"))


async def test_binance(sink: Any, recordings: Path) -> None:
    transcript = Transcript(recordings, "BINANCE")
    streams = transcript.address.split("streams=")[1].split("/")
    symbols = dict.fromkeys(stream.split("@")[0] for stream in streams)
    played = await play(
        sink,
        f'preset = "binance"\nsymbols = {quoted(symbols)}\nchannels = ["agg_trades", "ticker", "candles", "book"]',
        transcript.received,
        asks=1,
    )
    (asked,) = played.asked
    assert asked["method"] == "SUBSCRIBE"
    assert sorted(asked["params"]) == sorted(streams)
    data: dict[str, list[Any]] = {}
    for message in transcript.messages:
        data.setdefault(message["stream"].split("@", 1)[1], []).append(message["data"])
    depth = data["depth@100ms"]
    assert played.counts() == {
        "x-agg_trades": 2,
        "x-ticker": 84,
        "x-candles": 2,
        "x-book": sum(len(one["b"]) + len(one["a"]) for one in depth),
    }
    assert played.rows("agg_trades", "symbol", "price", "trade_id") == [(d["s"], d["p"], d["a"]) for d in data["aggTrade"]]
    assert played.times("agg_trades") == [d["T"] * 1000 for d in data["aggTrade"]]
    assert played.rows("ticker", "symbol", "bid", "bid_quantity", "ask", "ask_quantity") == [
        (d["s"], d["b"], d["B"], d["a"], d["A"]) for d in data["bookTicker"]
    ]
    assert {event.timestamp for event in played.of("ticker")} == {ARRIVAL}
    assert played.rows("candles", "open", "close") == [(d["k"]["o"], d["k"]["c"]) for d in data["kline_1m"]]
    assert played.times("candles") == [d["E"] * 1000 for d in data["kline_1m"]]
    levels = [(d["s"], side, *level) for d in depth for side, key in (("bid", "b"), ("ask", "a")) for level in d[key]]
    assert played.rows("book", "symbol", "side", "price", "quantity") == levels


async def test_binance_trades_of_a_long_recording(sink: Any, recordings: Path) -> None:
    (path,) = (recordings / "binance_ws").glob("*.jsonl.gz")

    def read() -> Iterator[str]:
        with gzip.open(path, "rb") as file:
            for _, line in zip(range(20_000), file, strict=False):
                yield msgspec.json.encode(json.loads(line)["msg"]).decode()

    messages = await asyncio.to_thread(lambda: list(read()))
    played = await play(sink, 'preset = "binance"\nsymbols = ["BTCUSDT"]', messages, asks=1)
    trades = [json.loads(message)["data"] for message in messages if '"btcusdt@trade"' in message]
    assert played.asked == [{"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@bookTicker"], "id": 1}]
    assert played.counts() == {"x-trades": len(trades), "x-ticker": sum('"btcusdt@bookTicker"' in one for one in messages)}
    assert played.rows("trades", "symbol", "price", "quantity") == [(d["s"], d["p"], d["q"]) for d in trades]
    assert played.times("trades") == [d["T"] * 1000 for d in trades]


async def test_coinbase(sink: Any, recordings: Path) -> None:
    transcript = Transcript(recordings, "COINBASE")
    channels = '["trades", "candles", "ticker", "book"]'
    played = await play(
        sink,
        f'preset = "coinbase"\nsymbols = ["BTC-USD", "ETH-USD"]\nchannels = {channels}',
        transcript.received,
        asks=5,
    )
    assert played.asked == [json.loads(text) for text in transcript.sent]
    found: dict[str, list[tuple[Any, Any]]] = {"market_trades": [], "ticker": [], "candles": [], "l2_data": []}
    for message in transcript.messages:
        for event in message["events"]:
            if message["channel"] in ("candles", "l2_data") and event["type"] == "snapshot":
                continue
            key = {"market_trades": "trades", "ticker": "tickers", "candles": "candles", "l2_data": "updates"}
            records = event.get(key.get(message["channel"], ""), [])
            found.get(message["channel"], []).extend(
                ({**event, **one}, message["timestamp"]) for one in (records[::-1] if "trades" in event else records)
            )
    assert played.counts() == {
        "x-trades": len(found["market_trades"]),
        "x-ticker": len(found["ticker"]),
        "x-candles": len(found["candles"]),
        "x-book": len(found["l2_data"]),
    }
    trades = [one for one, _ in found["market_trades"]]
    assert played.rows("trades", "symbol", "price", "quantity", "side", "trade_id") == [
        (t["product_id"], t["price"], t["size"], t["side"], t["trade_id"]) for t in trades
    ]
    assert played.times("trades") == [us_from_utc(t["time"]) for t in trades]
    for symbol in ("BTC-USD", "ETH-USD"):
        numbers = [int(number) for name, number in played.rows("trades", "symbol", "trade_id") if name == symbol]
        assert numbers == sorted(numbers)
    assert played.rows("ticker", "symbol", "price", "bid", "ask") == [
        (t["product_id"], t["price"], t["best_bid"], t["best_ask"]) for t, _ in found["ticker"]
    ]
    assert played.times("ticker") == [us_from_utc(stamp) for _, stamp in found["ticker"]]
    assert played.rows("candles", "symbol", "close") == [(c["product_id"], c["close"]) for c, _ in found["candles"]]
    assert played.rows("book", "symbol", "side", "price", "quantity") == [
        (u["product_id"], u["side"], u["price_level"], u["new_quantity"]) for u, _ in found["l2_data"]
    ]
    assert played.times("book") == [us_from_utc(u["event_time"]) for u, _ in found["l2_data"]]


KRAKEN = {"trade": (0, "trades"), "ticker": (1, "ticker"), "book": (2, "book")}


@pytest.mark.parametrize("topic", KRAKEN)
async def test_kraken(topic: str, sink: Any, recordings: Path) -> None:
    number, channel = KRAKEN[topic]
    transcript = Transcript(recordings, "KRAKEN", number)
    (sent,) = [json.loads(text) for text in transcript.sent]
    played = await play(
        sink,
        f'preset = "kraken"\nsymbols = {quoted(sent["pair"])}\nchannels = ["{channel}"]',
        transcript.received,
        asks=1,
    )
    sent["subscription"].pop("depth", None)
    assert played.asked == [sent]
    arrays = [message for message in transcript.messages if isinstance(message, list)]
    if topic == "trade":
        trades = [(message[3], *trade) for message in arrays for trade in message[1]]
        assert len(trades) == 10
        assert played.rows("trades", "symbol", "price", "quantity", "side", "order_type") == [
            (t[0], t[1], t[2], t[4], t[5]) for t in trades
        ]
        assert played.times("trades") == [us_from_decimal(t[3]) for t in trades]
    elif topic == "ticker":
        assert len(arrays) == 18
        assert played.rows("ticker", "symbol", "price", "bid", "ask") == [
            (m[-1], m[1]["c"][0], m[1]["b"][0], m[1]["a"][0]) for m in arrays
        ]
    else:
        sides = (("a", "ask"), ("b", "bid"))
        levels = [(m[-1], side, level) for m in arrays for part in m[1:-2] for k, side in sides for level in part.get(k, [])]
        assert len(levels) == 4272
        assert any(len(message) == 5 for message in arrays)
        assert played.rows("book", "symbol", "side", "price", "quantity") == [(s, side, *lv[:2]) for s, side, lv in levels]
        assert played.times("book") == [us_from_decimal(level[2]) for _, _, level in levels]
    assert played.counts() == {f"x-{channel}": len(played.sink.events)}


@pytest.mark.parametrize("number", [0, 1])
async def test_bybit(number: int, sink: Any, recordings: Path) -> None:
    transcript = Transcript(recordings, "BYBIT", number)
    sent = [arg for text in transcript.sent for arg in json.loads(text)["args"]]
    symbols = dict.fromkeys(arg.split(".")[-1] for arg in sent)
    channels = '["ticker", "book", "trades", "candles"]'
    total = 4 * len(symbols)
    played = await play(
        sink,
        f'preset = "bybit"\nsymbols = {quoted(symbols)}\nchannels = {channels}',
        transcript.received,
        asks=-(-total // 10),
    )
    asked = [arg for message in played.asked for arg in message["args"]]
    assert sorted(asked) == sorted(arg for arg in sent if not arg.startswith("allLiquidation"))
    assert all(message["op"] == "subscribe" and len(message["args"]) <= 10 for message in played.asked)
    data = [message for message in transcript.messages if "topic" in message]

    def topic(start: str) -> list[Any]:
        return [message for message in data if message["topic"].startswith(start)]

    trades = [trade for message in topic("publicTrade") for trade in message["data"]]
    candles = [(message["topic"], candle) for message in topic("kline") for candle in message["data"]]
    # Of derivatives the ticker sends what has changed; some changes are of nothing that the preset takes.
    taken = {"lastPrice", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "markPrice", "indexPrice", "openInterest"}
    taken |= {"fundingRate", "volume24h"}
    tickers = [message for message in topic("tickers") if taken & set(message["data"])]
    assert len(topic("tickers")) - len(tickers) == (16, 0)[number]
    deltas = [message for message in topic("orderbook") if message["type"] == "delta"]
    assert played.counts() == {
        "x-trades": len(trades),
        "x-ticker": len(tickers),
        "x-candles": len(candles),
        "x-book": sum(len(message["data"]["b"]) + len(message["data"]["a"]) for message in deltas),
    }
    assert played.rows("trades", "symbol", "price", "quantity", "side") == [(t["s"], t["p"], t["v"], t["S"]) for t in trades]
    assert played.times("trades") == [t["T"] * 1000 for t in trades]
    assert played.rows("ticker", "symbol", "price", "bid", "volume_24h") == [
        tuple(m["data"].get(key) for key in ("symbol", "lastPrice", "bid1Price", "volume24h")) for m in tickers
    ]
    assert played.times("ticker") == [message["ts"] * 1000 for message in tickers]
    assert played.rows("candles", "symbol", "close") == [(name.split(".")[-1], c["close"]) for name, c in candles]
    assert played.times("candles") == [c["timestamp"] * 1000 for _, c in candles]


async def test_okx(sink: Any, recordings: Path) -> None:
    transcript = Transcript(recordings, "OKX")
    sent = json.loads(transcript.sent[-1])
    symbols = dict.fromkeys(arg["instId"] for arg in sent["args"])
    channels = '["ticker", "trades", "book"]'
    played = await play(
        sink,
        f'preset = "okx"\nsymbols = {quoted(symbols)}\nchannels = {channels}',
        transcript.received,
        asks=1,
    )
    assert played.asked == [sent]
    data = [message for message in transcript.messages if "data" in message]

    def records(channel: str) -> list[Any]:
        return [(m["arg"]["instId"], one) for m in data if m["arg"]["channel"] == channel for one in m["data"]]

    updates = [(m["arg"]["instId"], one) for m in data if m.get("action") == "update" for one in m["data"]]
    assert played.counts() == {
        "x-trades": 74,
        "x-ticker": 28,
        "x-book": sum(len(one["asks"]) + len(one["bids"]) for _, one in updates),
    }
    assert played.rows("trades", "symbol", "price", "quantity") == [(s, t["px"], t["sz"]) for s, t in records("trades")]
    assert played.times("trades") == [int(t["ts"]) * 1000 for _, t in records("trades")]
    assert played.rows("ticker", "symbol", "price", "bid") == [(s, t["last"], t["bidPx"]) for s, t in records("tickers")]
    assert played.times("ticker") == [int(t["ts"]) * 1000 for _, t in records("tickers")]
    assert played.rows("book", "symbol", "side", "price") == [
        (s, side[:-1], level[0]) for s, one in updates for side in ("bids", "asks") for level in one[side]
    ]


async def test_bitstamp(sink: Any, recordings: Path) -> None:
    transcript = Transcript(recordings, "BITSTAMP")
    sent = [json.loads(text) for text in transcript.sent]
    symbols = dict.fromkeys(message["data"]["channel"].split("_")[-1] for message in sent)
    played = await play(
        sink,
        f'preset = "bitstamp"\nsymbols = {quoted(symbols)}\nchannels = ["book", "trades"]',
        transcript.received,
        asks=20,
    )
    assert played.asked == sent
    data = [message for message in transcript.messages if message["event"] in ("data", "trade")]
    trades = [(m["channel"].split("_")[-1], m["data"]) for m in data if m["event"] == "trade"]
    books = [(m["channel"].split("_")[-1], m["data"]) for m in data if m["event"] == "data"]
    assert played.counts() == {"x-trades": 10, "x-book": sum(len(b["bids"]) + len(b["asks"]) for _, b in books)}
    assert played.rows("trades", "symbol", "price", "quantity") == [(s, t["price"], t["amount"]) for s, t in trades]
    assert played.times("trades") == [int(t["microtimestamp"]) for _, t in trades]
    assert played.rows("book", "symbol", "side", "price") == [
        (s, side[:-1], level[0]) for s, book in books for side in ("bids", "asks") for level in book[side]
    ]


async def test_bitstamp_ticker_is_the_top_of_its_order_book(sink: Any, recordings: Path) -> None:
    """The recording holds whole books as HTTP answers alone; the channel sends the same object."""
    http = Transcript(recordings, "BITSTAMP").http
    books = {url.rsplit("/", 1)[1]: book for url, book in http.items() if "/order_book/" in url}
    messages = [json.dumps({"data": b, "channel": f"order_book_{s}", "event": "data"}) for s, b in books.items()]
    played = await play(sink, f'preset = "bitstamp"\nsymbols = {quoted(books)}\nchannels = ["ticker"]', messages, asks=10)
    assert played.asked[0] == {"event": "bts:subscribe", "data": {"channel": f"order_book_{next(iter(books))}"}}
    assert played.rows("ticker", "symbol", "bid", "bid_quantity", "ask", "ask_quantity") == [
        (symbol, *book["bids"][0], *book["asks"][0]) for symbol, book in books.items()
    ]
    assert played.times("ticker") == [int(book["microtimestamp"]) for book in books.values()]


NUMBERED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "COINBASE": ("symbols = ['BTC-USD']", lambda message: True),
    "BINANCE": ("symbols = ['NKNUSDT']\nchannels = ['book']", lambda m: m["stream"] == "nknusdt@depth@100ms"),
    "BYBIT": ("symbols = ['BTCUSDT']\nchannels = ['book']", lambda m: m.get("topic") == "orderbook.200.BTCUSDT"),
}


@pytest.mark.parametrize("exchange", NUMBERED)
async def test_messages_that_never_came_are_missed(exchange: str, sink: Any, recordings: Path) -> None:
    """A recording with messages taken out: two neighbours, and one for itself."""
    keys, numbered = NUMBERED[exchange]
    transcript = Transcript(recordings, exchange)
    places = [place for place, message in enumerate(transcript.messages) if numbered(message)]
    gone = {places[30], places[31], places[60]}
    messages = [text for place, text in enumerate(transcript.received) if place not in gone]
    with pytest.raises(AssertionError, match="gap"):
        await play(sink, f'preset = "{exchange.lower()}"\n{keys}', messages, asks=0)
    # Binance numbers changes of the book, several of which share a message: each hole counts as one.
    assert sink.gaps == (2 if exchange == "BINANCE" else 3)
    assert [kind for kind, _ in sink.notices] == ["gap", "gap"]
    assert sink.letters == []
