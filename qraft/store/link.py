"""ClickHouse for work that runs in a thread: the connections of `Client`, and rows as Arrow data, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clickhouse_connect.driver.client import Client as HttpClient
from clickhouse_connect.driver.exceptions import Error

from qraft.config import ClickHouseAddress
from qraft.store.errors import StoreUnavailable, translate

_ARROW: dict[str, Any] = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "output_format_arrow_compression_method": "none",
}


class Link:
    """Blocking. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, http: HttpClient, address: ClickHouseAddress) -> None:
        self._http, self._address = http, address

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs a statement that answers with no rows."""
        with self._told():
            self._http.command(sql, parameters=dict(parameters or {}))

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a select."""
        with self._told():
            return [tuple(row) for row in self._http.query(sql, parameters=dict(parameters or {})).result_rows]

    def batches(self, sql: str) -> Iterator[Any]:
        """The rows of a select as `pyarrow.RecordBatch`es, while the server still makes them.

        An answer that breaks off may end as if it were whole: count the rows.
        """
        import pyarrow as pa  # type: ignore[import-untyped]  # has no annotations

        try:
            with self._told(), self._http.query_arrow_stream(sql, settings=_ARROW) as batches:
                yield from batches
        except pa.ArrowException as error:
            raise StoreUnavailable(f"the answer of ClickHouse at {self._address.url} broke off: {error}") from None

    def insert(self, table: str, rows: Any, database: str) -> None:
        """Inserts a `pyarrow.Table` whose columns have the table's names."""
        with self._told():
            self._http.insert_arrow(table, rows, database=database)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise translate(error, self._address) from None
        except OSError as error:
            raise StoreUnavailable(f"ClickHouse at {self._address.url} does not answer: {error}") from None
