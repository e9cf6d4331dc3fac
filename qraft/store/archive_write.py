"""Writes what one table holds of one day into Parquet files, sorted as the rows came, in bounded memory.

The database gives the rows in the order of its own key, because that costs it no memory. They are cut by arrival into
stretches that fit into memory, each in a file of its own under the work folder, and each stretch is sorted by itself.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_manifest import ArchivedFile, Batch
from qraft.store.archive_place import Place, Sink, digest_of
from qraft.store.archive_tables import ArchiveTable, selected
from qraft.store.link import Link

STRETCH_ROWS: Final = 200_000
STRETCH_BYTES: Final = 32 * 1024**2
"""What is sorted at once; a second's rows always are."""
FILE_ROWS: Final = 2_000_000
"""A file ends with the stretch that reaches so many rows."""
GROUP_ROWS: Final = 100_000
"""Rows of a row group: what a reader holds at once."""

_HELD_BYTES: Final = 32 * 1024**2
_SECOND_US: Final = 1_000_000

Marks = dict[str, tuple[int, str]]
"""Rows and digest of each kind of rows."""


class Stopped(Exception):
    """Whoever asked for the work wants it to end."""


def read_marks(link: Link, database: str, table: ArchiveTable, day: Any) -> Marks:
    """Rows and digest of each kind of rows that a table holds of a day now."""
    row = link.query(table.marks(database, day))[0]
    return {kind: (int(row[2 * n]), f"{row[2 * n]}:{row[2 * n + 1]:016x}") for n, kind in enumerate(table.kinds)}


class BatchWriter:
    """Writes one batch: all rows of one table and day."""

    def __init__(
        self,
        link: Link,
        place: Place,
        *,
        database: str,
        compression: str,
        work: Path,
        stop: threading.Event,
        progress: Callable[[int], None],
    ) -> None:
        """Nothing happens yet.

        Args:
            link: the database.
            place: where the files go.
            database: its name.
            compression: of the Parquet files.
            work: folder for what waits to be sorted; made when missing.
            stop: once set, the writing ends by `Stopped`.
            progress: told the rows written so far.
        """
        self._link, self._place, self._database = link, place, database
        self._compression, self._work, self._stop, self._progress = compression, work, stop, progress

    def write(self, table: ArchiveTable, day: Any, number: int, written: str) -> Batch:
        """Writes batch ``number`` of a table and day.

        Raises:
            ArchiveError: the place cannot take it, or rows came or went meanwhile.
            StoreError: the database does not answer.
            Stopped: it was asked to end.
        """
        marks = read_marks(self._link, self._database, table, day)
        rows = sum(count for count, _ in marks.values())
        for name in self._place.names(str(day)):
            if name.startswith(f"{table.name}-{number}-"):
                self._place.delete(f"{day}/{name}")  # of a try that was cut short
        files: list[ArchivedFile] = []
        if rows:
            self._work.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._work, prefix="sort-") as folder:
                stretches = _Stretches(Path(folder), self._cuts(table, day))
                for batch in self._link.batches(self._select(table, day)):
                    self._look()
                    stretches.add(batch)
                files = list(self._files(table, f"{day}/{table.name}-{number}", stretches))
            _give_back()
        if sum(file.rows for file in files) != rows or marks != read_marks(self._link, self._database, table, day):
            raise ArchiveError(f"{table.name} of {day} changed while it was archived; it is done again")
        return Batch(written=written, rows=rows, marks={kind: mark for kind, (_, mark) in marks.items()}, files=files)

    def _look(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _select(self, table: ArchiveTable, day: Any) -> str:
        columns = self._link.query(
            "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} "
            "ORDER BY position",
            {"database": self._database, "table": table.name},
        )
        return f"SELECT {selected(columns)} FROM {table.rows(self._database, day)} SETTINGS max_block_size = 65536"

    def _cuts(self, table: ArchiveTable, day: Any) -> list[int]:
        """The seconds (since 1970) with which a new stretch begins."""
        seconds = self._link.query(
            f"SELECT toUnixTimestamp(ingested_at) AS second, count(), sum(byteSize(*)) FROM {self._database}.{table.name} "
            f"WHERE toDate(ingested_at) = '{day}' GROUP BY second ORDER BY second"
        )
        cuts, rows, size = [], 0, 0
        for second, more, weight in seconds:
            if rows and (rows + more > STRETCH_ROWS or size + weight > STRETCH_BYTES):
                cuts.append(int(second))
                rows, size = 0, 0
            rows, size = rows + more, size + weight
        return cuts

    def _files(self, table: ArchiveTable, stem: str, stretches: _Stretches) -> Iterator[ArchivedFile]:
        """Sorts the stretches and writes them, as many into a file as it takes."""
        done, waiting = 0, iter(stretches.tables())
        for number in range(1, 10**6):
            first = next(waiting, None)
            if first is None:
                return
            name = f"{stem}-{number:04d}.parquet"
            with self._place.write(name) as sink, _Parquet(sink, first.schema, self._compression) as file:
                stretch = first
                while stretch is not None:
                    self._look()
                    file.add(stretch.sort_by([(column, "ascending") for column in table.order]))
                    self._progress(done + file.rows)
                    stretch = next(waiting, None) if file.rows < FILE_ROWS else None
            done += file.rows
            if digest_of(self._place, name) != (sink.bytes, sink.sha256):
                raise ArchiveError(f"{self._place}/{name}: read back, it is not what was written; it is written again")
            yield ArchivedFile(
                name=name.rpartition("/")[2],
                rows=file.rows,
                bytes=sink.bytes,
                sha256=sink.sha256,
                first=file.first,
                last=file.last,
            )


class _Parquet:
    """A Parquet file that is being written."""

    def __init__(self, sink: Sink, schema: Any, compression: str) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations
        from pyarrow import parquet

        self.rows = self.first = self.last = 0
        with ExitStack() as made:
            file = made.enter_context(pa.PythonFile(sink, mode="w"))
            self._writer = made.enter_context(parquet.ParquetWriter(file, schema, compression=compression))
            self._open = made.pop_all()

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def add(self, rows: Any) -> None:
        """Writes rows that are sorted by arrival."""
        self._writer.write_table(rows, row_group_size=GROUP_ROWS)
        moments = rows["ingested_at"]
        if not self.rows:
            self.first = _us(moments[0])
        self.last = _us(moments[-1])
        self.rows += rows.num_rows


class _Stretches:
    """Rows on their way, cut by arrival."""

    def __init__(self, folder: Path, cuts: Sequence[int]) -> None:
        import numpy as np

        self._folder = folder
        self._cuts = np.array(cuts, dtype=np.int64)
        self._held: list[list[Any]] = [[] for _ in range(len(cuts) + 1)]
        self._bytes = 0

    def add(self, batch: Any) -> None:
        """Takes rows in any order."""
        if not len(self._cuts):
            self._held[0].append(batch)
            return
        import numpy as np
        import pyarrow as pa

        unit = {"s": 1, "ms": 1000, "us": 1_000_000}[batch.schema.field("ingested_at").type.unit]
        moments = batch["ingested_at"].cast(pa.int64()).to_numpy() // unit
        places = np.searchsorted(self._cuts, moments, side="right")
        for place in np.unique(places):
            part = batch.take(pa.array(np.flatnonzero(places == place)))
            self._held[place].append(part)
        self._bytes += batch.nbytes
        if self._bytes > _HELD_BYTES:
            self._put_away()

    def tables(self) -> Iterator[Any]:
        """The rows of each stretch, one stretch after the other; those that have none left out."""
        import pyarrow as pa

        for number, held in enumerate(self._held):
            batches, self._held[number] = [*self._fetch(number), *held], []
            if batches:
                yield pa.Table.from_batches(batches)

    def _put_away(self) -> None:
        import pyarrow as pa

        for number, held in enumerate(self._held):
            if held:
                with self._path(number).open("ab") as file, pa.ipc.new_stream(file, held[0].schema) as stream:
                    for batch in held:
                        stream.write_batch(batch)
                held.clear()
        self._bytes = 0

    def _fetch(self, number: int) -> Iterator[Any]:
        """What was put away: one Arrow stream after the other."""
        import pyarrow as pa

        path = self._path(number)
        if not path.exists():
            return
        with path.open("rb") as file:
            while file.peek(1):
                with pa.ipc.open_stream(file) as stream:
                    yield from stream
        path.unlink()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.arrows"


def _give_back() -> None:
    """Returns what Arrow holds for later to the system: the next day comes in a day."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _us(moment: Any) -> int:
    """UTC microseconds of an Arrow timestamp."""
    import pyarrow as pa

    return int(moment.cast(pa.timestamp("us", "UTC")).value)
