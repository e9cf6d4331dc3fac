"""Polls an HTTP server: asks at a steady cadence, page by page, and sends what is new."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Final

import msgspec

from qraft.config.sources import RestSource
from qraft.ingest.base import Clock, NotConnected, Sink
from qraft.ingest.batcher import Batcher
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError
from qraft.ingest.rest_auth import Credentials
from qraft.ingest.rest_client import Answer, HttpClient, Limited, Request
from qraft.ingest.rest_formats import Kind, Records, as_utf8, kind_of, read_records
from qraft.ingest.rest_pages import Pages
from qraft.ingest.rest_prometheus import Exposition, read_exposition
from qraft.ingest.rest_records import End, Found, Known, Position, Recorder
from qraft.ingest.rest_scrape import Scrapes
from qraft.model import DeadLetter, Event, derive_id, event_id, iso_from_us

TOLD_SECONDS: Final = 60.0
"""A pause that a server's limits make longer than this is told to the operator."""
LONGEST_GUESS: Final = 300.0
"""Seconds; the longest pause after a refusal that does not say how long it should be."""

_OVERHEAD_BYTES: Final = 250


class RestAdapter:
    """Asks an HTTP server at an interval.

    Polls stand at whole intervals after the first, each later by its jitter, so that the cadence does not drift; they never
    overlap, and one that is missed because another took long is left out. A broken answer becomes a dead letter, and polling
    goes on; a server that is gone, too slow or failing ends the run with `NotConnected`.
    """

    def __init__(self, name: str, settings: RestSource, sink: Sink, *, resume: str | None, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._sink = sink
        self._clock = clock
        self._recorder = Recorder(name, settings, Position.parse(resume))
        self._scrapes = Scrapes(settings.prometheus)
        self._credentials = Credentials(None)
        self._told: set[str] = set()
        self._known = Known()
        self._letters = 0

    async def run(self) -> None:
        """Polls until it is cancelled.

        Raises:
            NotConnected: the server cannot be reached, is too slow, or fails.
            SourceError: the server refuses for good, or the settings cannot be used.
        """
        settings, loop, rng = self._settings, asyncio.get_running_loop(), random.Random()
        self._credentials = Credentials(settings.auth)
        refusals = 0
        async with HttpClient(settings, self._credentials, self._clock) as client, Batcher(self._sink) as batcher:
            first = loop.time()
            tick = 0
            while True:
                pause = 0.0
                try:
                    pause = await self._poll(client, batcher)
                    self._sink.ready()
                    refusals = 0
                except Limited as limited:
                    refusals += 1
                    guess = min(max(settings.interval_seconds, 1.0) * 2 ** min(refusals, 16), LONGEST_GUESS)
                    pause = limited.seconds if limited.seconds is not None else guess
                if pause > TOLD_SECONDS:
                    self._tell(
                        "limited", f"{client.shown} asks for a pause of {pause:.0f} s; a longer interval_seconds avoids it"
                    )
                elif not pause:
                    self._told.discard("limited")
                tick = max(tick, int((loop.time() - first) // settings.interval_seconds)) + 1
                due = first + (tick + settings.jitter * rng.random()) * settings.interval_seconds
                await asyncio.sleep(max(due - loop.time(), pause))

    async def _poll(self, client: HttpClient, batcher: Batcher) -> float:
        """Asks once, for all pages; seconds that a used-up quota asks to wait."""
        settings = self._settings
        since = self._recorder.asks_from()
        pages = Pages(settings.pages, {} if settings.since is None or since is None else {settings.since.param: since})
        asked = hashlib.sha256(repr((settings.url, settings.params, settings.body, since)).encode()).hexdigest()[:16]
        request: Request | None = pages.first()
        conditions = self._conditions(asked)
        found: list[Found] = []
        end: End = "whole"
        room, after = settings.max_bytes, Position()
        failure: Exception | None = None
        rest = 0.0
        arrival = self._clock()
        while request is not None:
            try:
                answer = await client.ask(request, conditions, room)
            except (NotConnected, Limited) as error:
                failure, end = error, "failed"
                break
            arrival, rest, room = self._clock(), answer.rest, room - len(answer.body)
            if answer.status == 304:
                return rest
            page = await self._page(answer, arrival, batcher)
            if page is None:
                end = "failed"
                break
            request = pages.after(answer, page)
            if not pages.repeated:
                found += [Found(record, page.document) for record in page.records]
            if settings.pages is None:
                headers = answer.headers
                after = Position(etag=headers.get("etag", ""), modified=headers.get("last-modified", ""), of=asked)
            if request is not None and rest:
                failure, end = Limited(rest), "failed"
                break
        if pages.cut:
            end = "cut"
        if found or end != "failed":  # where nothing came, what makes the next request conditional stays
            await self._send(found, arrival, end, after, batcher)
        if failure is not None:
            raise failure
        return rest

    def _conditions(self, asked: str) -> dict[str, str]:
        """The headers that make a request conditional, if the answer to the same request is known."""
        position = self._recorder.position
        if position.of != asked:
            return {}
        found = {"If-None-Match": position.etag, "If-Modified-Since": position.modified}
        return {name: value for name, value in found.items() if value}

    async def _send(self, found: list[Found], arrival: int, end: End, after: Position, batcher: Batcher) -> None:
        taken = await asyncio.to_thread(self._recorder.take, found, arrival, end, after)
        if end == "cut":
            lost = "; the older records are not read" if taken.skipped else ""
            self._tell("pages", f"there are more than max_pages = {self._pages} pages{lost}")
        for letter in taken.letters:
            shown = msgspec.structs.replace(letter, original=self._credentials.hide_bytes(letter.original))
            await batcher.put(shown, len(letter.original) + _OVERHEAD_BYTES)
        for event in taken.events:
            await batcher.put(event, len(msgspec.json.encode(event.payload)) + _OVERHEAD_BYTES)

    @property
    def _pages(self) -> int:
        return self._settings.pages.max_pages if self._settings.pages is not None else 1

    async def _page(self, answer: Answer, arrival: int, batcher: Batcher) -> Records | None:
        """The records of one answer; None where it is broken. What cannot be used goes to the dead letters here."""
        body = answer.body
        try:
            if answer.fault:
                raise RecordError(answer.fault)
            if answer.status == 204:
                return Records()
            content_type = answer.headers.get("content-type", "")
            body = as_utf8(body, content_type)
            kind = kind_of(body, content_type, self._settings)
            if kind in ("prometheus", "openmetrics"):
                await self._scrape(body, kind, arrival, batcher)
                return Records()
            page = await asyncio.to_thread(read_records, body, kind, self._settings)
        except RecordError as error:
            await self._bury(f"the answer is {error}" if answer.fault else str(error), answer.body, arrival, batcher)
            return None
        for reason, original in page.faults:
            await self._bury(reason, original, arrival, batcher)
        return page

    async def _scrape(self, body: bytes, kind: Kind, arrival: int, batcher: Batcher) -> None:
        scrape = await asyncio.to_thread(read_exposition, body, openmetrics=kind == "openmetrics")
        if scrape.bad:
            await self._bury(_of_lines(scrape), "\n".join(line.text for line in scrape.bad).encode(), arrival, batcher)
        rows = self._scrapes.rows(scrape, arrival)
        if self._scrapes.left_out:
            self._tell(
                "fields",
                f"{self._scrapes.left_out} fields of the exporter have no room; choose with prometheus.include or "
                "split by prometheus.entity_labels",
            )
        for number, row in enumerate(rows):
            place = f"{arrival}:{number}" if row.time_us is None else f"{row.entity}@{row.time_us}"
            event = Event(
                event_id=event_id(self._name, place),
                source=self._name,
                type="scrape",
                timestamp=iso_from_us(arrival if row.time_us is None else row.time_us),
                payload={"entity": row.entity, **row.fields} if row.entity else row.fields,
            )
            if row.time_us is None or self._known.add(event.event_id):
                await batcher.put(event, 40 * len(row.fields) + _OVERHEAD_BYTES)
        self._known.trim(2 * len(rows))

    async def _bury(self, reason: str, original: bytes, arrival: int, batcher: Batcher) -> None:
        self._letters += 1
        raw = self._credentials.hide_bytes(original)
        letter = DeadLetter(
            dead_id=derive_id("dead", self._name, f"{arrival}:{self._letters}"),
            source=self._name,
            timestamp=iso_from_us(arrival),
            stage="ingest",
            reason=self._credentials.hide(f"{self._settings.shown_url}: {reason}"),
            original=raw if len(raw) <= MAX_RECORD_BYTES else raw[:KEPT_BYTES],
        )
        await batcher.put(letter, len(letter.original) + _OVERHEAD_BYTES)

    def _tell(self, kind: str, text: str) -> None:
        """Tells the operator, once while it lasts."""
        if kind not in self._told:
            self._told.add(kind)
            self._sink.notice(kind, self._credentials.hide(text))


def _of_lines(scrape: Exposition) -> str:
    first = scrape.bad[0]
    total = len(scrape.bad) + len(scrape.samples)
    return f"{len(scrape.bad)} of {total} lines cannot be used; line {first.number}: {first.reason}"
