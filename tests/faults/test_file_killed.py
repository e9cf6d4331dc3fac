"""kill -9 of the file adapter, twenty times, while files grow, rotate and appear: every row stands in the stream, once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qraft.bus import Bus, ensure_streams
from qraft.bus.codec import decode_message
from qraft.bus.subjects import EVENTS_STREAM
from qraft.config import NatsAddress
from qraft.model import Event
from tests.ingest.rotating import Program

KILLS = 20
PARTITIONS = 4

CHILD = """
import asyncio, sys
from qraft.bus import Bus, Publisher, Recovery
from qraft.config import NatsAddress
from qraft.config.sources import FileSource
from qraft.ingest import make_adapter
from qraft.ingest.base import wall_clock


class ToBus:
    when_full = "block"
    pressed = False

    def __init__(self, publisher):
        self.publisher = publisher

    def ready(self):
        pass

    async def send(self, events):
        await self.publisher.events("logs", events)

    async def dead(self, letters):
        raise AssertionError(letters[0].reason)

    def notice(self, kind, text):
        raise AssertionError(text)


async def main(url, pattern, log):
    bus = await Bus.connect(NatsAddress(url), name="reader")
    settings = FileSource(adapter="file", path=pattern, file_field="file")
    resume = await Recovery(bus).load_cursor("logs", {partitions})
    adapter = make_adapter("logs", settings, ToBus(Publisher(bus)), resume=resume, clock=wall_clock)
    print("running", flush=True)
    await adapter.run()


asyncio.run(main(*sys.argv[1:]))
""".replace("{partitions}", str(PARTITIONS))


class Stored:
    """The events in the stream, in order."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._next = 1
        self.events: list[Event] = []

    async def read(self) -> None:
        """Reads what came since the last call."""
        stream = self._bus.jetstream()
        last = (await stream.stream_info(EVENTS_STREAM)).state.last_seq
        for sequence in range(self._next, last + 1):
            message = await stream.get_msg(EVENTS_STREAM, sequence)
            assert message.data is not None
            found = decode_message(str(message.subject), message.data, sequence=sequence, arrived_us=0)
            self.events += [event for event in found if isinstance(event, Event)]
        self._next = last + 1

    async def until(self, count: int, seconds: float) -> None:
        """Until there are so many events, and for a second longer."""
        end = asyncio.get_running_loop().time() + seconds
        while len(self.events) < count and asyncio.get_running_loop().time() < end:
            await self.read()
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.0)
        await self.read()


def start(url: str, pattern: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, url, pattern, str(log)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )


@pytest.mark.timeout(120)
async def test_every_row_of_every_file_stands_once(nats_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    program = Program(folder, seed=7)
    log = tmp_path / "reader.log"
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=512 * 1024**2)
    stored, killed = Stored(bus), 0
    child = start(nats_url, f"{folder}/**/*.csv", log)
    try:
        while killed < KILLS:
            while log.read_bytes().count(b"running") <= killed:
                assert child.poll() is None, log.read_text()
                program.step()
                await asyncio.sleep(0.05)
            until = asyncio.get_running_loop().time() + program.random.uniform(0.0, 0.9)
            while asyncio.get_running_loop().time() < until:
                program.step()
                await asyncio.sleep(0.005)
            assert child.poll() is None, log.read_text()
            child.send_signal(signal.SIGKILL)
            child.wait()
            await stored.read()
            program.saw({event.payload["file"] for event in stored.events})
            killed += 1
            child = start(nats_url, f"{folder}/**/*.csv", log)
        await stored.until(len(program.written) + program.first_rows, 30.0)
        assert child.poll() is None, log.read_text()
    finally:
        child.kill()
        child.wait()
        await bus.close()
    rows = {event.event_id: event.payload["n"] for event in stored.events}
    assert len(program.written) > 10_000
    assert program.rotations > 20
    assert sorted(int(n) for n in rows.values() if n != "first") == list(map(int, program.written))
    assert list(rows.values()).count("first") == program.first_rows
    assert len(stored.events) == len(rows), "some row was stored twice"
