"""Shows operators events of a source at a stage of the engine, sampled, while and only while somebody asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from qraft.bus import Bus, BusError, Pacer, TapRequest, TapRow, TapSample, TapStage, publish_sample
from qraft.config import Settings
from qraft.model import CleanEvent, DeadLetter, Event, iso_from_us
from qraft.pipeline import Result, Scores
from qraft.preprocess import Cleaner

MOST_LEASES: Final = 16
"""Operators who watch at once; more would cost the engine what it needs to judge."""
SEND_SECONDS: Final = 0.1
"""Samples are sent this often."""
MOST_ROWS: Final = 1000
"""Rows that wait to be sent, a tap; beyond, they are counted only."""
SHOWN_BYTES: Final = 2048
"""So much of a dead letter's bytes is shown."""
SCORES: Final = ("anomaly", "abnormal", "change", "warm")

log = logging.getLogger(__name__)

Key = tuple[str, TapStage]


@dataclass(slots=True)
class _Tap:
    """One stage of one source, watched by at least one client until the moment each lease ends."""

    rate: float
    pacer: Pacer
    until: dict[str, tuple[float, float]] = field(default_factory=dict)
    seen: int = 0
    rows: list[TapRow] = field(default_factory=list)


class Taps:
    """The taps that are open. Everything here runs on the event loop; nothing here waits for whoever watches.

    Attributes:
        open: whether anybody watches anything: what a lane looks at before it hands over a step.
    """

    def __init__(self, settings: Settings, bus: Bus, monotonic: Callable[[], float]) -> None:
        self._settings, self._bus, self._monotonic = settings, bus, monotonic
        self._taps: dict[Key, _Tap] = {}
        self._opened = asyncio.Event()
        self.open = False

    def configure(self, settings: Settings) -> None:
        """Takes new settings."""
        self._settings = settings

    async def lease(self, asked: dict[str, Any]) -> Any:
        """Opens, renews or ends a lease; the control service's verb ``tap``.

        Raises:
            ValueError: the request is not one, or too many watch already.
        """
        try:
            request = msgspec.convert(asked, TapRequest)
        except msgspec.ValidationError as error:
            raise ValueError(f"this is no request for a tap: {error}") from None
        now, key = self._monotonic(), (request.source, request.stage)
        self._expire(now)
        tap = self._taps.get(key)
        if request.seconds == 0:
            if tap is not None:
                tap.until.pop(request.client, None)
                self._expire(now)
        else:
            new = tap is None or request.client not in tap.until
            if new and sum(len(one.until) for one in self._taps.values()) >= MOST_LEASES:
                raise ValueError(f"{MOST_LEASES} taps are open on this engine already; end one first")
            if tap is None:
                tap = self._taps[key] = _Tap(request.rate, Pacer(request.rate, now))
            tap.until[request.client] = (now + request.seconds, request.rate)
            self._pace(tap, now)
            self.open = True
            self._opened.set()
        return {"source": request.source, "stage": request.stage, "seconds": request.seconds}

    def step(self, events: Sequence[Event], result: Result) -> None:
        """Takes one step of a lane: its events, verdicts left out, and what they came to."""
        try:
            self._step(events, result, self._monotonic())
        except Exception:  # who watches must never harm what is watched
            log.exception("a tap failed; all are ended")
            self._taps.clear()
            self._expire(self._monotonic())

    def dead(self, letter: DeadLetter) -> None:
        """Takes a dead letter that no step brought: of an adapter, or of the bus."""
        tap = self._taps.get((letter.source, "dead"))
        if tap is not None:
            self._show(tap, [letter], self._monotonic(), _dead)

    async def publish(self) -> None:
        """Sends what was sampled and ends leases that were not renewed, until it is cancelled."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(SEND_SECONDS)
            self._expire(self._monotonic())
            for (source, stage), tap in list(self._taps.items()):
                if tap.seen and self._bus.connected:
                    sample = TapSample(source=source, stage=stage, seen=tap.seen, rows=tap.rows)
                    tap.seen, tap.rows = 0, []
                    with contextlib.suppress(BusError):
                        await publish_sample(self._bus, sample)

    def _step(self, events: Sequence[Event], result: Result, now: float) -> None:
        for (source, stage), tap in self._taps.items():
            match stage:
                case "clean":
                    repeats = {id(event) for event in result.duplicates}
                    passed = [event for event in events if event.source == source and id(event) not in repeats]
                    self._show(tap, passed, now, lambda picked, name=source: self._cleaned(name, picked))  # type: ignore[misc]
                case "features":
                    self._show(tap, [row for row in result.clean if row.source == source], now, _features)
                case "scores":
                    pairs = zip(events, result.scores, strict=True)
                    judged = [(event, said) for event, said in pairs if event.source == source and said is not None]
                    self._show(tap, judged, now, lambda picked: _judged(picked, result.clean))
                case "dead":
                    self._show(tap, [letter for letter in result.dead if letter.source == source], now, _dead)

    def _show(self, tap: _Tap, items: Sequence[Any], now: float, rows: Callable[[Sequence[Any]], Iterable[TapRow]]) -> None:
        if items:
            tap.seen += len(items)
            picked = tap.pacer.take(now, items)
            tap.rows += list(rows(picked[: MOST_ROWS - len(tap.rows)]))

    def _cleaned(self, source: str, events: Sequence[Event]) -> Iterable[TapRow]:
        """Events as the universal step alone makes them; what came before them has no part in it."""
        settings = self._settings.source(source)
        if settings.steps:  # then what is watched is chosen behind them
            settings = settings.model_copy(update={"fields": [], "exclude": []})
        for event in events:
            row = Cleaner(source, settings).take(event)
            if isinstance(row, CleanEvent):
                yield from _features([row])
            elif isinstance(row, DeadLetter):
                yield TapRow(event_id=event.event_id, timestamp=row.timestamp, reason=row.reason)

    def _expire(self, now: float) -> None:
        for key, tap in list(self._taps.items()):
            tap.until = {client: lease for client, lease in tap.until.items() if lease[0] > now}
            if tap.until:
                self._pace(tap, now)
            else:
                del self._taps[key]
        self.open = bool(self._taps)
        if not self.open:
            self._opened.clear()

    @staticmethod
    def _pace(tap: _Tap, now: float) -> None:
        rate = max(rate for _, rate in tap.until.values())
        if rate != tap.rate:
            tap.rate, tap.pacer = rate, Pacer(rate, now)


def _features(rows: Sequence[CleanEvent]) -> Iterable[TapRow]:
    for row in rows:
        yield TapRow(event_id=row.event_id, timestamp=iso_from_us(row.time_us), entity=row.entity, fields=row.fields)


def _judged(pairs: Sequence[tuple[Event, Scores]], clean: Sequence[CleanEvent]) -> Iterable[TapRow]:
    """What the detectors said, an event; without the fields where the steps made other rows of it."""
    rows = {row.event_id: row for row in clean} if pairs else {}
    for event, scores in pairs:
        row = rows.get(event.event_id)
        yield TapRow(
            event_id=event.event_id,
            timestamp=event.timestamp if row is None else iso_from_us(row.time_us),
            entity="" if row is None else row.entity,
            scores={name: getattr(scores, name) for name in SCORES},
            fields={} if row is None else row.fields,
        )


def _dead(letters: Sequence[DeadLetter]) -> Iterable[TapRow]:
    for letter in letters:
        yield TapRow(
            event_id=letter.dead_id,
            timestamp=letter.timestamp,
            reason=f"{letter.stage}: {letter.reason}",
            original=letter.original[:SHOWN_BYTES].decode("utf-8", "replace"),
        )
