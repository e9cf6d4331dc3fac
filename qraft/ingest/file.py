"""Rows of a CSV or NDJSON file: read once from end to end, or followed as the file grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from qraft.config.settings import FileSource
from qraft.ingest.base import Clock, Sink
from qraft.ingest.batcher import MAX_EVENTS, Batcher
from qraft.ingest.files import RowFile, blocks_of, format_of
from qraft.ingest.rows import Cursor, Row, RowFormat
from qraft.ingest.tail import Tail

POLL_SECONDS: Final = 0.1
"""How often a followed file is looked at while it does not grow."""

_SLICES_A_SECOND: Final = 20
_LATE_SECONDS: Final = 1.0

T = TypeVar("T")


class FileAdapter:
    """One file. In replay it ends with the last row; in tail it goes on until it is cancelled.

    Files are read and parsed off the event loop, a block at a time. Nothing is lost by a cancellation: what was not sent is
    read again behind the cursor of the last event that was.
    """

    def __init__(self, name: str, settings: FileSource, sink: Sink, *, resume: str | None, clock: Clock) -> None:
        self._settings = settings
        self._sink = sink
        self._resume = Cursor.parse(resume) if resume else None
        self._path = Path(settings.path)
        self._name = name
        self._clock = clock

    async def run(self) -> None:
        """Reads to the file's end (replay), or follows it until cancelled (tail).

        Raises:
            NotConnected: the file to follow is not there yet.
            SourceError: the file cannot be read so; the text says why.
        """
        given = self._settings
        kind = format_of(self._path, given.format)
        form = RowFormat(self._name, str(self._path), kind, given.delimiter, given.time, self._clock)
        async with Batcher(self._sink, grace=0.0) as batcher:
            if given.mode == "tail":
                await self._tail(form, batcher)
            else:
                await self._replay(form, batcher)

    async def _replay(self, form: RowFormat, batcher: Batcher) -> None:
        file = await _off_loop(lambda: RowFile(self._path, form))
        pace = _Pace(self._settings.rate)
        try:
            if self._resume is not None:
                cursor = self._resume
                await _off_loop(lambda: file.resume(cursor))
            blocks = blocks_of(file)
            while (block := await _off_loop(lambda: next(blocks, None))) is not None:
                for part in pace.parts(block.rows):
                    await pace.wait(len(part))
                    await batcher.put_all(part, block.row_bytes)
        finally:
            file.close()

    async def _tail(self, form: RowFormat, batcher: Batcher) -> None:
        tail = await _off_loop(lambda: Tail(self._path, form, self._resume))
        try:
            while True:
                block = await _off_loop(tail.poll)
                if block is None:
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    await batcher.put_all(block.rows, block.row_bytes)
        finally:
            tail.close()


class _Pace:
    """Spreads rows over time: ``rate`` rows a second, 0 without a limit. A time the sink was blocked is not made up for."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = asyncio.get_running_loop().time()

    def parts(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        if not self._rate:
            return [rows]
        size = max(1, min(MAX_EVENTS, int(self._rate / _SLICES_A_SECOND)))
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    async def wait(self, rows: int) -> None:
        """Waits until the next ``rows`` rows are due."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now - _LATE_SECONDS)
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += rows / self._rate


async def _off_loop(work: Callable[[], T]) -> T:
    """Does blocking work in a thread. A cancellation waits for it, so that nothing is closed under its hands."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
