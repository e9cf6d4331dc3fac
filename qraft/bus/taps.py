"""What a tap carries: samples of a source's events at a stage of the engine, while somebody asks for them.

Who wants to see asks the control service for a lease (`TapRequest` on ``qraft.ctl.tap``), renews it before it ends, and
listens on ``qraft.tap.<stage>.<source>``. What has come off the wire is sampled there, by `Pacer`, never queued: whoever is
slow or gone costs the engine nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.config.base import SOURCE_NAME
from qraft.model import Struct, encode

TapStage = Literal["clean", "features", "scores", "dead"]
"""The stages that the engine shows; what was published stands on the source's own subject."""

MOST_RATE: Final = 1000.0
"""Events a second that may be asked for."""
MOST_SECONDS: Final = 60.0
"""How long a lease may be."""
MESSAGE_BYTES: Final = 256 * 1024
"""A message ends at the row that takes it beyond this."""

T = TypeVar("T")


class TapRequest(Struct, frozen=True):
    """Asks to see a stage of a source for ``seconds`` from now; the same ``client`` again renews, 0 seconds end it."""

    client: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    source: Annotated[str, msgspec.Meta(pattern=SOURCE_NAME)]
    stage: TapStage
    rate: Annotated[float, msgspec.Meta(gt=0, le=MOST_RATE)]
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST_SECONDS)]


class TapRow(Struct, frozen=True, omit_defaults=True):
    """One event as it is at a stage; ``timestamp`` is event time. ``reason`` says why an event cannot be used."""

    event_id: str
    timestamp: str
    entity: str = ""
    scores: dict[str, float] = msgspec.field(default_factory=dict)
    fields: dict[str, float] = msgspec.field(default_factory=dict)
    reason: str = ""
    original: str = ""


class TapSample(Struct, frozen=True):
    """Some of the events that passed a stage since the sample before; ``seen`` counts them all."""

    source: str
    stage: TapStage
    seen: int
    rows: list[TapRow]


_decode_sample = msgspec.json.Decoder(TapSample).decode


class Pacer:
    """Lets through at most ``rate`` events in any second, a burst after a calm as readily as an even flow.

    It reads no clock: it is told the time (monotonic seconds) when it is made and each time something comes.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1, int(rate))
        self._window = self._most / rate
        self._passed: deque[float] = deque()
        self._saved = 1.0
        self._last = now

    def take(self, now: float, items: Sequence[T]) -> Sequence[T]:
        """Those of ``items`` that go through at ``now``, spread evenly over them.

        While more comes than goes through nothing is saved up, so that what is seen is spread over time as well.
        """
        self._saved = min(self._most, self._saved + (now - self._last) * self._rate)
        self._last = now
        while self._passed and self._passed[0] <= now - self._window:
            self._passed.popleft()
        number = min(len(items), int(self._saved), self._most - len(self._passed))
        self._passed.extend([now] * number)
        self._saved -= number
        if number < len(items):
            self._saved = min(self._saved, 1.0)
        return items if number == len(items) else [items[i * len(items) // number] for i in range(number)]


async def publish_sample(bus: Bus, sample: TapSample) -> None:
    """Shows a sample to whoever listens, in several messages where it is large.

    Raises:
        BusUnavailable: no connection.
    """
    subject, seen, rows = subjects.tap_subject(sample.stage, sample.source), sample.seen, sample.rows
    async with translated():
        while True:
            size, end = 0, 0
            while end < len(rows) and size < MESSAGE_BYTES:
                size += len(encode(rows[end]))
                end += 1
            await bus.client.publish(
                subject, encode(TapSample(source=sample.source, stage=sample.stage, seen=seen, rows=rows[:end]))
            )
            rows, seen = rows[end:], 0
            if not rows:
                return


async def watch_tap(bus: Bus, stage: TapStage, source: str, handle: Callable[[TapSample], None]) -> None:
    """Hands every sample of a stage of a source to ``handle``, on the event loop; see `ask_tap`."""
    await bus.watch_messages(subjects.tap_subject(stage, source), lambda data: handle(_decode_sample(data)))


async def watch_published(bus: Bus, source: str, handle: Callable[[bytes], None]) -> None:
    """Hands every message of events published for ``source`` to ``handle``: NDJSON, as it came, beside the stream."""
    await bus.watch_messages(subjects.events_subject(source), handle)


async def ask_tap(bus: Bus, request: TapRequest, timeout: float) -> Any:
    """Opens, renews or ends a lease.

    Raises:
        BusUnavailable: no engine answers.
        BusRejected: the engine refuses, in its own words.
    """
    return await bus.request("tap", msgspec.to_builtins(request), timeout)
