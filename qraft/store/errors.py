"""What can go wrong between Qraft and ClickHouse.

StoreError
├── StoreUnavailable   not now: nobody answers, or the server has no room; the same call may succeed later
└── StoreRejected      never: the query, the data or the user is refused; the same call fails again
"""

from __future__ import annotations

import re
from typing import Final

from clickhouse_connect.driver.exceptions import DataError, Error, OperationalError

from qraft.config import ClickHouseAddress

_TEMPORARY: Final = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        439,  # CANNOT_SCHEDULE_TASK
        745,  # SERVER_OVERLOADED
        999,  # KEEPER_EXCEPTION
    }
)
_NOT_LET_IN: Final = frozenset(
    {
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        194,  # REQUIRED_PASSWORD
        516,  # AUTHENTICATION_FAILED
    }
)
_GATEWAY: Final = re.compile(r"HTTP status (429|502|503|504)")
_SENTENCE: Final = re.compile(r"DB::Exception: (.*)", re.DOTALL)


class StoreError(Exception):
    """Something between Qraft and ClickHouse; the text is a sentence for people."""


class StoreUnavailable(StoreError):
    """The server does not answer or has no room: the same call may succeed later."""


class StoreRejected(StoreError):
    """The server refuses the query, the data or the user: the same call fails again.

    Attributes:
        code: ClickHouse's error code; 0 when the data was refused before it was sent.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def translate(error: Error, address: ClickHouseAddress) -> StoreError:
    """The store's error for one of the client's."""
    text = str(error)
    if (
        error.code is None
        and not isinstance(error, DataError)
        and (isinstance(error, OperationalError) or _GATEWAY.search(text))
    ):
        fault = address.tls.fault(secure) if "SSL" in (secure := _causes(error)) else ""
        return StoreUnavailable(f"ClickHouse at {address.url}{f': {fault}' if fault else ' does not answer'}")
    found = _SENTENCE.search(text)
    sentence = " ".join((found.group(1) if found else text).split())
    if error.code in _TEMPORARY:
        return StoreUnavailable(f"ClickHouse at {address.url} cannot do this now: {sentence}")
    if error.code in _NOT_LET_IN:
        return StoreRejected(
            f"ClickHouse at {address.url} refuses the user {address.user}; check clickhouse.user and "
            f"{'clickhouse.password_env' if address.password or not address.tls.cert_file else 'clickhouse.cert_file'}",
            error.code or 0,
        )
    return StoreRejected(f"ClickHouse refused: {sentence}", error.code or 0)


def _causes(error: BaseException) -> str:
    """What an error says and what those behind it say; the client leaves out of its own what may hold a secret."""
    said: list[str] = []
    behind: BaseException | None = error
    while behind is not None:
        said.append(str(behind))
        behind = behind.__cause__ or behind.__context__
    return "; ".join(said)
