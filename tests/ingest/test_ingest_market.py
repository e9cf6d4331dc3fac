from __future__ import annotations

import asyncio
import statistics
from bisect import bisect
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from qraft.config.sources import WebSocketSource
from qraft.ingest import NotConnected, make_adapter, wall_clock
from qraft.ingest.market import SYMBOLS, Market, Regime, serve_market
from qraft.model import us_from_iso


def market(seed: int = 7, ticks_per_second: float = 40.0) -> Market:
    return Market(seed, ticks_per_second, 1_700_000_000_000_000)


def run(found: Market, seconds: float) -> tuple[list[dict[str, Any]], list[Regime]]:
    ticks: list[dict[str, Any]] = []
    regimes: list[Regime] = []
    while found.seconds < seconds:
        ticks.append(found.tick())
        if not regimes or regimes[-1] != found.regime:
            regimes.append(found.regime)
    return ticks, regimes


def test_a_seed_decides_everything() -> None:
    assert run(market(), 100)[0] == run(market(), 100)[0]
    assert run(market(), 10)[0] != run(market(8), 10)[0]


def test_every_tick_says_that_it_is_generated() -> None:
    ticks, _ = run(market(), 60)
    assert all(tick["generated"] is True and tick["symbol"].startswith("GEN-") for tick in ticks)
    assert {tick["symbol"] for tick in ticks} == set(SYMBOLS)
    times = [us_from_iso(tick["time"]) for tick in ticks]
    assert {b - a for a, b in pairwise(times)} == {25_000}
    assert all(tick["price"] > 0 and tick["spread_bp"] > 0 and tick["volume"] > 0 for tick in ticks)
    assert all(-1 <= tick["imbalance"] <= 1 for tick in ticks)


def test_something_happens_every_20_to_40_seconds() -> None:
    _, regimes = run(market(ticks_per_second=4.0), 2000)
    assert all(20 <= b.start - a.start <= 40 for a, b in pairwise(regimes))
    assert {regime.kind for regime in regimes} == {"volatility_burst", "level_jump", "liquidity_drop"}


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_what_is_said_to_happen_shows(seed: int) -> None:
    ticks, regimes = run(market(seed), 300)
    begin = us_from_iso(ticks[0]["time"])
    times = [(us_from_iso(tick["time"]) - begin) / 1e6 for tick in ticks]
    for regime in regimes[:-1]:

        def values(field: str, start: float, end: float, symbol: str = regime.symbols[0]) -> list[float]:
            found = ticks[bisect(times, start) : bisect(times, end)]
            return [tick[field] for tick in found if tick["symbol"] == symbol]

        before, during = (regime.start - 5, regime.start), (regime.start + 0.2, regime.end)
        if regime.kind == "volatility_burst":
            spreads = [statistics.pstdev(values("return_bp", *when)) for when in (before, during)]
            assert spreads[1] > 2.5 * spreads[0]
        elif regime.kind == "liquidity_drop":
            assert statistics.mean(values("spread_bp", *during)) > 4 * statistics.mean(values("spread_bp", *before))
            assert statistics.mean(values("volume", *during)) < 0.5 * statistics.mean(values("volume", *before))
        else:
            old, new = (statistics.mean(values("price", *when)) for when in (before, during))
            assert 0.007 < abs(new / old - 1) < 0.023
    assert {regime.kind for regime in regimes} == {"volatility_burst", "level_jump", "liquidity_drop"}


def test_symbols_move_together() -> None:
    ticks, _ = run(market(), 500)
    returns = {name: [tick["return_bp"] for tick in ticks if tick["symbol"] == name] for name in SYMBOLS}
    assert 0.2 < statistics.correlation(returns["GEN-A"], returns["GEN-C"]) < 0.6


async def test_it_is_served_and_ingested(sink: Any) -> None:
    async with serve_market(ticks_per_second=400.0, seed=3) as url:
        source = WebSocketSource(adapter="websocket", url=url, entity="symbol", time="time")
        task = asyncio.create_task(make_adapter("generated-market", source, sink, resume=None, clock=wall_clock).run())
        await sink.until(lambda: len(sink.events) >= 200)
    with pytest.raises(NotConnected, match="closed the connection"):
        await task
    assert sink.letters == []
    times = [us_from_iso(event.timestamp) for event in sink.events]
    assert {b - a for a, b in pairwise(times)} == {2500}
    assert all(event.payload["generated"] is True for event in sink.events)


async def test_two_clients_see_the_same_market() -> None:
    async with serve_market(ticks_per_second=400.0) as url, connect(url) as one, connect(url) as two:
        first = [await one.recv() for _ in range(50)]
        second = [await two.recv() for _ in range(50)]
    assert set(first[20:40]) & set(second)


async def test_one_that_does_not_read_is_disconnected() -> None:
    async with (
        serve_market(ticks_per_second=20_000.0, patience_seconds=0.05) as url,
        connect(url, max_queue=1, ping_interval=None) as slow,
    ):
        await asyncio.sleep(2.0)  # about 40,000 ticks, of which the sockets hold 13,000
        with suppress(ConnectionClosed):
            async for _ in slow:
                pass
        assert slow.close_reason == "too slow"
