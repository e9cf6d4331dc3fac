"""Thirty sources of all kinds at mixed rates, disturbed in every way they can be: is every event accounted for?"""

import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import msgspec
import tomli_w

from qraft.bus import Bus
from qraft.config import NatsAddress, RunInfo
from qraft.embedded.nats import start_nats
from qraft.model import EngineStats
from tests.bench.instance import instance, sample_memory
from tests.bench.measure import figure
from tests.bench.soak_feeds import Feed, GrowingFile, NatsFeed, PushedEvents, RecordedFile, WebSocketFeed
from tests.bench.soak_rest import RestFeed

FAULT_SECONDS = 1.0
DRAIN_SECONDS = 90.0
STEPS: list[dict[str, Any]] = [
    {"do": "derive", "fields": {"product": "x * y"}},
    {"do": "features", "of": {"x": ["diff", "rolling_mean(20)"]}},
]


def soak_figures(*, quick: bool) -> None:
    """Prints, of everything that was handed over, what is stored, dead or dropped, and what is not accounted for."""
    asyncio.run(_soak(30.0 if quick else 300.0))


async def _soak(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="qraft-soak-") as place:
        folder = Path(place)
        server = await start_nats(folder / "nats", max_store=4 * 1024**3, log=folder / "nats.log")
        bus = await Bus.connect(NatsAddress(server.url), name="soak")
        try:
            async with contextlib.AsyncExitStack() as stack:
                feeds = _feeds(folder, bus, server.url)
                for feed in feeds:
                    await stack.enter_async_context(feed.open())
                config = _config(server.url, feeds)
                run = await stack.enter_async_context(instance(config, folder))
                await _disturbed(run, feeds, folder / "config.toml", config, seconds)
        finally:
            await bus.close()
            await server.stop()


def _feeds(folder: Path, bus: Bus, url: str) -> list[Feed]:
    seeds = iter(range(100))
    found: list[Feed] = []
    found += [GrowingFile(f"tail{n}", 20 * (n + 1), next(seeds), folder, ("csv", "ndjson")[n % 2]) for n in range(6)]
    found += [RecordedFile(f"replay{n}", 200, next(seeds), folder, ("parquet", "ndjson.gz")[n]) for n in range(2)]
    policies = ("block", "drop_newest", "sample", "block")
    found += [WebSocketFeed(f"feed{n}", 10 * (n + 1) ** 2, next(seeds), policies[n % 4]) for n in range(8)]
    found += [RestFeed(f"rest{n}", 5 * (n + 1), next(seeds), ("json", "ndjson")[n % 2]) for n in range(6)]
    found += [NatsFeed(f"nats{n}", 30 * (n + 1), next(seeds), bus, url, stream=n < 3) for n in range(5)]
    found += [PushedEvents(f"pushed{n}", 100 * (n + 1), next(seeds), bus) for n in range(2)]
    return found


def _config(nats_url: str, feeds: list[Feed]) -> dict[str, Any]:
    sources = {feed.name: feed.settings() for feed in feeds}
    for name in ("tail0", "feed1", "pushed1"):
        sources[name]["steps"] = STEPS
    sources["host"] = {"adapter": "host"}
    return {"engine": {"log_level": "warning"}, "nats": {"url": nats_url}, "sources": sources}


async def _disturbed(run: RunInfo, feeds: list[Feed], file: Path, config: dict[str, Any], seconds: float) -> None:
    heard: list[EngineStats] = []
    peaks: dict[str, int] = {}
    bus = await Bus.connect(NatsAddress(run.nats_url), name="bench")
    sampler = asyncio.create_task(sample_memory(run, peaks))
    await bus.watch_stats(heard.append)
    running = [asyncio.create_task(feed.run()) for feed in feeds]
    try:
        faults = await _faults(feeds, file, config, seconds)
        for feed in feeds:
            feed.over = True
        await asyncio.gather(*running)
        report = await _report(run, bus, feeds)
    finally:
        for task in (sampler, *running):
            task.cancel()
        await bus.close()
        await asyncio.gather(sampler, *running, return_exceptions=True)
    for kind, times in sorted(faults.items()):
        figure(f"soak_faults_{kind.replace(' ', '_')}", [times], "times")
    for name, sent, stored, dead, dropped in report:
        lost = sent - stored - dead - dropped
        if lost or name == "all":
            figure(f"soak_{name}_sent", [sent], "events")
            figure(f"soak_{name}_stored", [stored], "events")
            figure(f"soak_{name}_dead_letters", [dead], "events")
            figure(f"soak_{name}_dropped", [dropped], "events")
            figure(f"soak_{name}_unaccounted", [lost], "events")
    figure("soak_sources", [len(report) - 1], "sources")
    figure("soak_most_lag", [max(stats.lag_seconds for stats in heard)], "s")
    for part, peak in sorted(peaks.items()):
        figure(f"soak_rss_peak_{part}", [peak / 1e6], "MB")


async def _faults(feeds: list[Feed], file: Path, config: dict[str, Any], seconds: float) -> Counter[str]:
    """One fault a second, each on a source drawn at random; every twentieth is an edit of the configuration."""
    draw, done, tasks = random.Random(1), Counter[str](), set[asyncio.Task[str]]()
    over = time.monotonic() + seconds
    number = 0
    await asyncio.sleep(min(5.0, seconds / 4))
    while time.monotonic() < over:
        number += 1
        if number % 20 == 0:
            done[_edit(file, config, number // 20)] += 1
        else:
            tasks.add(asyncio.create_task(draw.choice(feeds).disturb()))
        await asyncio.sleep(FAULT_SECONDS)
    for kind in await asyncio.gather(*tasks):
        done[kind] += 1
    return done


def _edit(file: Path, config: dict[str, Any], number: int) -> str:
    """Detector settings of one source, an adapter's own setting of another, or a mistake, in turns."""
    kind = ("adjust", "restart", "mistake")[number % 3]
    if kind == "adjust":
        config["sources"]["feed0"]["allowed_lateness_seconds"] = 60.0 + number
    elif kind == "restart":
        config["sources"]["tail1"]["encoding"] = ("utf-8", "utf8")[number % 2]
        config["sources"]["rest0"]["jitter"] = number % 10 / 100
        config["sources"]["feed3"]["idle_seconds"] = 4.0 + number / 100
    text = tomli_w.dumps(config) if kind != "mistake" else "[detect]\nlien = 1\n"
    draft = file.with_suffix(".new")
    draft.write_text(text)
    os.replace(draft, file)  # noqa: PTH105 - as editors do it
    return f"edit_{kind}"


async def _report(run: RunInfo, bus: Bus, feeds: list[Feed]) -> list[tuple[str, int, int, int, int]]:
    """Name, sent, stored, dead and dropped of each source and of all, once nothing moves any more."""
    async with httpx.AsyncClient(timeout=60) as client:
        deadline = time.monotonic() + DRAIN_SECONDS
        while True:
            status = msgspec.convert(await bus.request("status"), EngineStats)  # first, since the host goes on
            await bus.request("snapshot", timeout=60)
            dropped = {source.source: source.dropped for source in status.sources}
            stored = await _counts(client, run, "uniqExact(event_id) FROM {}.raw_events")
            dead = await _counts(client, run, "uniqExact(dead_id) FROM {}.dead_letters WHERE stage != 'preprocess'")
            rows = [(f.name, f.sent, stored.get(f.name, 0), dead.get(f.name, 0), dropped.get(f.name, 0)) for f in feeds]
            missing = [row for row in rows if row[1] != sum(row[2:])]
            if not missing or time.monotonic() > deadline:
                read = {source.source: source.read for source in status.sources}
                rows.append(("host", read.get("host", 0), min(stored.get("host", 0), read.get("host", 0)), 0, 0))
                columns = list(zip(*rows, strict=True))[1:]
                return [*rows, ("all", *(sum(column) for column in columns))]  # type: ignore[list-item]
            await asyncio.sleep(1.0)


async def _counts(client: httpx.AsyncClient, run: RunInfo, what: str) -> dict[str, int]:
    query = f"SELECT source, {what.format(run.database)} GROUP BY source"
    text = (await client.post(run.clickhouse_url, content=query)).raise_for_status().text
    return {source: int(count) for source, count in (line.split("\t") for line in text.splitlines())}
