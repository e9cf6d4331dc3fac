"""Settings of the WebSocket adapter."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from qraft.config.base import Seconds, Size
from qraft.config.sources.common import SourceSettings
from qraft.config.sources.presets import PRESETS, PresetName, defaults
from qraft.config.sources.routes import NAME, Match, Message, MessagePath, Ping, Route, SequenceRule

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            raise ValueError(f'"{name}" is no header: its name is one word, its value one line')
    return headers


def _proxy(proxy: str) -> str:
    if proxy not in ("env", "none") and not re.match(r"(https?|socks(4a?|5h?))://.", proxy):
        raise ValueError('expected "env", "none" or the address of a proxy, such as "http://proxy:3128"')
    return proxy


class WebSocketSource(SourceSettings):
    """Messages of a WebSocket server: JSON objects or arrays as text, or as binary frames packed with gzip or zlib.

    Without routes every message is a record, or an array of them. With routes, or a preset that brings them, only what a
    route matches is data.
    """

    adapter: Literal["websocket"]
    preset: PresetName | None = None
    """An exchange whose public feed is known: what is not given here (url, subscribe, routes, entity, …) it brings."""
    symbols: list[str] = []
    """What a preset subscribes to, as the exchange writes it: BTCUSDT (binance, bybit), BTC-USD (coinbase), BTC-USDT (okx),
    XBT/USD (kraken), btcusd (bitstamp)."""
    channels: list[str] = ["trades", "ticker"]
    """What a preset subscribes to: trades, ticker (best bid and ask) and, not everywhere, agg_trades, candles, book. The
    events of each go to a source of their own: NAME-trades and so on."""
    url: Annotated[str, Field(pattern=r"^wss?://")] = ""
    """Address of the server; required without a preset. ${NAME} stands for an environment variable."""
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = {}
    """Headers of the request to connect, such as Authorization = "Bearer ${TOKEN}": ${NAME} is an environment variable."""
    proxy: Annotated[str, AfterValidator(_proxy)] = "env"
    """env takes the environment's (HTTPS_PROXY, …; never for loopback); none; or an address such as "http://proxy:3128"."""
    compression: bool = True
    """Whether messages may come compressed (permessage-deflate), which saves traffic and costs processor time."""
    subscribe: list[Message] = []
    """Messages sent after each connect: text, tables or arrays; ${NAME} in them is an environment variable."""
    ping: Ping | None = None
    """A message sent at an interval to servers that ask for one."""
    record: MessagePath | Literal[""] = ""
    """Path of the record within a message, such as "data"; empty takes the whole message."""
    routes: list[Route] = []
    """Which messages hold which records, and whose they are; all routes that match a message take part."""
    unmatched: Literal["drop", "keep", "dead"] = "drop"
    """What becomes of messages no route matches, such as answers and heartbeats: nothing, events of this source, or
    dead letters."""
    errors: list[Match] = [
        {"event": "*error*"},
        {"type": "error"},
        {"status": "error"},
        {"success": "false"},
        {"error": "*"},
    ]
    """Which of the messages no route matches are the server's complaints; the operator is told of these."""
    sequence: SequenceRule | None = None
    """The numbering of all messages of a connection, where there is one; its paths start at the message."""
    max_message_bytes: Size = 1024**2
    """Larger messages end the connection."""
    idle_seconds: Seconds = 30.0
    """Reconnect when no data came for so long."""
    idle_counts: Literal["data", "any"] = "data"
    """What ends that wait: data alone, or any message, so that heartbeats keep up the connection of a quiet feed."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset") not in PRESETS:
            return given
        symbols, channels = given.get("symbols", []), given.get("channels", cls.model_fields["channels"].default)
        return {**defaults(PRESETS[given["preset"]], symbols, channels), **given}

    @field_validator("symbols")
    @classmethod
    def _known_symbols(cls, symbols: list[str], info: ValidationInfo) -> list[str]:
        preset = PRESETS.get(info.data.get("preset") or "")
        for symbol in symbols:
            if preset is not None and not re.fullmatch(preset.symbol, symbol):
                raise ValueError(f'expected symbols such as "{preset.example}", not "{symbol}"')
        return symbols

    @field_validator("channels")
    @classmethod
    def _known_channels(cls, channels: list[str], info: ValidationInfo) -> list[str]:
        preset = PRESETS.get(info.data.get("preset") or "")
        for channel in channels:
            if preset is not None and channel not in preset.channels:
                raise ValueError(f'no channel "{channel}" in this preset; it has {", ".join(preset.channels)}')
        return channels

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.url:
            raise ValueError("url is required and missing; or name a preset")
        if self.preset is not None and not self.subscribe:
            missing = "symbols" if not self.symbols else "channels"
            raise ValueError(f"{missing} is required with a preset and missing")
        fields = type(self).model_fields
        alone = [key for key in ("symbols", "channels") if self.preset is None and getattr(self, key) != fields[key].default]
        if alone:
            raise ValueError(f"{alone[0]} works with a preset only; without one, write subscribe")
        return self

    @property
    def place(self) -> str:
        """Where the events come from."""
        return self.url

    def feeds(self, name: str) -> tuple[str, ...]:
        """The sources, other than this one, that routes give events to."""
        targets = {route.source.replace(NAME, name): None for route in self.routes if route.source}
        return tuple(target for target in targets if target != name)
