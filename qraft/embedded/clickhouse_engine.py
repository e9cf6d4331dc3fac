"""The ClickHouse engine in this process, one fresh connection a statement.

Connections are independent: statements run side by side, and what one sets no other sees. Opening one costs 0.15 ms.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from qraft.embedded.chdb_library import load_connect
from qraft.embedded.clickhouse_arrow import one_stream
from qraft.embedded.clickhouse_sql import ARROW_STREAM, output_format, quote, quote_name, reads, set_statement, split_insert

_CACHE_BYTES: Final = 64 * 1024**2
_THREADS: Final = 2
_LAPTOP: Final = {
    "mark_cache_size": _CACHE_BYTES,
    "index_mark_cache_size": _CACHE_BYTES,
    "primary_index_cache_size": _CACHE_BYTES,
    "query_condition_cache_size": _CACHE_BYTES,
    "max_parts_cleaning_thread_pool_size": _THREADS,
    "max_active_parts_loading_thread_pool_size": _THREADS,
    "max_outdated_parts_loading_thread_pool_size": _THREADS,
    "max_thread_pool_free_size": 8,
}
"""Server settings for a machine that does other things too; the defaults are made for servers."""
_NESTED: Final = re.compile(r"^.*?(Code: \d+\. DB::Exception: )*(?=Code: \d+\. DB::Exception: )", re.DOTALL)
_SOURCE: Final = re.compile(r"(: )?\(in file/uri /[^)]*\)|(: While executing File)?: data for INSERT was parsed from file")
_REPEATED: Final = re.compile(r"\((\w+)\)( \(version [^)]*\)\. \(\1\))+")


class EngineError(Exception):
    """What the engine said of a statement it could not run: ``Code: N. DB::Exception: …``."""

    @property
    def code(self) -> int:
        """ClickHouse's error code; 0 when there is none."""
        found = re.match(r"Code: (\d+)", str(self))
        return int(found.group(1)) if found else 0


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with all that goes with it.

    Attributes:
        text: SQL; for an INSERT the data follows FORMAT or VALUES.
        id: the query id, by which `Engine.cancel` finds it.
        params: values of ``{name:Type}`` placeholders, escaped as in TabSeparated.
    """

    text: bytes
    id: str
    database: str = ""
    format: str = "TabSeparated"
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave. ``format`` is empty for a statement that does not answer with rows."""

    body: bytes
    format: str
    summary: dict[str, str]


class Engine:
    """All databases below one directory. Every method may be called from any thread, by several at once."""

    def __init__(self, path: Path, *, max_threads: int, max_memory: int) -> None:
        server = {"max_server_memory_usage": max_memory, **_LAPTOP}
        self._address = f"{path}?{'&'.join(f'{name}={value}' for name, value in server.items())}"
        self._defaults = {"max_threads": str(max_threads)}
        self._connect = load_connect()
        self._keeper = self._connect(self._address)
        self.version: str = _run(self._keeper, "SELECT version()").bytes().decode().strip()

    def close(self) -> None:
        """Ends all running statements and closes the engine."""
        _run(self._keeper, "KILL QUERY WHERE query_kind != 'KillQuery' ASYNC")
        self._keeper.close()

    def cancel_reads(self) -> None:
        """Asks all running selects to end."""
        with self._connection() as connection:
            _run(connection, "KILL QUERY WHERE query_kind = 'Select' ASYNC")

    def cancel(self, statement_id: str) -> None:
        """Asks the statement with this id to end."""
        with self._connection() as connection:
            _run(connection, f"KILL QUERY WHERE Settings['log_comment'] = {quote(statement_id)} ASYNC")

    def execute(self, statement: Statement) -> Answer:
        """Runs a statement to its end.

        Raises:
            EngineError: the engine refused it.
        """
        began = time.perf_counter_ns()
        with self._prepared(statement) as connection:
            insert = split_insert(statement.text)
            if insert is None:
                result = _run(connection, statement.text, statement.format, statement.params)
                body = result.bytes() or b""
                answers = reads(statement.text)
                counts = {"read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read()}
            else:
                with _as_file(insert.data) as path:
                    source = f" FROM INFILE {quote(path)} COMPRESSION 'none' ".encode()
                    text = insert.head + source + insert.settings + b" FORMAT " + insert.format.encode()
                    result = _run(connection, text, statement.format, statement.params)
                body, answers = b"", False
                counts = {"written_rows": result.rows_read(), "written_bytes": result.bytes_read()}
        counts["elapsed_ns"] = time.perf_counter_ns() - began
        return Answer(
            body=body,
            format=output_format(statement.text, statement.format) if answers else "",
            summary={name: str(value) for name, value in counts.items()},
        )

    def stream(self, statement: Statement) -> Iterator[bytes]:
        """Runs a select and gives its answer block by block.

        Raises:
            EngineError: the engine refused it, or failed on the way.
        """
        if output_format(statement.text, statement.format) == ARROW_STREAM:
            with closing(self._blocks(statement)) as blocks:
                yield from one_stream(blocks, lambda: self.execute(statement).body)
        else:
            yield from self._blocks(statement)

    def _blocks(self, statement: Statement) -> Generator[bytes]:
        with self._prepared(statement) as connection:
            try:
                result = connection.send_query(statement.text, statement.format, params=dict(statement.params))
                try:
                    while (block := connection.streaming_fetch_result(result)) is not None and block.rows_read():
                        yield block.bytes()
                finally:
                    connection.streaming_cancel_query(result)
            except RuntimeError as error:
                raise EngineError(_plain(error)) from None

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._connect(self._address)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _prepared(self, statement: Statement) -> Iterator[Any]:
        with self._connection() as connection:
            try:
                _run(connection, set_statement({**self._defaults, "log_comment": statement.id, **statement.settings}))
            except ValueError as error:
                raise EngineError(str(error)) from None
            if statement.database:
                _run(connection, f"USE {quote_name(statement.database)}")
            yield connection


def _run(connection: Any, text: str | bytes, output: str = "TabSeparated", params: Mapping[str, str] | None = None) -> Any:
    try:
        return connection.query(text, output, params=dict(params or {}))
    except RuntimeError as error:
        raise EngineError(_plain(error)) from None


def _plain(error: RuntimeError) -> str:
    """The engine's sentence without what only tells how this module hands it data."""
    return _REPEATED.sub(r"(\1)", _SOURCE.sub("", _NESTED.sub("", str(error))))


@contextmanager
def _as_file(data: memoryview) -> Iterator[str]:
    """``data`` under a path of this process: in memory on Linux, elsewhere a temporary file."""
    if sys.platform == "linux":
        handle = os.memfd_create("insert")
        try:
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
    else:
        with tempfile.NamedTemporaryFile(prefix="qraft-insert-") as file:
            file.write(data)
            file.flush()
            yield file.name
