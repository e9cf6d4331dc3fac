"""Rows of files: read once from end to end, followed as they grow, or read anew whenever a program rewrites them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from qraft.config.sources import FileSource
from qraft.ingest.base import Clock, NotConnected, Sink, SourceError
from qraft.ingest.batcher import Batcher
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_names import Files, natural_key
from qraft.ingest.file_pace import Pace, pace_of
from qraft.ingest.file_standing import Standing, StandingSink
from qraft.ingest.file_whole import Watcher
from qraft.ingest.files import delimiter_of, format_of, open_rows
from qraft.ingest.rows import RowFormat
from qraft.ingest.tail import Followed, Follower
from qraft.model import Event

POLL_SECONDS: Final = 0.1
"""How often followed files are looked at while none of them grows."""


class _Closable(Protocol):
    def close(self) -> None: ...


class _Reader(_Closable, Protocol):
    def poll(self) -> Followed | None: ...

    def complaints(self) -> list[str]: ...


T = TypeVar("T")
C = TypeVar("C", bound=_Closable)


class FileAdapter:
    """One file, or all that a pattern means. In replay it ends with the last row; else it goes on until it is cancelled.

    Files are read and parsed off the event loop, a block at a time. Nothing is lost by a cancellation: what was not sent is
    read again behind the cursor of the last event that was.

    Each event's cursor is the place in its own file. Where there are several, the last event of each batch carries the place
    in every one of them (`Standing`), and a replay reads them in natural order of their names, so that those before the one
    of the cursor are done.
    """

    def __init__(self, name: str, settings: FileSource, sink: Sink, *, resume: str | None, clock: Clock) -> None:
        self._settings = settings
        self._sink = sink
        self._start = Standing.parse(resume) if resume else None
        self._name = name
        self._clock = clock
        self._files = Files(settings.path)

    async def run(self) -> None:
        """Reads to the last file's end (replay), or goes on until cancelled.

        Raises:
            NotConnected: the file to follow is not there yet.
            SourceError: the file cannot be read so; the text says why.
        """
        if not self._files.several:
            self._form(Path(self._settings.path), "")
        if self._settings.mode == "replay":
            await self._replay()
        elif self._settings.mode == "whole":
            await self._follow(lambda: Watcher(self._files, self._form, self._start))
        else:
            await self._follow(lambda: Follower(self._files, self._form, self._start))

    def _form(self, path: Path, name: str) -> RowFormat:
        given = self._settings
        kind = format_of(path, given.format)
        if given.mode == "tail" and kind in ("json", "parquet"):
            raise SourceError(f'{path}: a {kind} file does not grow by lines; set mode = "whole" or mode = "replay"')
        return RowFormat(
            source=self._name,
            file=str(path),
            kind=kind,
            delimiter=delimiter_of(path, given.delimiter),
            time=given.time,
            arrival=self._clock,
            record=given.record,
            encoding=given.encoding,
            name=name,
            file_field=given.file_field,
            called=name or Path(given.path).name,
        )

    async def _replay(self) -> None:
        given = self._settings
        pace = pace_of(given.rate, given.speed, given.longest_gap_seconds)
        last = (
            next((c for place in self._start.places.values() if (c := Cursor.parse(place.cursor))), None)
            if self._start
            else None
        )
        found = await _off_loop(self._files.find)
        paths = [each.path for each in found] if self._files.several else [Path(given.path)]
        if not paths:
            raise SourceError(f"{given.path}: no file is called so; check path")
        async with Batcher(self._sink, grace=0.0) as batcher:
            for path in sorted(paths, key=lambda path: natural_key(self._files.name(path))):
                name = self._files.name(path)
                if last is None or natural_key(name) >= natural_key(last.name):
                    await self._replay_one(path, name, last if last and last.name == name else None, pace, batcher)

    async def _replay_one(self, path: Path, name: str, start: Cursor | None, pace: Pace, batcher: Batcher) -> None:
        form = self._form(path, name)
        file = await _opened(lambda: open_rows(path, form))
        try:
            self._sink.ready()
            if start is not None:
                await _off_loop(lambda: file.resume(start))
            blocks = file.blocks()
            while (block := await _off_loop(lambda: next(blocks, None))) is not None:
                for part in pace.parts(block.rows):
                    await pace.wait()
                    await batcher.put_all(part, block.row_bytes)
        finally:
            file.close()

    async def _follow(self, make: Callable[[], _Reader]) -> None:
        several = self._files.several
        if self._settings.mode == "whole" and not several and not await _off_loop(self._files.find):
            raise NotConnected(f"{self._settings.path}: no such file yet; waiting for it")
        sink = StandingSink(self._sink)
        reader = await _opened(make)
        try:
            self._sink.ready()
            async with Batcher(sink if several else self._sink, grace=0.0) as batcher:
                while True:
                    followed = await _off_loop(reader.poll)
                    for text in reader.complaints():
                        self._sink.notice("unreadable", text)
                    if followed is None:
                        await asyncio.sleep(POLL_SECONDS)
                        continue
                    rows = followed.block.rows
                    if several:
                        sink.expect(sum(isinstance(row, Event) for row in rows), followed.before, followed.place)
                    await batcher.put_all(rows, followed.block.row_bytes)
        finally:
            reader.close()


async def _opened(make: Callable[[], C]) -> C:
    """Opens something off the loop; a cancellation closes it again."""
    task = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if task.exception() is None:
            task.result().close()
        raise


async def _off_loop(work: Callable[[], T]) -> T:
    """Does blocking work in a thread. A cancellation waits for it, so that nothing is closed under its hands."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
