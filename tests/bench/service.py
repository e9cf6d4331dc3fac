"""Figures (b), (c), (d): a whole instance on real servers, as `qraft up` starts it."""

import asyncio
import time
from collections.abc import Sequence

import httpx

from qraft.bus import Bus, Publisher
from qraft.config import NatsAddress
from qraft.model import Event, Pattern
from tests.bench.events import make_events, shifting_events
from tests.bench.instance import instance, sample_memory
from tests.bench.measure import figure, percentile

STORE_SECONDS = 300.0
POLL_SECONDS = 0.05
SOURCES = 4
WARM_ROWS = 800
MICRO_BATCH = 250
RATE = 200.0
"""Events a second, over all sources, while latency is measured."""


def service_figures(*, quick: bool) -> None:
    """Prints throughput, memory and latency of one instance with default settings."""
    asyncio.run(_figures(quick=quick))


async def _figures(*, quick: bool) -> None:
    async with instance() as run, httpx.AsyncClient(base_url=run.clickhouse_url, timeout=60) as clickhouse:
        bus = await Bus.connect(NatsAddress(run.nats_url), name="bench")
        try:
            peaks: dict[str, int] = {}
            sampler = asyncio.create_task(sample_memory(run, peaks))
            try:
                rates = [
                    await _throughput(bus, clickhouse, run.database, f"bench{n}", 4_000 if quick else 100_000)
                    for n in range(1 if quick else 3)
                ]
            finally:
                sampler.cancel()
                await asyncio.gather(sampler, return_exceptions=True)
            figure("end_to_end_events_per_second", rates, "events/s")
            for part, peak in sorted(peaks.items()):
                figure(f"rss_peak_{part}", [peak / 1e6], "MB")
            delays = await _latency(bus, rows=500 if quick else 4_500)
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                figure(f"publish_to_pattern_{name}", [percentile(delays, share) * 1e3], "ms", samples=len(delays))
        finally:
            await bus.close()


async def _throughput(bus: Bus, clickhouse: httpx.AsyncClient, database: str, name: str, events: int) -> float:
    """Events a second from the first publish until the last row can be read from ClickHouse."""
    streams = [make_events(events // SOURCES, f"{name}-{n}", n) for n in range(SOURCES)]
    publisher = Publisher(bus)
    begun = time.perf_counter()
    await asyncio.gather(*(_publish(publisher, stream) for stream in streams))
    deadline = begun + STORE_SECONDS
    for table in ("raw_events", "clean_events"):
        query = f"SELECT count() FROM {database}.{table} WHERE startsWith(source, '{name}-')"
        while (stored := int((await clickhouse.post("/", content=query)).raise_for_status().text)) < events:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{table} holds {stored} of {events} rows after {STORE_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
    return events / (time.perf_counter() - begun)


async def _publish(publisher: Publisher, events: Sequence[Event]) -> None:
    for at in range(0, len(events), MICRO_BATCH):
        await publisher.events(events[at].source, events[at : at + MICRO_BATCH])


async def _latency(bus: Bus, rows: int) -> list[float]:
    """Seconds from publishing an event to receiving the pattern it raised, for every pattern raised at a steady rate.

    ``rows`` of each source are published at that rate, after those that its detectors need to warm up.
    """
    sent: dict[str, float] = {}
    delays: list[float] = []

    def received(patterns: list[Pattern]) -> None:
        now = time.perf_counter()
        delays.extend(now - sent[p.event_id] for p in patterns if p.event_id in sent)

    await bus.watch_patterns(received)
    streams = [shifting_events(f"latency-{n}", WARM_ROWS + rows, n) for n in range(SOURCES)]
    publisher = Publisher(bus)
    await asyncio.gather(*(_publish(publisher, stream[:WARM_ROWS]) for stream in streams))
    await asyncio.sleep(5)
    steady = [event for tick in zip(*(stream[WARM_ROWS:] for stream in streams), strict=True) for event in tick]
    begun = time.perf_counter()
    for number, event in enumerate(steady):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        sent[event.event_id] = time.perf_counter()
        await publisher.events(event.source, [event])
    await asyncio.sleep(2)
    if not delays:
        raise RuntimeError("no pattern came: the shifts were not found")
    return delays
