"""The client for ordinary code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from qraft.client import calls
from qraft.client.calls import Call, Retries, T
from qraft.client.errors import ClientError, Missed
from qraft.client.sse import EventDecoder
from qraft.client.transport import Following, options, outcome, refusal, request_of, stream_timeout, unreachable
from qraft.client.values import FoundEvent, FoundPattern, Ingested, PatternDetail, SourceState
from qraft.client.wishes import Wish, iso, page_size
from qraft.model import EngineStats, Feedback, Pattern, Scope, Verdict


class Client:
    """A REST server of Qraft. Every method may raise `ClientError`; faults that may pass are tried again first."""

    def __init__(self, url: str, *, token: str = "", timeout: float = 30.0, ca_file: str | Path = "") -> None:
        """Connects at the first call.

        Args:
            url: ``http://`` or ``https://`` address of the server.
            token: a token of ``qraft tokens add``; empty where the server wants none.
            timeout: seconds that one answer may take.
            ca_file: certificates to trust; empty trusts the usual ones.
        """
        self._http = httpx.Client(**options(url, token, timeout, ca_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def sources(self) -> list[SourceState]:
        """Every source that is stored or read now, by name."""
        return self._call(calls.sources()).sources

    def stats(self) -> list[EngineStats]:
        """What each engine that runs says of itself."""
        return self._call(calls.stats()).engines

    def patterns(self, wish: Wish | None = None, *, limit: int | None = None) -> Iterator[FoundPattern]:
        """Stored patterns, newest first, page by page as they are taken; at most ``limit``."""
        wanted = (wish or Wish()).params()
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            page = self._call(calls.patterns({**wanted, "limit": page_size(left), "cursor": cursor}))
            yield from page.patterns
            left = None if left is None else left - len(page.patterns)
            if not page.next:
                return
            cursor = page.next

    def pattern(self, pattern_id: str) -> PatternDetail:
        """One pattern with what was said on it and the events around it."""
        return self._call(calls.pattern(pattern_id))

    def events(
        self,
        source: str = "",
        *,
        kind: Literal["clean", "raw"] = "clean",
        entity: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[FoundEvent]:
        """Stored events, newest first, page by page as they are taken; at most ``limit``.

        Args:
            source: of this source; empty for all.
            kind: as the detectors saw them, or as they were sent.
            entity: of this entity, for clean ones.
            since: earliest event time, included; a time without a zone is UTC.
            until: latest event time, excluded.
            limit: how many at most; None for all.
        """
        wanted = {"source": source or None, "kind": kind, "entity": entity, "since": iso(since), "until": iso(until)}
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            page = self._call(calls.events({**wanted, "limit": page_size(left), "cursor": cursor}))
            yield from page.events
            left = None if left is None else left - len(page.events)
            if not page.next:
                return
            cursor = page.next

    def feedback(
        self,
        pattern_id: str,
        verdict: Verdict,
        *,
        note: str = "",
        user: str = "",
        scope: Scope | None = None,
        until: str = "",
        feedback_id: str = "",
    ) -> Feedback:
        """Says something on a pattern; returns once the server's stream holds it, once however often it was sent."""
        call = calls.feedback(pattern_id, verdict, note=note, user=user, scope=scope, until=until, feedback_id=feedback_id)
        return self._call(call)

    def ingest(self, source: str, records: Iterable[Mapping[str, Any]], *, key: str = "") -> Ingested:
        """Sends records to a source: payloads, or whole events. Under the same ``key`` they are stored once."""
        return self._call(calls.ingest(source, records, key))

    def stream(
        self, wish: Wish | None = None, *, last_id: str = "", lost: Callable[[ClientError | None], None] = lambda _: None
    ) -> Iterator[tuple[str, Pattern]]:
        """Patterns as they are found, for ever: an id to resume after, and the pattern.

        Args:
            wish: which ones; its times and its verdict do not count here.
            last_id: goes on after the pattern that came with this id, else with what is found from now on.
            lost: told each time the connection is lost, and why; None where the server ended it. It is made again, and what
                was found meanwhile comes first. `Missed` says that some of it does not.
        """
        following = Following(calls.given((wish or Wish()).followed()), EventDecoder(last_id))
        while True:
            fault: ClientError | None = None
            try:
                with self._http.stream(
                    "GET",
                    "/api/stream",
                    params=following.params,
                    headers=following.headers(),
                    timeout=stream_timeout(self._http),
                ) as response:
                    if response.is_success:
                        for line in response.iter_lines():
                            found = following.take(line)
                            if isinstance(found, Missed):
                                lost(found)
                            elif found is not None:
                                yield found
                    else:
                        response.read()
                        fault = refusal(response)
            except httpx.HTTPError as error:
                fault = unreachable(self._http.base_url, error)
            pause = following.wait(fault)
            lost(fault)
            time.sleep(pause)

    def _call(self, call: Call[T]) -> T:
        retries = Retries()
        while True:
            found = self._once(call)
            if not isinstance(found, ClientError):
                return found
            time.sleep(retries.wait(found))

    def _once(self, call: Call[T]) -> T | ClientError:
        try:
            return outcome(call, self._http.send(request_of(self._http, call)))
        except httpx.HTTPError as error:
            return unreachable(self._http.base_url, error)
