"""`qraft tui` under load: real servers, a publisher as an engine is one, and what the process costs meanwhile."""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from qraft.bus import Bus
from qraft.bus.streams import ensure_streams
from qraft.config import ClickHouseAddress, NatsAddress
from qraft.config.servers import ClickHouseSettings
from qraft.config.store import StoreSettings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
from qraft.store import Block, Store
from tests.bench.measure import figure
from tests.bench.terminal_calibration import calibration, lateness
from tests.bench.terminal_feed import SOURCES, STREAM_BYTES, now_us
from tests.bench.terminal_pty import ROOT, SHOWN, Own, terminal
from tui.feed.fake import World

RATE = 1000
STORED = 10_000
"""Patterns of the last hours that ClickHouse holds when the terminal starts."""
STORED_SPAN_US = 3 * 3_600_000_000
MEGABYTE = 1e6


class Servers(NamedTuple):
    """Addresses of what the terminal is connected to."""

    nats: str
    clickhouse: str


class Load(NamedTuple):
    """One window of load.

    Attributes:
        seconds: how long it lasted.
        cpu: CPU seconds of the terminal's process a second.
        loops: CPU seconds of the calibration loop right before and right after.
        kilobytes: written to the terminal a second.
        offered: patterns a second that were published.
        idle: share of all cores that nobody used; little means that the figures are disturbed.
        rss: resident bytes at the first paint, at the start of the window, after every minute, and at its end.
        late: how late a thread that does nothing woke up meanwhile, in seconds.
        own: what the process says of itself, a line a second.
    """

    seconds: float
    cpu: float
    loops: list[float]
    kilobytes: float
    offered: float
    idle: float
    rss: list[int]
    late: list[float]
    own: list[Own]


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """A nats-server with the streams, and a ClickHouse with patterns of the last hours."""
    with tempfile.TemporaryDirectory(prefix="qraft-bench-") as place:
        folder = Path(place)
        async with contextlib.AsyncExitStack() as stack:
            nats = await start_nats(folder / "nats", max_store=4 * 1024**3, log=folder / "nats.log")
            stack.push_async_callback(nats.stop)
            clickhouse = await start_clickhouse(folder / "clickhouse", log=folder / "clickhouse.log")
            stack.push_async_callback(clickhouse.stop)
            bus = await Bus.connect(NatsAddress(nats.url), name="bench")
            await ensure_streams(bus, partitions=1, max_bytes=STREAM_BYTES)
            await bus.close()
            async with await Store.connect(
                ClickHouseAddress(clickhouse.url), database=ClickHouseSettings().database
            ) as store:
                await store.migrate(StoreSettings())
                await store.write(_stored(now_us()))
            yield Servers(nats.url, clickhouse.url)


def _stored(now: int) -> Block:
    world = World(seed=5, sources=SOURCES)
    return Block("bench", now, patterns=[world.pattern(now - n * STORED_SPAN_US // STORED) for n in range(STORED, 0, -1)])


def load(servers: Servers, size: tuple[int, int], warm: float, window: float) -> Load:
    """What the process costs while patterns come at ``RATE``."""
    with _feed(servers.nats) as published, terminal(*servers, columns=size[0], rows=size[1]) as shown:
        shown.until((SHOWN,))
        rss = [shown.rss()]
        time.sleep(warm)
        loops = [calibration() for _ in range(3)]
        psutil.cpu_times_percent()
        cpu, written, sent, said = shown.cpu_seconds(), shown.written, published.count, len(shown.own())
        begun = time.perf_counter()
        rss.append(shown.rss())
        with lateness() as late:
            while (left := begun + window - time.perf_counter()) > 0:
                time.sleep(min(60.0, left))
                if shown.process.poll() is not None:
                    raise RuntimeError(f"qraft tui ended with status {shown.process.returncode}")
                rss.append(shown.rss())
                if window > 60:
                    figure(f"terminal_rss_after_{len(rss) - 2}_minutes", [rss[-1] / MEGABYTE], "MB")
        passed = time.perf_counter() - begun
        cpu, written = shown.cpu_seconds() - cpu, shown.written - written
        idle = psutil.cpu_times_percent().idle / 100
        sent = published.count - sent
        own = shown.own()[said:]
        loops += [calibration() for _ in range(3)]
        return Load(passed, cpu / passed, loops, written / passed / 1e3, sent / passed, idle, rss, late, own)


class _Published:
    """How many patterns the feed has published, as it says itself."""

    count = 0

    def read(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            self.count = int(line)


@contextlib.contextmanager
def _feed(nats_url: str) -> Iterator[_Published]:
    command = [sys.executable, "-m", "tests.bench.terminal_feed", nats_url, "--rate", str(RATE)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    published = _Published()
    reader = threading.Thread(target=published.read, args=(process.stdout,), name="feed")
    reader.start()
    try:
        yield published
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        process.stdout.close()
