"""Sends what alerting has to say: each target has a line of its own, tried again as the outbox says; all is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

import msgspec

from qraft.alerts import DeliveryRecord, Notification, Outbox, Outcome, Sender, TargetError, make_sender
from qraft.alerts.outbox import Result
from qraft.config.alerts import AlertsSettings, AlertTarget
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.model import iso_from_us
from qraft.store import Store, StoredDelivery, StoreError

log = logging.getLogger(__name__)

RECORDS_AT_ONCE: Final = 500
RECORDS: Final = 10_000
"""Attempts that wait to be recorded while ClickHouse is away, at most; beyond, the oldest are only logged."""
RETRY_FIRST, RETRY_MOST = 0.5, 30.0


class AlertDelivery:
    """The way out of one engine's alerts."""

    def __init__(
        self, settings: AlertsSettings, store: Store, notices: Notices, meters: Meters, touched: Callable[[], None]
    ) -> None:
        """Nothing is sent yet; ``touched`` is told when the outbox or the records changed."""
        self._settings, self._touched = settings, touched
        self._store, self._notices, self._meters = store, notices, meters
        self._outbox = Outbox()
        self._records: list[DeliveryRecord] = []
        self._lines: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._senders: dict[str, tuple[AlertTarget, float, Sender]] = {}
        self._released = 0
        self._stirred, self._recorded = asyncio.Event(), asyncio.Event()
        self._random = random.Random()
        self._begin_counts()

    def take(self, outbox: Outbox, records: list[DeliveryRecord]) -> None:
        """What is to be sent and recorded; it stays the caller's to keep."""
        self._outbox, self._records, self._released = outbox, records, 0

    def configure(self, settings: AlertsSettings) -> None:
        """Takes other targets; what waits is looked at again."""
        self._settings = settings
        self._begin_counts()
        self._stirred.set()

    def _begin_counts(self) -> None:
        """Lets the counts of each target begin at 0: Prometheus takes no increase from what appears with its first count."""
        for target in self._settings.targets:
            for result in get_args(Result):
                self._meters.tally.count("qraft_alerts_deliveries_total", target, result, by=0)

    def release(self, serial: int) -> None:
        """What was put into the outbox up to ``serial`` is kept safely and may be sent."""
        self._released = serial
        self._stirred.set()

    def count(self, messages: Sequence[Notification]) -> None:
        """Counts messages that were made."""
        for message in messages:
            self._meters.tally.count("qraft_alerts_messages_total", message.rule, message.transition)
            log.info("alert of rule %s: %s %s", message.rule, message.transition, message.alert_id)

    def waiting(self) -> list[dict[str, Any]]:
        """What waits, by target, with what went wrong last and when it is tried again."""
        shown: list[dict[str, Any]] = []
        for target in self._outbox.targets():
            if (head := self._outbox.head(target)) is not None:
                line = {"target": target, "messages": self._outbox.waiting(target), "attempts": head.attempts}
                shown.append({**line, "error": head.error, "next": iso_from_us(head.next_us)})
        return shown

    async def run(self) -> None:
        """Sends until it is cancelled: no target waits for another."""
        try:
            while True:
                await self._stirred.wait()
                self._stirred.clear()
                for target in self._outbox.targets():
                    if target not in self._lines:
                        stirred = asyncio.Event()
                        task = asyncio.create_task(self._line(target, stirred), name=f"alerts to {target}")
                        self._lines[target] = task, stirred
                for target, (task, stirred) in self._lines.items():
                    if task.done():
                        task.result()
                    stirred.set()
                    self._meters.tally.set("qraft_alerts_waiting", target, value=self._outbox.waiting(target))
        finally:
            tasks = [task for task, _ in self._lines.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._lines.clear()

    async def close(self) -> None:
        """Ends the connections."""
        for target in list(self._senders):
            await self._drop(target)

    async def _line(self, target: str, stirred: asyncio.Event) -> None:
        """One target: its messages in order, the next one only when the one before is through or given up."""
        while True:
            stirred.clear()
            head = self._outbox.head(target)
            if head is None or head.serial > self._released:
                await stirred.wait()
                continue
            if (wait := (head.next_us - self._meters.now_us()) / 1e6) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await stirred.wait()
                continue
            if target not in self._settings.targets:
                record = self._outbox.give_up(head, self._meters.now_us(), "the target is no longer configured")
            else:
                outcome = await self._attempt(target, head.notification)
                if not outcome.ok:
                    await self._drop(target)  # its file or its connection may be another by the next time
                now = self._meters.now_us()
                record = self._outbox.done(head, outcome, now, self._settings.retry_for, self._random.random())
            self.note(record)
            self._meters.tally.set("qraft_alerts_waiting", target, value=self._outbox.waiting(target))

    async def _attempt(self, target: str, message: Notification) -> Outcome:
        try:
            sender = await self._sender(target)
        except TargetError as error:
            return Outcome(ok=False, error=str(error))
        return await sender.send(message, self._settings.link)

    async def _sender(self, target: str) -> Sender:
        settings, timeout = self._settings.targets[target], self._settings.timeout_seconds
        known = self._senders.get(target)
        if known is not None and known[:2] == (settings, timeout):
            return known[2]
        await self._drop(target)
        sender = await asyncio.to_thread(make_sender, target, settings, timeout)  # it imports what takes a second
        self._senders[target] = settings, timeout, sender
        return sender

    async def _drop(self, target: str) -> None:
        if (known := self._senders.pop(target, None)) is not None:
            await known[2].close()

    def note(self, record: DeliveryRecord) -> None:
        """Counts an attempt or a giving up, tells operators of what is lost, and puts it in line to be recorded."""
        tally, what = self._meters.tally, f"the message {record.transition} of rule {record.rule} to {record.target}"
        tally.count("qraft_alerts_deliveries_total", record.target, record.outcome)
        if record.outcome == "delivered":
            tally.observe("qraft_alerts_delivery_seconds", (record.attempted_us - record.created_us) / 1e6)
        elif record.outcome == "failed":
            log.warning("%s is tried again: %s", what, record.error)
        else:
            why = "was refused" if record.outcome == "refused" else f"was given up after {record.attempt} attempts"
            self._notices.say("", "alerts", f"{what} {why}: {record.error}")
        self._records.append(record)
        if len(self._records) > RECORDS:
            log.warning("not recorded, ClickHouse is away too long: %s", self._records.pop(0))
        self._recorded.set()
        self._touched()

    async def record(self) -> None:
        """Stores each attempt in ClickHouse, until it is cancelled."""
        delay = RETRY_FIRST
        self._recorded.set()
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            while batch := self._records[:RECORDS_AT_ONCE]:
                try:
                    await self._store.deliveries.write([StoredDelivery(**msgspec.structs.asdict(one)) for one in batch])
                except StoreError as error:
                    log.log(logging.WARNING if delay == RETRY_FIRST else logging.DEBUG, "deliveries not recorded: %s", error)
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, RETRY_MOST)
                else:
                    delay = RETRY_FIRST
                    stored = {id(one) for one in batch}
                    self._records[:] = [one for one in self._records if id(one) not in stored]
                    self._touched()
