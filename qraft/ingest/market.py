"""A generated market: nothing in it is real, and every message says so.

A few symbols follow a correlated random walk around a level of their own; every 20 to 40 seconds something is made to
happen.
`Market` is a pure function of its seed and of how often it was asked; `serve_market` streams it over a real WebSocket.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from qraft.ingest.base import wall_clock
from qraft.model import iso_from_us

SYMBOLS: Final = ("GEN-A", "GEN-B", "GEN-C", "GEN-D")
"""The symbols; each tick is of one of them, in turn."""
DEFAULT_SEED: Final = 7
DEFAULT_TICKS_PER_SECOND: Final = 40.0

RegimeKind = Literal["volatility_burst", "level_jump", "liquidity_drop"]

_KINDS: Final[tuple[RegimeKind, ...]] = ("level_jump", "liquidity_drop", "volatility_burst")
_CALM_SECONDS: Final = (12.0, 24.0)
_REGIME_SECONDS: Final = (8.0, 16.0)
_VOLATILITY: Final = 0.0002
_REVERSION: Final = 0.05
_COMMON_SHARE: Final = 0.6
_AT_ONCE: Final = 1000
_TOO_SLOW: Final = 1008


@dataclass(frozen=True, slots=True)
class Regime:
    """Something that was made to happen, from ``start`` to ``end`` (seconds of market time) to ``symbols``.

    In a volatility burst prices and volumes move more. After a level jump the price stays where it jumped to. In a liquidity
    drop the spread is wide, volume small and the book one-sided.
    """

    kind: RegimeKind
    start: float
    end: float
    symbols: tuple[str, ...]


class Market:
    """Ticks of the generated market, one after the other, each ``1 / ticks_per_second`` seconds of market time later."""

    def __init__(self, seed: int, ticks_per_second: float, start_us: int) -> None:
        self._rng = random.Random(seed)
        self._tick_seconds = 1.0 / ticks_per_second
        self._start_us = start_us
        self._count = 0
        self._levels = [self._rng.uniform(50.0, 500.0) for _ in SYMBOLS]
        self._walks = [0.0] * len(SYMBOLS)
        self._common = 0.0
        self._kinds: list[RegimeKind] = []
        self._jumped = False
        self._regime = self._next_regime(0.0)

    @property
    def regime(self) -> Regime:
        """What happens now, or happens next."""
        return self._regime

    @property
    def seconds(self) -> float:
        """Market time of the next tick, since the start."""
        return self._count * self._tick_seconds

    def tick(self) -> dict[str, Any]:
        """The next tick."""
        rng, now, which = self._rng, self.seconds, self._count % len(SYMBOLS)
        if now >= self._regime.end:
            self._regime = self._next_regime(now)
        regime = self._regime
        symbol = SYMBOLS[which]
        kind = regime.kind if now >= regime.start and symbol in regime.symbols else None
        if which == 0:
            self._common = rng.gauss(0.0, 1.0)
        own = rng.gauss(0.0, 1.0)
        wide = 5.0 if kind == "volatility_burst" else 1.0
        step = _VOLATILITY * wide * (_COMMON_SHARE * self._common + math.sqrt(1.0 - _COMMON_SHARE**2) * own)
        if kind == "level_jump" and not self._jumped:
            self._jumped = True
            self._levels[which] *= 1.0 + rng.choice((-1.0, 1.0)) * rng.uniform(0.01, 0.02)
        before = self._walks[which]
        self._walks[which] = before * (1.0 - _REVERSION) + step
        dry = kind == "liquidity_drop"
        self._count += 1
        return {
            "generated": True,
            "symbol": symbol,
            "time": iso_from_us(self._start_us + round(now * 1_000_000)),
            "price": round(self._levels[which] * math.exp(self._walks[which]), 4),
            "return_bp": round((self._walks[which] - before) * 10_000, 4),
            "spread_bp": round((12.0 if dry else 2.0) * rng.lognormvariate(0.0, 0.15), 4),
            "volume": round((0.25 if dry else wide) * 100.0 * rng.lognormvariate(0.0, 0.4), 2),
            "imbalance": round(max(-1.0, min(1.0, (0.7 if dry else 0.0) + rng.gauss(0.0, 0.2))), 4),
        }

    def _next_regime(self, now: float) -> Regime:
        rng = self._rng
        if not self._kinds:
            self._kinds = rng.sample(_KINDS, len(_KINDS))
        self._jumped = False
        kind = self._kinds.pop()
        start = now + rng.uniform(*_CALM_SECONDS)
        symbols = SYMBOLS if kind == "volatility_burst" else (rng.choice(SYMBOLS),)
        return Regime(kind, start, start + rng.uniform(*_REGIME_SECONDS), symbols)


@asynccontextmanager
async def serve_market(
    port: int = 0,
    ticks_per_second: float = DEFAULT_TICKS_PER_SECOND,
    seed: int = DEFAULT_SEED,
    *,
    patience_seconds: float = 10.0,
) -> AsyncIterator[str]:
    """Streams the market to every WebSocket client on loopback; gives the address.

    The market goes on whoever listens, and a client gets the ticks from when it connects, one JSON object a message. One
    that falls behind is disconnected, as real feeds do.

    Args:
        port: port to listen on; 0 takes a free one.
        ticks_per_second: over all symbols together.
        seed: of everything that happens.
        patience_seconds: how far a client may fall behind.
    """
    clients: set[asyncio.Queue[str | None]] = set()
    held = max(100, int(patience_seconds * ticks_per_second))

    async def client(connection: ServerConnection) -> None:
        queue: asyncio.Queue[str | None] = asyncio.Queue(held)
        clients.add(queue)
        try:
            with suppress(ConnectionClosed):
                while (message := await queue.get()) is not None:
                    await connection.send(message)
                await connection.close(_TOO_SLOW, "too slow")
        finally:
            clients.discard(queue)

    async def pump() -> None:
        loop = asyncio.get_running_loop()
        market, begun = Market(seed, ticks_per_second, wall_clock()), loop.time()
        while True:
            for _ in range(_AT_ONCE):
                if market.seconds > loop.time() - begun:
                    break
                message = msgspec.json.encode(market.tick()).decode()
                for queue in list(clients):
                    _offer(queue, message, clients)
            await asyncio.sleep(max(0.0, begun + market.seconds - loop.time()))

    # Without pings: a client that does not read, because its own sink is full, could not answer them.
    async with serve(client, "127.0.0.1", port, ping_interval=None, compression=None) as server:
        ticking = asyncio.create_task(pump(), name="generated-market")
        try:
            yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        finally:
            ticking.cancel()
            await asyncio.wait({ticking})
            for queue in list(clients):
                _end(queue, clients)


def _offer(queue: asyncio.Queue[str | None], message: str, clients: set[asyncio.Queue[str | None]]) -> None:
    try:
        queue.put_nowait(message)
    except asyncio.QueueFull:
        _end(queue, clients)


def _end(queue: asyncio.Queue[str | None], clients: set[asyncio.Queue[str | None]]) -> None:
    """Drops what a client has not got yet, and lets it go."""
    clients.discard(queue)
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
