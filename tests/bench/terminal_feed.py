"""What an engine of 100 sources publishes, without the engine: ``python -m tests.bench.terminal_feed NATS_URL --rate 1000``.

Patterns go through `qraft.bus.Publisher` in micro-batches, one message a pattern, as the engine's lanes publish them, and
statistics of every source once a second. It says once a second how many patterns it has published, and ends with its input.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Iterator

import msgspec

from qraft.bus import Bus, Publisher
from qraft.bus.streams import ensure_streams
from qraft.config import NatsAddress
from qraft.model import Pattern
from tui.feed.fake import World

SOURCES = 100
BATCHES_A_SECOND = 20
ENTITIES = 3
"""Entities of a source at any moment: 100 sources of 3 entities and 3 types make 900 episodes that grow."""
STREAM_BYTES = 256 * 1024**2


def now_us() -> int:
    """The time now, UTC microseconds."""
    return time.time_ns() // 1000


def patterns(world: World, rate: int, seed: int = 3) -> Iterator[Pattern]:
    """A world's patterns without end, spread over entities of which one a second gives way to a new one.

    So most patterns join an episode that stands, about three episodes begin a second, and an hour leaves some 10,000.
    """
    draw = random.Random(seed)
    held = {name: [f"unit-{n}" for n in range(ENTITIES)] for name in world.names}
    number = 0
    while True:
        number += 1
        if number % rate == 0:
            held[draw.choice(world.names)][draw.randrange(ENTITIES)] = f"unit-{ENTITIES + number // rate}"
        pattern = world.pattern(now_us())
        yield msgspec.structs.replace(pattern, entity=draw.choice(held[pattern.source]))


async def publish(url: str, rate: int) -> None:
    """Publishes until cancelled."""
    bus = await Bus.connect(NatsAddress(url), name="bench-feed")
    try:
        await ensure_streams(bus, partitions=1, max_bytes=STREAM_BYTES)
        world = World(sources=SOURCES)
        stats = asyncio.create_task(_stats(bus, world))
        try:
            await _patterns(Publisher(bus), world, rate)
        finally:
            stats.cancel()
            await asyncio.gather(stats, return_exceptions=True)
    finally:
        await bus.close()


async def _patterns(publisher: Publisher, world: World, rate: int) -> None:
    source, size = patterns(world, rate), max(1, rate // BATCHES_A_SECOND)
    begun, sent, said = time.perf_counter(), 0, 0
    while True:
        await publisher.patterns([next(source) for _ in range(size)])
        sent += size
        now = time.perf_counter()
        if int(now - begun) > said:
            said = int(now - begun)
            print(sent, flush=True)
        if begun + sent / rate < now - 1.0:  # a second behind: that second is lost, it is not made up for in a burst
            begun = now - sent / rate
        await asyncio.sleep(max(0.0, begun + sent / rate - now))


async def _stats(bus: Bus, world: World) -> None:
    processed = 0
    while True:
        await bus.publish_stats(world.stats(now_us(), processed=125_000 + processed))
        processed += 1_000
        await asyncio.sleep(1.0)


async def _until_input_ends() -> None:
    await asyncio.to_thread(sys.stdin.buffer.read)


async def _main(url: str, rate: int) -> None:
    work, end = asyncio.create_task(publish(url, rate)), asyncio.create_task(_until_input_ends())
    await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    for result in await asyncio.gather(work, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def main() -> None:
    """Publishes until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rate", type=int, default=1000, help="patterns a second")
    chosen = parser.parse_args()
    asyncio.run(_main(chosen.url, chosen.rate))


if __name__ == "__main__":
    main()
