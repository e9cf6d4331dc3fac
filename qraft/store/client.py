"""The way to ClickHouse: clickhouse-connect's HTTP client, each call in a thread of a small pool.

No session is kept, so calls run side by side and a restarted server is met without ado. Values travel as bound parameters.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client as HttpClient
from clickhouse_connect.driver.exceptions import Error

from qraft.store.errors import StoreRejected, StoreUnavailable, translate

_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 60
_THREADS: Final = 8

# Every failure comes back as a StoreError, so what these libraries log of it, with tracebacks, would only say it twice.
for _name in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

T = TypeVar("T")
Row = tuple[Any, ...]


class Client:
    """One ClickHouse server. Every call may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, url: str, http: HttpClient, threads: ThreadPoolExecutor) -> None:
        self._url = url
        self._http = http
        self._threads = threads

    @classmethod
    async def connect(cls, url: str, *, user: str, password: str) -> Client:
        """Greets the server at ``url`` (``http://`` or ``https://``)."""
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse")

        def greet() -> HttpClient:
            return clickhouse_connect.get_client(
                dsn=url,
                secure=url.startswith("https:"),  # of itself the library goes by the port alone
                username=user,
                password=password,
                compress=False,
                autogenerate_session_id=False,
                connect_timeout=_CONNECT_SECONDS,
                send_receive_timeout=_ANSWER_SECONDS,
                show_clickhouse_errors="scrub",
            )

        try:
            return cls(url, await _in_thread(threads, url, greet), threads)
        except BaseException:
            threads.shutdown(wait=False)
            raise

    async def ping(self) -> bool:
        """Whether the server answers."""
        return await _in_thread(self._threads, self._url, self._http.ping)

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Runs a statement that answers with no rows."""
        await self._call(lambda: self._http.command(sql, parameters=dict(parameters or {})))

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a select."""
        result = await self._call(lambda: self._http.query(sql, parameters=dict(parameters or {})))
        return [tuple(row) for row in result.result_rows]

    async def insert(self, table: str, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str], token: str) -> None:
        """Inserts columns of equal length as one block, which a table that has seen ``token`` drops."""
        await self._call(
            lambda: self._http.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_type_names=[types[name] for name in columns],
                column_oriented=True,
                settings={"insert_deduplication_token": token, "insert_deduplicate": 1, "async_insert": 0},
            )
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._call(self._http.close)
        self._threads.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await _in_thread(self._threads, self._url, function)


async def _in_thread(threads: ThreadPoolExecutor, url: str, function: Callable[[], T]) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, function)
    except Error as error:
        raise translate(error, url) from None
    except OSError as error:
        raise StoreUnavailable(f"ClickHouse at {url} does not answer: {error}") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise StoreRejected(f"the data do not fit the table: {error}") from error
