"""The rows of a Parquet file, a bounded batch at a time; a row's place is its number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qraft.ingest.base import SourceError
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_maker import ROW_NUMBER, Block, RowFormat, RowMaker
from qraft.ingest.file_open import MissingFileError
from qraft.ingest.records import KEPT_BYTES, RecordError
from qraft.model import iso_from_us, us_from_datetime

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations

BATCH_ROWS: Final = 1000
"""Rows taken at once."""

_BUFFER_BYTES: Final = 1024 * 1024
_PER_US: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_encode = msgspec.json.Encoder(enc_hook=str).encode


class ParquetRows(RowMaker):
    """An open Parquet file. Times become ISO 8601 text, decimals numbers, bytes text or hexadecimal digits."""

    def __init__(self, path: Path, form: RowFormat, generation: int = 0, ident: str = "") -> None:
        """Opens the file.

        Raises:
            SourceError: it is absent, no Parquet file, or has no such time column.
        """
        super().__init__(form, generation, ident)
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # has no annotations

        self._unit = "row"
        try:
            self._begin(_footer(path))
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except FileNotFoundError:
            raise MissingFileError(f"{path}: no such file; check path") from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None
        names = self._file.schema_arrow.names
        if form.time and form.time.split(".")[0] not in names and form.time not in (*names, ROW_NUMBER):
            self._file.close()
            raise SourceError(
                f'{path}: has no column "{form.time}" to take the time from; its columns are {", ".join(names[:20])}'
            )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def resume(self, cursor: Cursor) -> bool:
        """Goes on behind the row that ``cursor`` belongs to; False, and at the file's begin, where this is another file."""
        if cursor.content != self._fingerprint[: len(cursor.content)]:
            return False
        self.seek(cursor)
        return True

    def blocks(self) -> Iterator[Block]:
        """The rows from where it stands to the end.

        Raises:
            SourceError: the file is damaged.
        """
        import pyarrow as pa

        groups, skip = self._left()
        try:
            for batch in self._file.iter_batches(BATCH_ROWS, row_groups=groups, use_threads=False):
                rows = batch.slice(min(skip, batch.num_rows))
                skip -= batch.num_rows - rows.num_rows
                if rows.num_rows:
                    self._rows_of(rows)
                    self._row_bytes = 260 + rows.nbytes // rows.num_rows + sum(len(name) + 8 for name in rows.schema.names)
                    yield self._take()
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._form.file}: is damaged behind row {self._offset}: {error}") from None

    def _left(self) -> tuple[list[int], int]:
        """The row groups that hold what is left, and the rows to skip of them."""
        before = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if before + rows > self._offset:
                return list(range(group, self._file.num_row_groups)), self._offset - before
            before += rows
        return [], 0

    def _rows_of(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        for values in zip(*(_column(batch.column(n)) for n in range(batch.num_columns)), strict=True):
            payload = dict(zip(names, values, strict=True))
            try:
                self._event(payload, 1, None)
            except RecordError as error:
                self._dead(_encode(payload)[:KEPT_BYTES], 1, str(error), None)


def _footer(path: Path) -> bytes:
    """A digest of the file's metadata, which tell its columns, its rows and how they are spread."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 8))
        size = int.from_bytes(file.read(4), "little")
        if file.read(4) != b"PAR1" or size > end:
            raise ValueError("it does not end as a Parquet file does")
        file.seek(end - 8 - size)
        digest = hashlib.sha256()
        while block := file.read(_BUFFER_BYTES):
            digest.update(block)
    return digest.digest()


def _column(column: pa.Array) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        counts = column.cast(pa.int64()).to_pylist()
        if kind.unit == "ns":
            return [None if count is None else _iso(count // 1000) for count in counts]
        return [None if count is None else _iso(count * _PER_US[kind.unit]) for count in counts]
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
    values = column.to_pylist()
    return values if plain else [_plain(value) for value in values]


def _iso(time_us: int) -> str:
    try:
        return iso_from_us(time_us)
    except OverflowError:
        return f"{time_us} µs"


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one return a kind of value
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return _iso(us_from_datetime(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
