"""What an archive says of itself: one manifest a day, written after the files it names. A day without one does not count.

The tree, below the archive's place::

    2026-11-20/manifest.json
    2026-11-20/raw_events-1-0001.parquet     table, batch, number of the file
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_place import Place

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file. ``first`` and ``last`` are the least and the greatest ``ingested_at`` in it, UTC microseconds."""

    name: str
    rows: int
    bytes: int
    sha256: str
    first: int
    last: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """All that a table held of a day at one time.

    ``marks`` has for each kind of rows (see `qraft.store.archive_tables`) the digest by which the same rows are known again.
    """

    written: str
    rows: int
    marks: dict[str, str]
    files: list[ArchivedFile]

    @property
    def bytes(self) -> int:
        """Size of its files."""
        return sum(file.bytes for file in self.files)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One day. ``origin`` names the database, and when it was made, so that two never share an archive.

    A table has more than one batch where it held other rows by the time they were to be deleted; of rows with the same id,
    those of the last batch count.
    """

    format: int = FORMAT
    qraft: str
    schema: int
    origin: str
    day: str
    tables: dict[str, list[Batch]]

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table, in its last batch."""
        return {table: batches[-1].rows for table, batches in self.tables.items() if batches}

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(batch.bytes for batches in self.tables.values() for batch in batches)

    @property
    def files(self) -> int:
        """How many files there are."""
        return sum(len(batch.files) for batches in self.tables.values() for batch in batches)


def days(place: Place) -> list[date]:
    """The days whose folders the place holds, in order."""
    found = []
    for name in place.names(""):
        try:
            found.append(date.fromisoformat(name))
        except ValueError:
            continue  # not ours
    return found


def read_manifest(place: Place, day: date) -> Manifest | None:
    """A day's manifest; None where it has none.

    Raises:
        ArchiveError: it cannot be read, or a newer Qraft wrote it.
    """
    name = f"{day}/{MANIFEST}"
    if place.size(name) is None:
        return None
    with place.open(name) as file:
        text = file.read()
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ArchiveError(f"{place}/{name}: is damaged: {error}") from None
    if manifest.format > FORMAT:
        raise ArchiveError(f"{place}/{name}: was written by Qraft {manifest.qraft}; install that or a newer one")
    return manifest


def write_manifest(place: Place, manifest: Manifest) -> None:
    """Puts a day's manifest in place of the one before."""
    with place.write(f"{manifest.day}/{MANIFEST}") as sink:
        sink.write(msgspec.json.format(msgspec.json.encode(manifest)))


def day_of(time_us: int) -> date:
    """The day (UTC) of a time in UTC microseconds."""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).date()


def end_us(day: date) -> int:
    """The first microsecond (UTC) after a day."""
    after = day + timedelta(days=1)
    return int(datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp()) * 1_000_000
