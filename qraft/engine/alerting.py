"""Alerting in the engine: findings and verdicts go into the rules, messages come out and are delivered.

What the rules know, what waits to be sent and how far the stream was read are one state, kept before anything of it is sent.
So a kill at any instant sends each message at least once, a repeat under the same id. Without rules nothing of it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from qraft.alerts import Alert, DeliveryRecord, Notification, Outbox, OutboxState, Rules, RulesState
from qraft.bus import Bus, BusError, Gap, PatternStream, StreamPlace
from qraft.bus.alert_feed import AlertFeed
from qraft.config import Settings
from qraft.config.alerts import AlertsSettings
from qraft.engine.alert_delivery import AlertDelivery
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.model import Feedback, Pattern, iso_from_us
from qraft.store import LabelQuery, Store, StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

TICK_SECONDS: Final = 1.0
READ_SECONDS: Final = 5.0
SAVE_SECONDS: Final = 0.05
"""Between two saves, at least: what a burst changes is kept together."""
PLACE_SECONDS: Final = 5.0
"""How often the place in the stream alone is kept."""
RETRY_FIRST, RETRY_MOST = 0.2, 5.0
AGAIN_SECONDS: Final = 5.0
LOOK_BACK_US: Final = 24 * 3_600_000_000
"""How far back verdicts are looked for at the start."""
CATCH_UP_SECONDS: Final = 30.0
CATCH_UP_US: Final = 900_000_000
LABELS: Final = 1000
FINAL_SAVE_SECONDS: Final = 2.0


class _State(msgspec.Struct):
    """All that a restart goes on from."""

    place: str = ""
    rules: RulesState = msgspec.field(default_factory=RulesState)
    outbox: OutboxState = msgspec.field(default_factory=OutboxState)
    records: list[DeliveryRecord] = msgspec.field(default_factory=list)


_decode = msgspec.msgpack.Decoder(_State).decode


class Alerting:
    """The alerts of one engine."""

    def __init__(self, settings: Settings, bus: Bus, store: Store, notices: Notices, meters: Meters) -> None:
        """Nothing runs and nothing is asked yet."""
        self._settings: AlertsSettings = settings.alerts
        self._bus, self._store, self._notices, self._meters = bus, store, notices, meters
        self._feed = AlertFeed(bus)
        self._state = _State()
        self._rules: Rules | None = None
        self._outbox = Outbox()
        self._delivery = AlertDelivery(settings.alerts, store, notices, meters, self._touch)
        self._changed = asyncio.Event()
        self._dirty = asyncio.Event()
        self._over = asyncio.Event()
        self._heard: asyncio.Queue[Feedback] = asyncio.Queue()
        self._place: StreamPlace | None = None
        self._kept = ""

    async def run(self) -> None:
        """Works while there are rules, or messages of rules that are gone; until it is cancelled."""
        while True:
            self._changed.clear()
            try:
                if await self._begin():
                    await self._work()
                    await self._persist(self._feed.forget)
            except Exception:
                log.exception("alerting failed; it begins anew from what was kept")
                self._notices.say("", "alerts", f"alerting failed and begins anew in {AGAIN_SECONDS:.0f} s; see the log")
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            finally:
                self._rules = None
            if not self._settings.live:
                await self._changed.wait()

    def configure(self, settings: Settings) -> None:
        """Takes other rules and targets, at once."""
        before, self._settings = self._settings, settings.alerts
        self._delivery.configure(settings.alerts)
        if self._rules is not None and before != settings.alerts:
            self._tell(self._rules.configure(settings.alerts, self._meters.now_us()))
            self._touch()
        self._changed.set()

    @property
    def following(self) -> bool:
        """Whether findings are followed at this moment: those published from now on are seen, over restarts too."""
        return self._rules is not None and bool(self._kept)

    @property
    def open_alerts(self) -> list[Alert]:
        """The alerts that were told and are not over."""
        return [] if self._rules is None else [alert for alert in self._rules.alerts if alert.told and not alert.ended]

    async def report(self, _: dict[str, Any]) -> Any:
        """What goes on, for `qraft alerts list`: open alerts, what is held back by rule, what waits by target."""
        rules = self._rules
        return {
            "following": self.following,
            "alerts": [_shown(alert) for alert in self.open_alerts],
            "held": {} if rules is None else rules.held(),
            "waiting": [] if rules is None else self._delivery.waiting(),
        }

    async def _begin(self) -> bool:
        """Takes up what was kept; whether there is anything to do."""
        kept = await self._persist(self._feed.load)
        if kept is None and not self._settings.live:
            return False
        self._state = _State()
        if kept is not None:
            try:
                self._state = _decode(zlib.decompress(kept))
            except (msgspec.DecodeError, zlib.error) as error:
                log.error("what alerting kept cannot be read, it begins anew: %s", error)
        self._place, self._kept = StreamPlace.read(self._state.place), self._state.place
        self._outbox = Outbox(self._state.outbox)
        self._rules = Rules(self._settings, self._state.rules)
        gone = self._rules.configure(self._settings, self._meters.now_us())
        self._delivery.take(self._outbox, self._state.records)
        self._tell(gone)
        return True

    async def _work(self) -> None:
        """Until there is no rule left and nothing more to send."""
        self._over.clear()
        parts: list[Callable[[], Awaitable[None]]] = [self._read, self._tick, self._save, self._hear, self._catch_up]
        tasks = [asyncio.ensure_future(part()) for part in (*parts, self._delivery.run, self._delivery.record)]
        over = asyncio.ensure_future(self._over.wait())
        self._touch()
        try:
            done, _ = await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, over):
                task.cancel()
            await asyncio.gather(*tasks, over, return_exceptions=True)
            await self._feed.close()
            await self._delivery.close()
            if self._settings.live:
                with contextlib.suppress(BusError, TimeoutError):
                    async with asyncio.timeout(FINAL_SAVE_SECONDS):
                        await self._feed.save(zlib.compress(self._encoded(), 1))

    async def _read(self) -> None:
        """Findings, each once, from where the state left off; at the very first start those that come from now on."""
        stream = PatternStream(self._bus, self._place)
        try:
            await self._persist(stream.open)
            self._place = stream.place
            self._touch()
            while True:
                taken = await self._persist(lambda: stream.next(READ_SECONDS))
                now = self._meters.now_us()
                for one in taken:
                    if isinstance(one, Gap):
                        missing = "some" if one.missing is None else str(one.missing)
                        self._notices.say("", "alerts", f"{missing} findings left the stream before alerting saw them")
                    else:
                        self._step(one.pattern, now)
                self._place = stream.place
        finally:
            await stream.close()

    async def _tick(self) -> None:
        while True:
            self._step(None, self._meters.now_us())
            self._count()
            if not self._settings.live and not len(self._outbox) and not self._state.records:
                self._over.set()
            await asyncio.sleep(TICK_SECONDS)

    async def _hear(self) -> None:
        await self._persist(lambda: self._feed.listen(self._heard.put_nowait))
        while True:
            self._step(await self._heard.get(), self._meters.now_us())

    async def _catch_up(self) -> None:
        """Verdicts that were said while nobody listened: the store has them all in the end."""
        since = LOOK_BACK_US
        while True:
            now = self._meters.now_us()
            with contextlib.suppress(StoreError):
                said = await self._store.labels.recent(LabelQuery(since_us=now - since, limit=LABELS))
                for one in reversed(said):
                    if not one.undone:
                        self._step(one.feedback, now)
                for mute in await self._store.labels.mutes(now):
                    self._step(mute, now)
                since = CATCH_UP_US
            await asyncio.sleep(CATCH_UP_SECONDS)

    def _step(self, item: Pattern | Feedback | None, now_us: int) -> None:
        assert self._rules is not None, "works only with rules"
        self._tell(self._rules.step(item, now_us))
        if self._rules.changed:
            self._rules.changed = False
            self._touch()

    def _tell(self, messages: Sequence[Notification]) -> None:
        if not messages:
            return
        self._delivery.count(messages)
        for record in self._outbox.add(messages, self._meters.now_us()):
            self._delivery.note(record)
        self._touch()

    def _touch(self) -> None:
        self._dirty.set()

    async def _save(self) -> None:
        """Keeps the state whenever it changed; only then may what was added be sent."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PLACE_SECONDS):
                    await self._dirty.wait()
            if not self._dirty.is_set() and self._kept == str(self._place or ""):
                continue
            self._dirty.clear()
            begun, place, serial = self._meters.monotonic(), str(self._place or ""), self._outbox.state.serial
            encoded = await asyncio.to_thread(zlib.compress, self._encoded(), 1)
            await self._persist(lambda state=encoded: self._feed.save(state))  # type: ignore[misc]
            self._kept = place
            self._delivery.release(serial)
            await asyncio.sleep(max(SAVE_SECONDS, self._meters.monotonic() - begun))

    def _encoded(self) -> bytes:
        assert self._rules is not None, "works only with rules"
        self._state.place, self._state.rules = str(self._place or ""), self._rules.state()
        return msgspec.msgpack.encode(self._state)

    def _count(self) -> None:
        assert self._rules is not None, "works only with rules"
        told, tally = [alert.rule for alert in self.open_alerts], self._meters.tally
        for name, held in self._rules.held().items():
            tally.set("qraft_alerts_open", name, value=told.count(name))
            tally.set("qraft_alerts_held", name, value=held)
        for (name,) in tally.values("qraft_alerts_open"):
            if name not in self._settings.live:
                tally.set("qraft_alerts_open", name, value=0)
                tally.set("qraft_alerts_held", name, value=0)

    async def _persist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Does what must be done before alerting may go on, as often as it takes.

        A cancellation that `asyncio.wait_for` lost on the way (CPython issue 86296) is raised here.
        """
        delay, task = RETRY_FIRST, asyncio.current_task()
        while True:
            try:
                result = await act()
            except BusError as error:
                log.debug("alerting waits for NATS: %s", error)
                self._meters.wait("alerts", f"waiting for NATS: {error}")
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_MOST)
            else:
                if task is not None and task.cancelling():
                    raise asyncio.CancelledError
                self._meters.wait("alerts", "")
                return result


def _shown(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.id,
        "rule": alert.rule,
        "severity": alert.severity,
        "group": alert.group,
        "source": alert.top.source,
        "entity": alert.top.entity,
        "type": alert.top.type,
        "detector": alert.top.detector,
        "summary": alert.top.summary,
        "pattern_id": alert.top.pattern_id,
        "confidence": alert.top.details.confidence,
        "patterns": alert.n,
        "opened": iso_from_us(alert.opened_us),
        "touched": iso_from_us(alert.touched_us),
        "acknowledged_by": alert.acknowledged_by or ("somebody" if alert.acknowledged else ""),
        "escalated": alert.escalated,
    }
