"""`qraft tap`: the events of a source as they pass, at any stage."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import enum
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, UserError, find_instance, load_settings

if TYPE_CHECKING:
    from qraft.bus import Bus, TapSample
    from qraft.config import NatsAddress, Settings
    from qraft.model import EngineStats

T = TypeVar("T")
Stage = Literal["raw", "clean", "features", "scores", "dead"]

LEASE_SECONDS: Final = 10.0
"""The engine shows events for so long without being asked again."""
RENEW_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 1.0
REMARK_SECONDS: Final = 10.0
"""How often this says what was not shown, or why nothing comes."""
ANSWER_SECONDS: Final = 2.0
_TICK: Final = b'"type":"qraft.tick"'
"""What marks a line that is no event of the source but the passing of its time (`qraft.model.TICK`)."""


def tap(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source to watch.")],
    *,
    stage: Annotated[
        Stage,
        typer.Option(
            help="raw: as published; clean: time, entity and numbers; features: after the preprocessing steps; "
            "scores: what the detectors say; dead: what could not be used."
        ),
    ] = "raw",
    rate: Annotated[float, typer.Option(min=0.1, max=1000, metavar="N", help="Show at most N events a second.")] = 10.0,
    seconds: Annotated[float | None, typer.Option(min=0.1, metavar="S", help="End by itself after S seconds.")] = None,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="End by itself after N events.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> int:
    """Shows a source's events live, at any stage.

    At most --rate a second; standard error says how many were not shown. Ctrl-C ends it.
    """
    settings = load_settings(config, data_dir)

    def find() -> NatsAddress:
        return find_instance(settings, data_dir, need=("nats",)).nats

    wanted = _Wanted(source, stage, rate, seconds, count, as_json)
    return asyncio.run(_Tap(wanted, settings, find).run())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the user asked for."""

    source: str
    stage: Stage
    rate: float
    seconds: float | None
    count: int | None
    as_json: bool


class _End(enum.Enum):
    """Why no more lines come over this connection: the user has enough, the engine refuses, the servers have moved."""

    DONE = "done"
    REFUSED = "refused"
    MOVED = "moved"


class _Tap:
    """One run of the command: what arrives goes through the pacer into a queue, from where it is printed."""

    def __init__(self, wanted: _Wanted, settings: Settings, find: Callable[[], NatsAddress]) -> None:
        from qraft.bus import Pacer
        from qraft.commands.tap_lines import Lines

        self._wanted, self._settings, self._find = wanted, settings, find
        self._client = uuid.uuid4().hex
        self._pacer = Pacer(wanted.rate, time.monotonic())
        self._lines = Lines(shutil.get_terminal_size().columns if sys.stdout.isatty() else 0)
        self._queue: asyncio.Queue[str | _End] = asyncio.Queue()
        self._left_out = 0
        self._shown = 0
        self._refusal = ""
        self._ending = False

    async def run(self) -> int:
        """Prints until the user has enough; the exit status.

        Raises:
            UserError: nothing runs, or the source is not known, or the engine refuses.
        """
        address, loop = self._find(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._queue.put_nowait, _End.DONE)
        if self._wanted.seconds is not None:
            loop.call_later(self._wanted.seconds, self._queue.put_nowait, _End.DONE)
        while (bus := await self._connect(address)) is not None:
            try:
                end = await self._over(bus)
            finally:
                self._ending = True
                await bus.close()
            if end is not _End.MOVED:
                break
            address, self._ending = self._find(), False
            _say(f"NATS is back, at {address.url}")
        if self._refusal:
            raise UserError(self._refusal)
        if self._left_out:
            _say(f"{self._left_out} events were not shown (--rate {self._wanted.rate:g})")
        return 0

    async def _over(self, bus: Bus) -> _End:
        """Prints what comes over one connection; why it ended."""
        from qraft.bus import watch_published, watch_tap

        await self._know(bus)
        if self._wanted.stage == "raw":
            await watch_published(bus, self._wanted.source, self._published)
        else:
            await watch_tap(bus, self._wanted.stage, self._wanted.source, self._sampled)
        helpers = [asyncio.create_task(work) for work in (self._ask(bus), self._remark(bus))]
        try:
            while self._wanted.count is None or self._shown < self._wanted.count:
                line = await self._queue.get()
                if isinstance(line, _End):
                    return line
                print(line, flush=True)
                self._shown += 1
            return _End.DONE
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def _published(self, data: bytes) -> None:
        lines = [line for line in data.splitlines() if line.strip() and _TICK not in line]
        self._put(lines, len(lines), self._line_of)

    def _sampled(self, sample: TapSample) -> None:
        from qraft.model import encode

        line = (lambda row: encode(row).decode()) if self._wanted.as_json else self._lines.sampled
        self._put(sample.rows, sample.seen, line)

    def _put(self, items: Sequence[T], seen: int, line: Callable[[T], str]) -> None:
        """Queues what may be shown; ``seen`` counts also what the engine left out."""
        passed = self._pacer.take(time.monotonic(), items)
        self._left_out += seen - len(passed)
        for item in passed:
            self._queue.put_nowait(line(item))

    def _line_of(self, line: bytes) -> str:
        from qraft.bus.codec import decode_message
        from qraft.bus.subjects import EVENTS, lane_subject
        from qraft.commands.tap_lines import as_json

        if self._wanted.as_json:
            return as_json(line)
        subject = lane_subject(0, EVENTS, self._wanted.source)
        item = next(decode_message(subject, line, sequence=0, arrived_us=time.time_ns() // 1000))
        return self._lines.published(item)  # type: ignore[arg-type]  # a line of events holds no verdict

    async def _connect(self, address: NatsAddress) -> Bus | None:
        """A connection, as long as it takes; None when the user ends it first."""
        from qraft.bus import Bus, BusUnavailable

        told = False
        while True:
            try:
                return await Bus.connect(address, name="tap", on_change=self._changed, timeout=ANSWER_SECONDS)
            except BusUnavailable as error:
                if not told:
                    _say(f"{error}; waiting")
                    told = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.get(), RETRY_SECONDS)
                return None
            with contextlib.suppress(UserError):
                address = self._find()

    def _changed(self, connected: bool) -> None:
        if not self._ending:
            _say("NATS is back" if connected else "NATS is away; waiting")

    async def _know(self, bus: Bus) -> None:
        """Checks that the source is known.

        Raises:
            UserError: neither the configuration nor the engine knows it.
        """
        stats = await _status(bus)
        sources, source = self._settings.sources, self._wanted.source
        names = {*sources, *(name for parent, own in sources.items() for name in own.feeds(parent))}
        names |= {one.source for one in stats.sources} if stats is not None else set()
        if source not in names:
            close = difflib.get_close_matches(source, sorted(names), 1, 0.5)
            hint = f'did you mean "{close[0]}"?' if close else f"known: {', '.join(sorted(names)) or 'none'}"
            where = "the engine" if stats is not None else "the configuration, and no engine answers"
            raise UserError(f'no source "{source}" is known to {where}; {hint}')

    async def _ask(self, bus: Bus) -> None:
        """Holds the engine to showing the stage, and says when it is away."""
        from qraft.bus import BusRejected, BusUnavailable

        away = False
        try:
            while True:
                if not bus.connected:
                    if self._has_moved(bus):
                        self._queue.put_nowait(_End.MOVED)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                try:
                    await self._request(bus, LEASE_SECONDS)
                except BusUnavailable:
                    if bus.connected and not away:
                        _say("no engine answers; waiting")
                        away = True
                except BusRejected as error:
                    self._refusal = str(error)
                    self._queue.put_nowait(_End.REFUSED)
                else:
                    if away:
                        _say("the engine is back")
                    away = False
                await asyncio.sleep(RETRY_SECONDS if away else RENEW_SECONDS)
        finally:
            if bus.connected:
                with contextlib.suppress(BusUnavailable, BusRejected):
                    await self._request(bus, 0)

    async def _request(self, bus: Bus, seconds: float) -> None:
        """Asks for the stage; what is published is there without asking, so that only shows whether the engine is."""
        from qraft.bus import TapRequest, ask_tap

        wanted = self._wanted
        if wanted.stage == "raw":
            await bus.request("status", timeout=ANSWER_SECONDS)
        else:
            request = TapRequest(
                client=self._client, source=wanted.source, stage=wanted.stage, rate=wanted.rate, seconds=seconds
            )
            await ask_tap(bus, request, timeout=ANSWER_SECONDS)

    def _has_moved(self, bus: Bus) -> bool:
        """Whether the servers were started anew elsewhere."""
        with contextlib.suppress(UserError):
            return self._find().url != bus.url
        return False

    async def _remark(self, bus: Bus) -> None:
        """Says from time to time what was not shown, and why nothing comes."""
        left_out, queued, said = self._left_out, 0, ""
        while True:
            await asyncio.sleep(REMARK_SECONDS)
            passed = self._shown + self._queue.qsize()
            if self._left_out > left_out:
                _say(f"{self._left_out - left_out} events not shown in the last {REMARK_SECONDS:.0f} s")
            elif passed == queued and bus.connected and (stats := await _status(bus)) is not None:
                why = _why_silent(stats, self._wanted)
                if why != said:
                    _say(why)
                said = why
            left_out, queued = self._left_out, passed


async def _status(bus: Bus) -> EngineStats | None:
    """What the engine says of itself, asked; None where none answers."""
    import msgspec

    from qraft.bus import BusError
    from qraft.model import EngineStats

    try:
        return msgspec.convert(await bus.request("status", timeout=ANSWER_SECONDS), EngineStats)
    except BusError:
        return None


def _why_silent(stats: EngineStats, wanted: _Wanted) -> str:
    if wanted.stage not in ("raw", "dead") and stats.level == "archive":
        return "nothing is judged at present: the engine is behind and only stores events"
    own = next((one for one in stats.sources if one.source == wanted.source), None)
    if own is not None and own.state not in ("running", "external"):
        return f"{wanted.source} is {own.state}{f': {own.detail}' if own.detail else ''}"
    return f"nothing came in the last {REMARK_SECONDS:.0f} s"


def _say(text: str) -> None:
    from qraft.commands.output import plain

    print(f"qraft: {plain(text)}", file=sys.stderr, flush=True)
