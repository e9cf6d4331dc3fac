"""The cold archive: what tables hold of each finished day, as Parquet files, before it is deleted. Blocking; for a thread.

A day is the one of arrival (``ingested_at``, UTC). Nothing is deleted but what stands in a manifest whose files are there,
and what is deleted is just that: the rows are known again by their digest. Cut short at any instant, the work is done again.
"""

from __future__ import annotations

import logging
import threading
from datetime import date
from pathlib import Path
from typing import Final

from qraft import __version__
from qraft.config.store import StoreSettings
from qraft.model import iso_from_us
from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_manifest import Batch, Manifest, end_us, read_manifest, write_manifest
from qraft.store.archive_place import Place, open_place
from qraft.store.archive_tables import TABLES, ArchiveTable
from qraft.store.archive_write import BatchWriter, read_marks
from qraft.store.link import Link
from qraft.store.schema import migrations

MARGIN_US: Final = 3600 * 1_000_000
"""So long after its end a day is finished, where all that arrived in it is stored by then."""

_DAY_US: Final = 86_400_000_000

log = logging.getLogger(__name__)


class Progress:
    """How far the work is; its owner reads it from another thread.

    Attributes:
        rows: rows archived since it was made.
        days: days archived since then.
        deleted: days of tables deleted since then.
        pending: finished days that are not archived yet.
        doing: what is worked on now; empty when nothing is.
    """

    def __init__(self) -> None:
        self.rows = self.days = self.deleted = self.pending = 0
        self.doing = ""


class Archive:
    """The archive of one database."""

    def __init__(
        self, link: Link, database: str, settings: StoreSettings, *, work: Path, stop: threading.Event, progress: Progress
    ) -> None:
        """Nothing is opened yet.

        Args:
            link: the database's server.
            database: its name.
            settings: what is archived where, and how long rows stay.
            work: folder for what waits to be sorted.
            stop: once set, work ends by `Stopped`.
            progress: is kept up to date.
        """
        self.settings: Final = settings
        self._link, self._database, self._settings = link, database, settings
        self._work, self._stop, self._progress = work, stop, progress
        self._tables = [TABLES[name] for name in settings.archive.tables]
        self._opened: Place | None = None
        self._whole: set[tuple[date, str]] = set()

    def run(self, now_us: int, settled_us: int) -> None:
        """Archives the finished days that are not yet, then deletes what is past its days.

        Args:
            now_us: the time, UTC microseconds.
            settled_us: all that arrived before this is stored.

        Raises:
            ArchiveError: the place cannot be reached, written or read.
            StoreError: the database does not answer, or refuses.
            Stopped: it was asked to end.
        """
        present = {table.name: self._present(table, min(now_us - MARGIN_US, settled_us)) for table in self._tables}
        pending = sorted(
            {day for table in self._tables for day in present[table.name] if (day, table.name) not in self._whole}
        )
        self._progress.pending = len(pending)
        try:
            for day in pending:
                self._archive(day, [table for table in self._tables if day in present[table.name]], now_us)
                self._progress.pending -= 1
            for table in self._tables:
                for day in present[table.name]:
                    self._forget(table, day, now_us)
        finally:
            self._progress.doing = ""

    @property
    def _place(self) -> Place:
        if self._opened is None:
            self._opened = open_place(self._settings.archive)
        return self._opened

    def _present(self, table: ArchiveTable, until_us: int) -> list[date]:
        """The finished days of which a table holds rows, in order."""
        days = [row[0] for row in self._link.query(table.present(self._database))]
        return sorted(day for day in days if end_us(day) <= until_us)

    def _manifest(self, day: date) -> Manifest:
        """A day's manifest, or one that names nothing yet.

        Raises:
            ArchiveError: another database wrote it.
        """
        made = self._link.query(f"SELECT toString(min(applied_at)) FROM {self._database}.schema_migrations")[0][0]
        origin = f"{self._database}, made {made}"
        found = read_manifest(self._place, day)
        if found is None:
            schema = migrations()[-1][0]
            return Manifest(qraft=__version__, schema=schema, origin=origin, day=str(day), tables={})
        if found.origin != origin:
            raise ArchiveError(
                f"{self._place}/{day} holds another database ({found.origin}; this is {origin}); "
                "give each database a store.archive.url of its own"
            )
        return found

    def _archive(self, day: date, tables: list[ArchiveTable], now_us: int) -> None:
        """Archives what is not of a day; its manifest is written once, in the end."""
        before = manifest = self._manifest(day)
        for table in tables:
            if table.name not in manifest.tables:
                manifest = self._with_batch(manifest, table, day, now_us)
        if manifest != before:
            write_manifest(self._place, manifest)
            self._progress.days += 1
            log.info("archived %s: %s", day, ", ".join(f"{rows} {table}" for table, rows in manifest.rows.items()))
        self._whole |= {(day, table.name) for table in tables}

    def _with_batch(self, manifest: Manifest, table: ArchiveTable, day: date, now_us: int) -> Manifest:
        before = self._progress.rows

        def progress(rows: int) -> None:
            self._progress.rows = before + rows

        self._progress.doing = f"archives {table.name} of {day}"
        writer = BatchWriter(
            self._link,
            self._place,
            database=self._database,
            compression=self._settings.archive.compression,
            work=self._work,
            stop=self._stop,
            progress=progress,
        )
        batches = manifest.tables.get(table.name, [])
        batch = writer.write(table, day, len(batches) + 1, iso_from_us(now_us))
        return Manifest(
            qraft=__version__,
            schema=migrations()[-1][0],
            origin=manifest.origin,
            day=manifest.day,
            tables={**manifest.tables, table.name: [*batches, batch]},
        )

    def _forget(self, table: ArchiveTable, day: date, now_us: int) -> None:
        """Deletes the kinds of rows of a day that are past their days, once they are in the archive as they are now."""
        due = [kind for kind in table.kinds if end_us(day) + table.days(kind, self._settings) * _DAY_US <= now_us]
        if not due:
            return
        marks = read_marks(self._link, self._database, table, day)
        for kind in due:
            rows, mark = marks[kind]
            if not rows:
                continue
            manifest = self._manifest(day)
            if not any(self._holds(manifest, batch, kind, mark) for batch in manifest.tables.get(table.name, ())):
                manifest = self._with_batch(manifest, table, day, now_us)
                write_manifest(self._place, manifest)
                if manifest.tables[table.name][-1].marks[kind] != mark:
                    raise ArchiveError(f"{table.name} of {day} changed before it could be deleted; it is looked at again")
            self._progress.doing = f"deletes {table.name} of {day}"
            self._link.command(table.delete(self._database, day, kind))
            self._progress.deleted += 1
            log.info("deleted %d rows of %s of %s, which are archived", rows, table.name, day)

    def _holds(self, manifest: Manifest, batch: Batch, kind: str, mark: str) -> bool:
        """Whether a batch holds just these rows and its files are there."""
        return batch.marks.get(kind) == mark and all(
            self._place.size(f"{manifest.day}/{file.name}") == file.bytes for file in batch.files
        )
