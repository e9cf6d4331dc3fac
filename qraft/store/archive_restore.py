"""Brings archived days back: events as files of the wire contract, or all tables into a database. Blocking; for a thread.

Each file is compared with its manifest (rows and SHA-256) before a row of it is used.
"""

from __future__ import annotations

import contextlib
import heapq
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from qraft.model import SELF, iso_from_us
from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_manifest import ArchivedFile, Batch, Manifest, days, read_manifest
from qraft.store.archive_place import PART, Place, digest_of
from qraft.store.archive_tables import TABLES
from qraft.store.link import Link

EVENTS: Final = "raw_events"
ENDING: Final = ".ndjson"

_BATCH_ROWS: Final = 20_000

Tell = Callable[[str, int], None]
"""Told the day and the rows so far."""


class _Line(msgspec.Struct):
    event_id: str
    source: str
    type: str
    timestamp: str
    payload: msgspec.Raw
    meta: msgspec.Raw


def choose_days(place: Place, first: date, last: date) -> list[Manifest]:
    """The archived days from ``first`` to ``last``, both included, in order.

    Raises:
        ArchiveError: there is none; says which there are.
    """
    known = days(place)
    found = [manifest for day in known if first <= day <= last and (manifest := read_manifest(place, day)) is not None]
    if not found:
        holds = f"it holds {known[0]} to {known[-1]}" if known else "it holds nothing"
        raise ArchiveError(f"{place}: no archived day from {first} to {last}; {holds}")
    return found


def write_events(
    place: Place, manifests: Sequence[Manifest], folder: Path, *, sources: Sequence[str], tell: Tell
) -> dict[str, int]:
    """Writes the events of days into one NDJSON file a source, in the order in which they came.

    Args:
        place: the archive.
        manifests: the days, in order.
        folder: for the files, ``SOURCE.ndjson``; made when missing.
        sources: only of these; none for all but the engine's own notices.
        tell: told how far it is.

    Returns:
        The events of each source.

    Raises:
        ArchiveError: a file is damaged or absent, or one that would be written is there already.
    """
    counts: dict[str, int] = {}
    encode = msgspec.json.Encoder().encode
    with _Outputs(folder) as outputs:
        for manifest in manifests:
            last = ""
            with ExitStack() as opened:
                streams = [
                    opened.enter_context(contextlib.closing(_sorted(place, manifest, batch)))
                    for batch in manifest.tables.get(EVENTS, ())
                ]
                for _, row in heapq.merge(*streams, key=lambda one: one[0]):
                    source = row["source"]
                    if row["event_id"] == last or (source not in sources if sources else source == SELF):
                        continue
                    last = row["event_id"]
                    line = _Line(
                        last,
                        source,
                        row["type"],
                        iso_from_us(row["timestamp"]),
                        msgspec.Raw(row["payload"].encode()),
                        msgspec.Raw(row["meta"].encode()),
                    )
                    outputs.file(source).write(encode(line) + b"\n")
                    counts[source] = counts.get(source, 0) + 1
                    if not sum(counts.values()) % _BATCH_ROWS:
                        tell(manifest.day, sum(counts.values()))
        outputs.keep()
    return counts


def insert_tables(
    place: Place, manifests: Sequence[Manifest], link: Link, database: str, *, sources: Sequence[str], tell: Tell
) -> dict[str, int]:
    """Inserts the archived rows of days into a database that has Qraft's tables. Doing it again adds nothing.

    Returns:
        The rows inserted into each table; rows that more than one batch of a day holds count each time.

    Raises:
        ArchiveError: a file is damaged or absent.
        StoreError: the database does not answer, or refuses.
    """
    import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations
    import pyarrow.compute as pc  # type: ignore[import-untyped]  # has no annotations

    counts: dict[str, int] = {}
    for manifest in manifests:
        for table, batches in manifest.tables.items():
            for group in (group for batch in batches for group in _groups(place, manifest, batch)):
                rows = pa.Table.from_batches([group])
                if sources:
                    rows = rows.filter(pc.is_in(rows["source"], pa.array(sources)))
                if "original" in rows.column_names:
                    original = pa.array([bytes.fromhex(text) for text in rows["original"].to_pylist()], pa.binary())
                    rows = rows.set_column(rows.column_names.index("original"), "original", original)
                if rows.num_rows:
                    link.insert(table, rows, database)
                counts[table] = counts.get(table, 0) + rows.num_rows
                tell(manifest.day, sum(counts.values()))
    return counts


def _sorted(place: Place, manifest: Manifest, batch: Batch) -> Generator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The rows of a batch of raw_events with what they are sorted by; times in UTC microseconds."""
    import pyarrow as pa

    us = pa.int64()
    for group in _groups(place, manifest, batch):
        rows = pa.Table.from_batches([group])
        for name in ("timestamp", "ingested_at"):
            index = rows.column_names.index(name)
            rows = rows.set_column(index, name, rows[name].cast(pa.timestamp("us", "UTC")).cast(us))
        if "position" not in rows.column_names:  # archived before Qraft kept it
            rows = rows.append_column("position", pa.array([0] * rows.num_rows, us))
        for row in rows.to_pylist():
            yield tuple(row[name] for name in TABLES[EVENTS].order), row


def _groups(place: Place, manifest: Manifest, batch: Batch) -> Iterator[Any]:
    """The rows of a batch as record batches, after each file was found whole."""
    from pyarrow import parquet

    for file in batch.files:
        with _fetched(place, f"{manifest.day}/{file.name}", file) as copy:
            opened = parquet.ParquetFile(copy)
            try:
                yield from opened.iter_batches(batch_size=_BATCH_ROWS)
            finally:
                opened.close(force=True)


@contextlib.contextmanager
def _fetched(place: Place, name: str, file: ArchivedFile) -> Iterator[IO[bytes]]:
    """A copy of an archived file on this machine, which is what its manifest says.

    Raises:
        ArchiveError: it is absent or damaged.
    """
    if place.size(name) is None:
        raise ArchiveError(f"{place}/{name}: is missing; the manifest of its day names it")
    with tempfile.TemporaryFile(prefix="qraft-") as copy:
        size, digest = digest_of(place, name, copy)
        if (size, digest) != (file.bytes, file.sha256):
            raise ArchiveError(
                f"{place}/{name}: is damaged: {size} bytes with the SHA-256 {digest[:16]}…, "
                f"the manifest says {file.bytes} bytes with {file.sha256[:16]}…"
            )
        copy.seek(0)
        yield copy


class _Outputs:
    """One file a source, none under its own name before all are whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._open = ExitStack()

    def __enter__(self) -> _Outputs:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{self._folder}: cannot be made: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for source in self._files:
            self._path(source, PART).unlink(missing_ok=True)

    def file(self, source: str) -> IO[bytes]:
        """The file of a source."""
        file = self._files.get(source)
        if file is None:
            if self._path(source).exists():
                raise ArchiveError(f"{self._path(source)}: is there already; name another folder, or remove it")
            try:
                file = self._files[source] = self._open.enter_context(self._path(source, PART).open("wb"))
            except OSError as error:
                raise ArchiveError(f"{self._path(source)}: cannot be written: {error.strerror}") from None
        return file

    def keep(self) -> None:
        """Gives all files their names."""
        self._open.close()
        for source in self._files:
            self._path(source, PART).replace(self._path(source))

    def _path(self, source: str, more: str = "") -> Path:
        return self._folder / f"{source}{ENDING}{more}"
