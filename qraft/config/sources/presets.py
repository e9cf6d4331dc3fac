"""Public feeds of exchanges as plain data: address, subscription, and routes that give every exchange the same field names.

Trades have symbol, price, quantity, side and, where there is one, trade_id; tickers symbol, bid, bid_quantity, ask,
ask_quantity and mostly price, the last one; candles symbol, open, high, low, close, volume; book updates are one event a
changed level: symbol, side, price, quantity (0 where the level is gone). A value stays as the exchange wrote it.
Snapshots of books and candles are left out. Where an exchange sends no time with a channel, event time is that of arrival.

References: Binance Spot WebSocket Streams, Coinbase Advanced Trade WebSocket, Kraken WebSocket API v1, Bybit V5 Public
Streams, OKX API v5 Public Channel, Bitstamp WebSocket API v2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from qraft.config.sources.routes import Message, Ping, Route, SequenceRule

PresetName = Literal["binance", "coinbase", "kraken", "bybit", "okx", "bitstamp"]

_MAX_MESSAGE_BYTES: Final = 16 * 1024**2
_IDLE_SECONDS: Final = 60.0
_BYBIT_TOPICS_A_MESSAGE: Final = 10


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of data: the exchange's word for it, and the routes that take it (their ``source`` is set by `defaults`)."""

    topic: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """One exchange.

    Attributes:
        symbol: regular expression of its symbols, for which ``example`` is one.
        subscribe: the messages that subscribe to symbols and topics.
        exclude: fields that are numbers but nothing to watch.
    """

    url: str
    symbol: str
    example: str
    subscribe: Callable[[Sequence[str], Sequence[str]], list[Message]]
    channels: Mapping[str, Channel]
    ping: Ping | None = None
    sequence: SequenceRule | None = None
    exclude: tuple[str, ...] = ("trade_id",)


def defaults(preset: Preset, symbols: Any, channels: Any) -> dict[str, Any]:
    """The settings that a preset brings for symbols and channels; of these, what is none of its own is left out."""
    symbols = _texts(symbols)
    chosen = {name: preset.channels[name] for name in _texts(channels) if name in preset.channels}
    topics = [channel.topic for channel in chosen.values()]
    return {
        "url": preset.url,
        "subscribe": preset.subscribe(symbols, topics) if symbols and topics else [],
        "ping": preset.ping,
        "routes": [
            route.model_copy(update={"source": f"{{name}}-{name}"})
            for name, channel in chosen.items()
            for route in channel.routes
        ],
        "sequence": preset.sequence,
        "entity": "symbol",
        "exclude": list(preset.exclude),
        "max_message_bytes": _MAX_MESSAGE_BYTES,
        "idle_seconds": _IDLE_SECONDS,
    }


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _binance(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    streams = [f"{symbol.lower()}@{topic}" for topic in topics for symbol in symbols]
    return [{"method": "SUBSCRIBE", "params": streams, "id": 1}]


def _coinbase(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    # Without the heartbeats the server closes a connection whose markets are quiet.
    return [{"type": "subscribe", "product_ids": [*symbols], "channel": topic} for topic in (*topics, "heartbeats")]


def _kraken(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    return [{"event": "subscribe", "pair": [*symbols], "subscription": {"name": topic}} for topic in topics]


def _bybit(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    args, size = [f"{topic}.{symbol}" for topic in topics for symbol in symbols], _BYBIT_TOPICS_A_MESSAGE
    return [{"op": "subscribe", "args": args[start : start + size]} for start in range(0, len(args), size)]


def _okx(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    return [{"op": "subscribe", "args": [{"channel": topic, "instId": symbol} for topic in topics for symbol in symbols]}]


def _bitstamp(symbols: Sequence[str], topics: Sequence[str]) -> list[Message]:
    return [{"event": "bts:subscribe", "data": {"channel": f"{topic}_{symbol}"}} for topic in topics for symbol in symbols]


def _levels(
    match: dict[str, str],
    record: str,
    side: str,
    *,
    symbol: str,
    time: str,
    columns: Sequence[str] = ("price", "quantity"),
    sequence: SequenceRule | None = None,
) -> Route:
    """The changed levels of one side of a book, which are arrays of price, quantity and what else there is."""
    return Route(
        match=match,
        record=record,
        columns=[*columns],
        map={"symbol": symbol, "side": f"={side}", "price": "price", "quantity": "quantity"},
        time=time,
        sequence=sequence,
    )


def _binance_trades(topic: str, number: str) -> Channel:
    route = Route(
        match={"stream": f"*@{topic}"},
        record="data",
        map={"symbol": "s", "price": "p", "quantity": "q", "buyer_is_maker": "m", "trade_id": number},
        time="T",
        id=["s", number],
        sequence=SequenceRule(path=number, per="s"),
    )
    return Channel(topic, (route,))


_BINANCE_TICKER = Route(
    match={"stream": "*@bookTicker"},
    record="data",
    map={"symbol": "s", "bid": "b", "bid_quantity": "B", "ask": "a", "ask_quantity": "A"},
)
_BINANCE_CANDLES = Route(
    match={"stream": "*@kline_*"},
    record="data.k",
    map={"symbol": "s", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "trades": "n", "closed": "x"},
    time="^.E",
)
_BINANCE_DEPTH = {"stream": "*@depth*"}
_BINANCE_UPDATES = SequenceRule(path="$.data.u", first="$.data.U", per="$.data.s")
_BINANCE = Preset(
    url="wss://stream.binance.com:9443/stream",
    symbol=r"[A-Za-z0-9]+",
    example="BTCUSDT",
    subscribe=_binance,
    channels={
        "trades": _binance_trades("trade", "t"),
        "agg_trades": _binance_trades("aggTrade", "a"),
        "ticker": Channel("bookTicker", (_BINANCE_TICKER,)),
        "candles": Channel("kline_1m", (_BINANCE_CANDLES,)),
        "book": Channel(
            "depth@100ms",
            (
                _levels(_BINANCE_DEPTH, "data.b", "bid", symbol="^.s", time="^.E", sequence=_BINANCE_UPDATES),
                _levels(_BINANCE_DEPTH, "data.a", "ask", symbol="^.s", time="^.E"),
            ),
        ),
    },
)

_COINBASE_TRADES = Route(
    match={"channel": "market_trades"},
    record="events.trades",
    newest_first=True,
    map={"symbol": "product_id", "price": "price", "quantity": "size", "side": "side", "trade_id": "trade_id"},
    time="time",
    id=["product_id", "trade_id"],
)
_COINBASE_TICKER = Route(
    match={"channel": "ticker"},
    record="events.tickers",
    map={
        "symbol": "product_id",
        "price": "price",
        "bid": "best_bid",
        "bid_quantity": "best_bid_quantity",
        "ask": "best_ask",
        "ask_quantity": "best_ask_quantity",
        "volume_24h": "volume_24_h",
    },
    time="$.timestamp",
)
_COINBASE_CANDLES = Route(
    match={"channel": "candles", "events.0.type": "update"},
    record="events.candles",
    map={name: name for name in ("open", "high", "low", "close", "volume")} | {"symbol": "product_id"},
    time="$.timestamp",
)
_COINBASE_BOOK = Route(
    match={"channel": "l2_data", "events.0.type": "update"},
    record="events.updates",
    map={"symbol": "^.product_id", "side": "side", "price": "price_level", "quantity": "new_quantity"},
    time="event_time",
)
_COINBASE = Preset(
    url="wss://advanced-trade-ws.coinbase.com",
    symbol=r"[A-Z0-9]+(-[A-Z0-9]+)+",
    example="BTC-USD",
    subscribe=_coinbase,
    sequence=SequenceRule(path="sequence_num"),
    channels={
        "trades": Channel("market_trades", (_COINBASE_TRADES,)),
        "ticker": Channel("ticker", (_COINBASE_TICKER,)),
        "candles": Channel("candles", (_COINBASE_CANDLES,)),
        "book": Channel("level2", (_COINBASE_BOOK,)),
    },
)


def _kraken_levels(record: str, side: str) -> Route:
    # A message with changes of both sides has them in two objects, a snapshot under other names ("as", "bs").
    match = {"-2": "book-*", record: "*"}
    return _levels(match, record, side, symbol="$.-1", time="time", columns=("price", "quantity", "time"))


_KRAKEN_TRADES = Route(
    match={"-2": "trade"},
    record="1",
    columns=["price", "quantity", "time", "side", "order_type"],
    map={name: name for name in ("price", "quantity", "side", "order_type")} | {"symbol": "$.-1"},
    time="time",
)
_KRAKEN_TICKER = Route(
    match={"-2": "ticker"},
    record="1",
    map={
        "symbol": "$.-1",
        "price": "c.0",
        "bid": "b.0",
        "bid_quantity": "b.2",
        "ask": "a.0",
        "ask_quantity": "a.2",
        "volume_24h": "v.1",
    },
)
_KRAKEN = Preset(
    url="wss://ws.kraken.com",
    symbol=r"[A-Z0-9.]+/[A-Z0-9.]+",
    example="XBT/USD",
    subscribe=_kraken,
    ping=Ping(message={"event": "ping"}),
    channels={
        "trades": Channel("trade", (_KRAKEN_TRADES,)),
        "ticker": Channel("ticker", (_KRAKEN_TICKER,)),
        "book": Channel("book", (_kraken_levels("1.a", "ask"), _kraken_levels("1.b", "bid"), _kraken_levels("2.b", "bid"))),
    },
)

_BYBIT_TRADES = Route(
    match={"topic": "publicTrade.*"},
    record="data",
    map={"symbol": "s", "price": "p", "quantity": "v", "side": "S", "trade_id": "i"},
    time="T",
    id=["s", "i"],
)
_BYBIT_TICKER_FIELDS = {
    "price": "lastPrice",
    "bid": "bid1Price",
    "bid_quantity": "bid1Size",
    "ask": "ask1Price",
    "ask_quantity": "ask1Size",
    "mark_price": "markPrice",
    "index_price": "indexPrice",
    "open_interest": "openInterest",
    "funding_rate": "fundingRate",
    "volume_24h": "volume24h",
}
_BYBIT_TICKER = Route(
    match={"topic": "tickers.*"},
    record="data",
    map={"symbol": "symbol"} | _BYBIT_TICKER_FIELDS,
    needs=[*_BYBIT_TICKER_FIELDS],  # a derivative's ticker holds what has changed alone, whatever that is
    time="$.ts",
)
_BYBIT_CANDLES = Route(
    match={"topic": "kline.1.*"},
    record="data",
    map={name: name for name in ("open", "high", "low", "close", "volume")} | {"symbol": "*topic", "closed": "confirm"},
    time="timestamp",
)
_BYBIT_DELTA = {"topic": "orderbook.*", "type": "delta"}
_BYBIT_UPDATES = SequenceRule(path="$.data.u", per="$.topic")
_BYBIT = Preset(
    url="wss://stream.bybit.com/v5/public/spot",
    symbol=r"[A-Z0-9]+(-[A-Z0-9]+)*",
    example="BTCUSDT",
    subscribe=_bybit,
    ping=Ping(message={"op": "ping"}),
    channels={
        "trades": Channel("publicTrade", (_BYBIT_TRADES,)),
        "ticker": Channel("tickers", (_BYBIT_TICKER,)),
        "candles": Channel("kline.1", (_BYBIT_CANDLES,)),
        "book": Channel(
            "orderbook.200",
            (
                _levels(_BYBIT_DELTA, "data.b", "bid", symbol="^.s", time="$.ts", sequence=_BYBIT_UPDATES),
                _levels(_BYBIT_DELTA, "data.a", "ask", symbol="^.s", time="$.ts"),
            ),
        ),
    },
)

_OKX_TRADES = Route(
    match={"arg.channel": "trades", "data": "*"},
    record="data",
    map={"symbol": "instId", "price": "px", "quantity": "sz", "side": "side", "trade_id": "tradeId"},
    time="ts",
    id=["instId", "tradeId"],
)
_OKX_TICKER = Route(
    match={"arg.channel": "tickers", "data": "*"},
    record="data",
    map={
        "symbol": "instId",
        "price": "last",
        "bid": "bidPx",
        "bid_quantity": "bidSz",
        "ask": "askPx",
        "ask_quantity": "askSz",
        "volume_24h": "vol24h",
    },
    time="ts",
)
_OKX_UPDATE = {"arg.channel": "books", "action": "update"}
_OKX_SEQUENCE = SequenceRule(path="$.data.0.seqId", previous="$.data.0.prevSeqId", per="$.arg.instId")
_OKX = Preset(
    url="wss://ws.okx.com:8443/ws/v5/public",
    symbol=r"[A-Z0-9]+(-[A-Z0-9_]+)+",
    example="BTC-USDT",
    subscribe=_okx,
    ping=Ping(message="ping"),
    channels={
        "trades": Channel("trades", (_OKX_TRADES,)),
        "ticker": Channel("tickers", (_OKX_TICKER,)),
        "book": Channel(
            "books",
            (
                _levels(_OKX_UPDATE, "data.bids", "bid", symbol="$.arg.instId", time="^.ts", sequence=_OKX_SEQUENCE),
                _levels(_OKX_UPDATE, "data.asks", "ask", symbol="$.arg.instId", time="^.ts"),
            ),
        ),
    },
)

_BITSTAMP_TRADES = Route(
    match={"channel": "live_trades_*", "event": "trade"},
    record="data",
    map={"symbol": "*channel", "price": "price", "quantity": "amount", "side": "type", "trade_id": "id"},
    time="microtimestamp",
    id=["*channel", "id"],
)
_BITSTAMP_TICKER = Route(
    match={"channel": "order_book_*", "event": "data"},
    record="data",
    map={"symbol": "*channel", "bid": "bids.0.0", "bid_quantity": "bids.0.1", "ask": "asks.0.0", "ask_quantity": "asks.0.1"},
    time="microtimestamp",
)
_BITSTAMP_DIFF = {"channel": "diff_order_book_*", "event": "data"}
_BITSTAMP = Preset(
    url="wss://ws.bitstamp.net",
    symbol=r"[a-z0-9]+(-[a-z0-9]+)*",
    example="btcusd",
    subscribe=_bitstamp,
    ping=Ping(message={"event": "bts:heartbeat"}),
    channels={
        "trades": Channel("live_trades", (_BITSTAMP_TRADES,)),
        "ticker": Channel("order_book", (_BITSTAMP_TICKER,)),
        "book": Channel(
            "diff_order_book",
            (
                _levels(_BITSTAMP_DIFF, "data.bids", "bid", symbol="*channel", time="^.microtimestamp"),
                _levels(_BITSTAMP_DIFF, "data.asks", "ask", symbol="*channel", time="^.microtimestamp"),
            ),
        ),
    },
    exclude=("trade_id", "side"),
)

PRESETS: Final[Mapping[str, Preset]] = {
    "binance": _BINANCE,
    "coinbase": _COINBASE,
    "kraken": _KRAKEN,
    "bybit": _BYBIT,
    "okx": _OKX,
    "bitstamp": _BITSTAMP,
}
"""The exchanges, by the name that ``preset`` takes."""
