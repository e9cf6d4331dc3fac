"""`qraft demo`: an instance over live host metrics, River's Shuttle recording, and a generated market."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from qraft.bus import Bus
from qraft.config import ClickHouseAddress, NatsAddress, Settings
from qraft.config.detect import ClusterSettings, DetectSettings, ForestSettings, NoveltySettings
from qraft.config.dump import write_settings
from qraft.config.settings import EngineSettings
from qraft.config.sources import FileSource, HostSource, WebSocketSource
from qraft.engine.runtime import stop_on_signals
from qraft.engine.stack import in_front, running
from qraft.engine.up import prepare_logging, say_on_terminal
from qraft.ingest.market import serve_market
from qraft.store import PatternQuery, Store

SHUTTLE_ROWS_PER_SECOND = 400.0
MARKET_TICKS_PER_SECOND = 100.0
BARRIER_SECONDS = 2.0
PAGE = 10_000

QUICK = DetectSettings(
    novelty=NoveltySettings(warmup=100),
    forest=ForestSettings(window=60),
    clusters=ClusterSettings(window=60),
)
"""For one row a second, so that the host's metrics are judged within the demo's first minutes."""


class Summary(msgspec.Struct, frozen=True):
    """What a demo did, as counted in the database when it ended."""

    seconds: float
    first_pattern_seconds: float | None
    events: int
    patterns: dict[str, int]
    rows: dict[str, int]


def demo(*, tui: bool, seconds: float | None, as_json: bool, data_dir: Path | None) -> int:
    """Runs the demo; its exit status.

    Args:
        tui: whether the terminal interface runs in front; leaving it ends the demo.
        seconds: end by itself after so long; None runs until Ctrl-C or until the interface is left.
        as_json: print the summary as JSON and nothing else.
        data_dir: where everything is kept; None takes a directory that goes with the demo.

    Raises:
        ChildError: a part could not be started.
    """
    with contextlib.ExitStack() as stack:
        folder = data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qraft-demo-")))
        return asyncio.run(_demo(folder, tui=tui, seconds=seconds, as_json=as_json))


def demo_settings(market_url: str) -> Settings:
    """The demo's configuration; the market's address is known only once it is served."""
    return Settings(
        engine=EngineSettings(name="demo", barrier_seconds=BARRIER_SECONDS),
        sources={
            "host": HostSource(adapter="host", interval_seconds=1.0, detect=QUICK),
            "shuttle": FileSource(
                adapter="file",
                path=str(shuttle_file()),
                mode="replay",
                exclude=["anomaly"],
                rate=SHUTTLE_ROWS_PER_SECOND,
            ),
            "generated-market": WebSocketSource(adapter="websocket", url=market_url, entity="symbol", time="time"),
        },
    )


def shuttle_file() -> Path:
    """The Shuttle recording (49,097 rows, UCI) that River installs; its labels in `anomaly` are not watched."""
    found = importlib.util.find_spec("river")
    if found is None or found.origin is None:
        raise FileNotFoundError("the package river is not installed")
    return Path(found.origin).parent / "datasets" / "shuttle.csv.gz"


async def _demo(data_dir: Path, *, tui: bool, seconds: float | None, as_json: bool) -> int:
    stop, loop = stop_on_signals(), asyncio.get_running_loop()
    begun = loop.time()
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    status, summary = 0, None
    async with serve_market(ticks_per_second=MARKET_TICKS_PER_SECOND) as market_url:
        settings = demo_settings(market_url)
        prepare_logging(settings, data_dir, tui=tui or as_json)
        config = write_settings(settings, data_dir / "demo.toml")
        async with running(settings, config, data_dir, (lambda _: None) if as_json else say_on_terminal) as stack:
            if tui:
                status = await in_front(["tui", "--config", str(config), "--data-dir", str(data_dir)], stop)
            else:
                async with _first_pattern(stack.run.nats_url, begun) as first:
                    await stop.wait()
                    await _everything_stored(stack.run.nats_url)
                    summary = await _summary(settings, stack.run.clickhouse_url, loop.time() - begun, first)
    if summary is not None:
        print(msgspec.json.encode(summary).decode() if as_json else _text(summary), flush=True)
    return status


@contextlib.asynccontextmanager
async def _first_pattern(nats_url: str, begun: float) -> AsyncIterator[list[float]]:
    """A list that gets the seconds from ``begun`` to each arrival of patterns on the bus."""
    seen: list[float] = []
    bus = await Bus.connect(NatsAddress(nats_url), name="demo")
    try:
        await bus.watch_patterns(lambda _: seen.append(asyncio.get_running_loop().time() - begun))
        yield seen
    finally:
        await bus.close()


async def _everything_stored(nats_url: str) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="demo")
    try:
        await bus.request("snapshot", timeout=30)
    finally:
        await bus.close()


async def _summary(settings: Settings, clickhouse_url: str, seconds: float, first: list[float]) -> Summary:
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=settings.clickhouse.database) as store:
        rows = await store.history.counts()
        by_type = await _patterns_by_type(store)
    return Summary(
        seconds=round(seconds, 1),
        first_pattern_seconds=round(first[0], 1) if first else None,
        events=rows["raw_events"],
        patterns=by_type,
        rows=rows,
    )


async def _patterns_by_type(store: Store) -> dict[str, int]:
    found: Counter[str] = Counter()
    before = ""
    while page := await store.history.patterns(PatternQuery(limit=PAGE, before=before)):
        found.update(stored.pattern.type for stored in page)
        before = page[-1].cursor
    return dict(found)


def _text(summary: Summary) -> str:
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.patterns.items())) or "none"
    first = "" if summary.first_pattern_seconds is None else f", the first after {summary.first_pattern_seconds} s"
    rows = ", ".join(f"{table} {count}" for table, count in summary.rows.items())
    return f"{summary.seconds} s: {summary.events} events; patterns: {found}{first}; rows stored: {rows}"
