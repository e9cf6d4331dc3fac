"""What both clients share of HTTP: the headers, how an answer becomes a value or an error, how a stream becomes patterns."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from qraft import __version__
from qraft.client.calls import FIRST_WAIT, LONGEST_WAIT, Call, T, passes
from qraft.client.errors import ClientError, Missed, Refused, Unreachable, refused
from qraft.client.sse import EventDecoder
from qraft.model import Pattern

STREAM_SILENCE: Final = 60.0
"""The server says something every quarter of a minute; a stream that was silent for so long is dead."""


def options(url: str, token: str, timeout: float, ca_file: str | Path) -> dict[str, Any]:
    """The keyword arguments of an httpx client.

    Raises:
        ClientError: ``url`` is no http or https address, or ``ca_file`` cannot be read.
    """
    if not url.startswith(("http://", "https://")):
        raise ClientError(f'"{url}" is no address of a REST server; expected http://host:port or https://host:port')
    headers = {"User-Agent": f"qraft/{__version__}", "Accept": "application/json"}
    if token:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ClientError("the token holds characters that no token has; was a line end or a space copied with it?")
        headers["Authorization"] = f"Bearer {token}"
    try:
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    except (OSError, ssl.SSLError) as error:
        raise ClientError(f"{ca_file}: {error.strerror or error}") from None
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout, "verify": verify}


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """The request that makes a call."""
    return http.build_request(
        call.method, call.path, params=call.params, content=call.content or None, headers=dict(call.headers)
    )


def refusal(response: httpx.Response) -> Refused:
    """The error that a whole answer stands for."""
    return refused(response.status_code, response.reason_phrase, response.headers, response.content)


def outcome(call: Call[T], response: httpx.Response) -> T | ClientError:
    """What a whole answer stands for."""
    if not response.is_success:
        return refusal(response)
    try:
        return call.read(response.content)
    except ClientError as error:
        return Refused(response.status_code, str(error))


def stream_timeout(http: httpx.Client | httpx.AsyncClient) -> httpx.Timeout:
    """The timeouts of a stream, which may be silent for longer than an answer."""
    return httpx.Timeout(http.timeout.connect, read=STREAM_SILENCE)


def unreachable(url: httpx.URL | str, error: httpx.HTTPError) -> Unreachable:
    """The error of a request that was not answered."""
    return Unreachable(f"{str(url).rstrip('/')} does not answer: {str(error) or type(error).__name__}")


@dataclass(slots=True)
class Following:
    """The state of a stream over its connections."""

    params: dict[str, str | Sequence[str]]
    decoder: EventDecoder
    failures: int = 0
    _patterns: msgspec.json.Decoder[Pattern] = field(default_factory=lambda: msgspec.json.Decoder(Pattern))

    def headers(self) -> dict[str, str]:
        """What a connection is opened with."""
        resume = {"Last-Event-ID": self.decoder.last_id} if self.decoder.last_id else {}
        return {"Accept": "text/event-stream", **resume}

    def take(self, line: str) -> tuple[str, Pattern] | Missed | None:
        """The pattern that a line completes, with the id to resume after; or that some are missing here."""
        event = self.decoder.line(line)
        if event is None:
            return None
        self.failures = 0
        if event.name == "gap":
            return Missed("some patterns are no longer in the stream; the list of stored patterns still has them")
        if event.name != "pattern":
            return None
        try:
            return event.last_id, self._patterns.decode(event.data)
        except msgspec.DecodeError as error:
            raise ClientError(f"an event of the stream is no pattern: {error}") from None

    def wait(self, error: ClientError | None) -> float:
        """Seconds until the next connection, after one that ended or failed.

        Raises:
            Refused: another would be refused alike.
        """
        self.decoder.cut()
        if error is not None and not passes(error):
            raise error
        first = self.decoder.retry_seconds or FIRST_WAIT
        asked = error.retry_seconds if isinstance(error, Refused) and error.retry_seconds is not None else 0.0
        self.failures += 1
        return max(asked, min(LONGEST_WAIT, first * 2.0 ** min(self.failures - 1, 10)))
