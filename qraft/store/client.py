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

from qraft.config import ClickHouseAddress, LoginError
from qraft.store.errors import StoreRejected, StoreUnavailable, translate
from qraft.store.link import Link
from qraft.store.probe import tls_fault

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

    def __init__(self, address: ClickHouseAddress, http: HttpClient, threads: ThreadPoolExecutor) -> None:
        self._address = address
        self._http = http
        self._threads = threads

    @classmethod
    async def connect(cls, address: ClickHouseAddress) -> Client:
        """Greets the server.

        A client certificate without a password is the login itself; with one it only opens the TLS connection.
        """
        tls = address.tls
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse")

        def greet() -> HttpClient:
            if tls:
                tls.context()  # reads the files, and names the one that cannot be used
            return clickhouse_connect.get_client(
                dsn=address.url,
                secure=address.secure,  # of itself the library goes by the port alone
                username=address.user,
                password=address.password,
                verify=tls.verify,
                ca_cert=tls.ca_file or None,
                client_cert=tls.cert_file or None,
                client_cert_key=tls.key_file or None,
                tls_mode="strict" if tls.cert_file and address.password else None,
                compress=False,
                autogenerate_session_id=False,
                connect_timeout=_CONNECT_SECONDS,
                send_receive_timeout=_ANSWER_SECONDS,
                show_clickhouse_errors="scrub",
            )

        try:
            try:
                return cls(address, await _in_thread(threads, address, greet), threads)
            except StoreUnavailable:
                if fault := await _in_thread(threads, address, lambda: tls_fault(address)):
                    raise StoreRejected(f"ClickHouse at {address.url}: {fault}") from None
                raise
        except BaseException:
            threads.shutdown(wait=False)
            raise

    async def ping(self) -> bool:
        """Whether the server answers."""
        return await _in_thread(self._threads, self._address, self._http.ping)

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

    async def read_native(self, sql: str) -> bytes:
        """The rows of a select in ClickHouse's Native format, as they are; nothing where there are none."""
        return await self._call(lambda: self._http.raw_query(sql, fmt="Native"))

    async def insert_native(self, table: str, columns: Sequence[str], rows: bytes, token: str) -> None:
        """Inserts rows in the Native format, repeats and all; a table that has seen ``token`` drops them."""
        settings = {"insert_deduplication_token": token, "insert_deduplicate": 1, "async_insert": 0, "optimize_on_insert": 0}
        await self._call(
            lambda: self._http.raw_insert(table, column_names=columns, insert_block=rows, fmt="Native", settings=settings)
        )

    def link(self) -> Link:
        """The same connections for work that runs in a thread."""
        return Link(self._http, self._address)

    async def close(self) -> None:
        """Closes the connections."""
        await self._call(self._http.close)
        self._threads.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await _in_thread(self._threads, self._address, function)


async def _in_thread(threads: ThreadPoolExecutor, address: ClickHouseAddress, function: Callable[[], T]) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, function)
    except Error as error:
        raise translate(error, address) from None
    except LoginError as error:
        raise StoreRejected(str(error)) from None
    except OSError as error:
        raise StoreUnavailable(f"ClickHouse at {address.url} does not answer: {error}") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise StoreRejected(f"the data do not fit the table: {error}") from error
