"""The work of `qraft ingest`: a thread reads, the event loop parses and publishes, in order and in bounded memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path

from qraft.commands.common import UserError
from qraft.commands.ingest_ways import Way
from qraft.ingest.batcher import Batcher
from qraft.ingest.lines import Lines, LineSettings
from qraft.ingest.rows import Row

CHUNK_BYTES = 64 * 1024
CHUNKS = 4
"""Pieces of input that wait to be parsed, at most."""
TELL_SECONDS = 1.0
"""How often the terminal is told how far it is; a wait this long is told of elsewhere too."""

_OVERHEAD_BYTES = 220
_DRAIN_SECONDS = 0.05

Chunk = tuple[str, bytes] | OSError | None
"""A piece of the input of a name, empty at its end; why that cannot be read; None at the end of all."""


async def feed(settings: LineSettings, inputs: Sequence[Path], way: Way) -> None:
    """Sends all lines of the inputs, until they end or the process is asked to end.

    Args:
        settings: how the lines are read.
        inputs: files, one after the other; ``-`` is stdin.
        way: where they go; it counts what was sent.

    Raises:
        UserError: a file cannot be read.
        SourceError: an input cannot be read in its format.
        ClientError: the REST server refuses what is sent.
    """
    with _stopping(way) as stopped:
        telling = asyncio.create_task(_tell(way), name="ingest-progress")
        try:
            async with Batcher(way) as batcher, contextlib.aclosing(_rows(settings, inputs, stopped)) as found:
                async for rows, size in found:
                    for row in rows:
                        await batcher.put(row, size)
        finally:
            telling.cancel()
            await asyncio.wait({telling})


async def _rows(
    settings: LineSettings, inputs: Sequence[Path], stopped: asyncio.Event
) -> AsyncGenerator[tuple[list[Row], int], None]:
    """The rows of all inputs with the bytes of one; once ``stopped``, those of what was read so far."""
    lines, file = Lines(settings), ""
    async with contextlib.aclosing(_chunks(inputs, stopped)) as chunks:
        async for name, data in chunks:
            if name != file:
                file = name
                lines.begin(name)
            rows = lines.feed(data) if data else lines.finish()
            if not data:
                file = ""
            yield rows, len(data) // max(1, len(rows)) + _OVERHEAD_BYTES
    if stopped.is_set():
        yield lines.cut_off("ended within its line"), CHUNK_BYTES


async def _chunks(inputs: Sequence[Path], stopped: asyncio.Event) -> AsyncGenerator[tuple[str, bytes], None]:
    """What a thread reads. It may be left waiting for input at the end, so it does not keep the process alive."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Chunk] = asyncio.Queue(CHUNKS)

    puts: set[asyncio.Task[None]] = set()

    def put(chunk: Chunk) -> None:
        """Waits in the thread for room. What is awaited is made in the loop, so that none is left behind when that ends."""
        taken: Future[None] = Future()

        def begin() -> None:
            task = asyncio.create_task(queue.put(chunk), name="ingest-put")
            puts.add(task)
            task.add_done_callback(puts.discard)
            task.add_done_callback(lambda put: taken.cancel() if put.cancelled() else taken.set_result(None))

        loop.call_soon_threadsafe(begin)
        taken.result()

    threading.Thread(target=_read, args=(inputs, put), name="ingest-reader", daemon=True).start()
    stop = asyncio.create_task(stopped.wait(), name="ingest-stop")
    try:
        while True:
            get = asyncio.create_task(queue.get(), name="ingest-chunk")
            try:
                await asyncio.wait({get, stop}, return_when=asyncio.FIRST_COMPLETED)
                if not get.done():
                    await asyncio.wait({get}, timeout=_DRAIN_SECONDS)  # the thread may hold a piece that had no room
                if not get.done():
                    return
                chunk = get.result()
            finally:
                get.cancel()
            if chunk is None:
                return
            if isinstance(chunk, OSError):
                raise UserError(f"{chunk.filename}: {chunk.strerror}") from chunk
            yield chunk
    finally:
        stop.cancel()
        for task in list(puts):
            task.cancel()


def _read(inputs: Sequence[Path], put: Callable[[Chunk], None]) -> None:
    """Reads the inputs in order, each piece as soon as there is one; runs in a thread."""
    try:
        for path in inputs:
            name = "stdin" if path == Path("-") else str(path)
            try:
                number = sys.stdin.fileno() if path == Path("-") else os.open(path, os.O_RDONLY)
                while data := os.read(number, CHUNK_BYTES):
                    put((name, data))
                if path != Path("-"):
                    os.close(number)
            except OSError as error:
                error.filename = name
                put(error)
                return
            put((name, b""))
        put(None)
    except (RuntimeError, asyncio.CancelledError, CancelledError):
        return  # the event loop is gone, and with it who asked


@contextlib.contextmanager
def _stopping(way: Way) -> Iterator[asyncio.Event]:
    """Set by Ctrl-C and SIGTERM; a second Ctrl-C ends the process at once."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop() -> None:
        stopped.set()
        if way.waiting:
            print(f"what was read waits to be sent: {way.waiting}; Ctrl-C again gives it up", file=sys.stderr, flush=True)
        for number in before:
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _tell(way: Way) -> None:
    """Says on stderr how far it is, once a second on a terminal; elsewhere only why it waits, once a reason."""
    loop, told, before, terminal = asyncio.get_running_loop(), "", 0, sys.stderr.isatty()
    at = loop.time()
    try:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            rate, before = (way.events - before) / (loop.time() - at), way.events
            at = loop.time()
            if terminal:
                line = f"sent {way.events} events ({rate:.0f}/s), {way.letters} dead letters  {way.waiting}"
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            elif way.waiting and way.waiting != told:
                print(f"waiting: {way.waiting}", file=sys.stderr, flush=True)
            told = way.waiting
    finally:
        if terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
