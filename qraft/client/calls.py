"""What can be asked of the REST server, as values: what is sent, and how the answer is read. No I/O in here."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import msgspec

from qraft.client.errors import ClientError, Refused
from qraft.client.values import EventPage, Ingested, PatternDetail, PatternPage, SourceList, Stats
from qraft.model import Feedback, Scope, Verdict

T = TypeVar("T")

ATTEMPTS: Final = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
_PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses of servers that may well answer in a moment."""

Params = Mapping[str, str | int | float | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. Every one of them may be sent again without harm."""

    method: str
    path: str
    answer: type[T]
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def read(self, body: bytes) -> T:
        """The answer's value.

        Raises:
            ClientError: it is not what this client knows.
        """
        try:
            return msgspec.json.decode(body, type=self.answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ClientError(f"the answer to {self.method} {self.path} is not Qraft's: {error}") from None


class Retries:
    """How long to wait before a call is made once more: ever longer, or as the server says."""

    def __init__(self) -> None:
        self._pauses = [FIRST_WAIT * 2.0**n for n in range(ATTEMPTS - 1)]

    def wait(self, error: ClientError) -> float:
        """Seconds until the next attempt after one that failed so.

        Raises:
            ClientError: ``error`` itself, once no attempt is left or another would change nothing.
        """
        asked = error.retry_seconds if isinstance(error, Refused) and error.retry_seconds is not None else 0.0
        if not self._pauses or not passes(error) or asked > LONGEST_WAIT:
            raise error
        return max(asked, self._pauses.pop(0))


def passes(error: ClientError) -> bool:
    """Whether the fault may be gone in a moment."""
    return not isinstance(error, Refused) or error.status in _PASSING


def sources() -> Call[SourceList]:
    """All sources."""
    return Call("GET", "/api/sources", SourceList)


def stats() -> Call[Stats]:
    """What the engines say."""
    return Call("GET", "/api/stats", Stats)


def patterns(params: Params) -> Call[PatternPage]:
    """A page of patterns."""
    return Call("GET", "/api/patterns", PatternPage, given(params))


def events(params: Params) -> Call[EventPage]:
    """A page of events."""
    return Call("GET", "/api/events", EventPage, given(params))


def pattern(pattern_id: str) -> Call[PatternDetail]:
    """One pattern."""
    return Call("GET", f"/api/pattern/{quote(pattern_id, safe='')}", PatternDetail)


def feedback(
    pattern_id: str, verdict: Verdict, *, note: str, user: str, scope: Scope | None, until: str, feedback_id: str
) -> Call[Feedback]:
    """Something said on a pattern. It gets an id here, so that the server stores it once however often it is sent."""
    body: dict[str, Any] = {"verdict": verdict, "feedback_id": feedback_id or str(uuid.uuid4())}
    body |= {key: value for key, value in {"note": note, "user": user, "scope": scope, "until": until}.items() if value}
    return Call(
        "POST",
        f"/api/feedback/{quote(pattern_id, safe='')}",
        Feedback,
        content=msgspec.json.encode(body),
        headers={"Content-Type": "application/json"},
    )


def ingest(source: str, records: Iterable[Mapping[str, Any]], key: str) -> Call[Ingested]:
    """Records for a source, as NDJSON. Sent again under the same key they are stored once."""
    return Call(
        "POST",
        f"/api/ingest/{quote(source, safe='')}",
        Ingested,
        content=b"".join(msgspec.json.encode(record) + b"\n" for record in records),
        headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": key or str(uuid.uuid4())},
    )


def given(params: Params) -> dict[str, str | Sequence[str]]:
    """The parameters that are given, as texts; an empty text is one, for it means a source that is not split."""
    return {
        name: value if not isinstance(value, int | float) else repr(value)
        for name, value in params.items()
        if value is not None and value != []
    }
