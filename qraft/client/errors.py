"""What can go wrong when a REST server is asked. Every text is a sentence for people.

ClientError
├── Unreachable   no server answered, or not in time
├── Missed        a stream cannot tell what was found while it was away
└── Refused       it answered with a problem (RFC 9457)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class ClientError(Exception):
    """Base of all of them."""


class Unreachable(ClientError):
    """No server answered at the address, or the connection broke; whether the call was carried out is not known."""


class Missed(ClientError):
    """What was found in between is no longer in the stream; the stored patterns still have it."""


class Refused(ClientError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        detail: the server's own sentence.
        instance: what names the request in the server's log, where the server says so.
        retry_seconds: when it may be tried again, where the server says so.
    """

    def __init__(self, status: int, detail: str, *, instance: str = "", retry_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.instance, self.retry_seconds = status, detail, instance, retry_seconds


def refused(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> Refused:
    """The error that an answer stands for, whoever between here and the server gave it."""
    try:
        problem: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        problem = None
    said = problem if isinstance(problem, dict) else {}
    detail = said.get("detail") or said.get("title") or f"{status} {reason}".strip()
    wait = headers.get("retry-after", "")
    return Refused(
        status,
        str(detail),
        instance=str(said.get("instance") or ""),
        retry_seconds=float(wait) if wait.isdecimal() else None,
    )
