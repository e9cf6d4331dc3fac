"""Messages on their way: what waits for which target, when it is tried again, when it is given up. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from qraft.alerts.model import Notification
from qraft.config.duration import microseconds
from qraft.model import iso_from_us

RETRY_FIRST_US: Final = 2_000_000
RETRY_MOST_US: Final = 10 * 60_000_000
MAX_WAITING: Final = 1000
"""Messages that wait for one target, at most; beyond, the oldest but the first is given up."""
ERROR_LENGTH: Final = 500

Result = Literal["delivered", "failed", "refused", "given up"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        ok: whether the target took the message.
        status: HTTP status, 0 where there is none.
        error: why not, without secrets.
        retry: whether another attempt may succeed.
        retry_after: seconds the target asks to wait.
    """

    ok: bool
    status: int = 0
    error: str = ""
    retry: bool = True
    retry_after: float | None = None


class Delivery(msgspec.Struct, kw_only=True):
    """One message to one target. Times are UTC microseconds."""

    serial: int
    target: str
    notification: Notification
    created_us: int
    attempts: int = 0
    next_us: int = 0
    error: str = ""


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as it is kept in the table ``alert_deliveries``."""

    notification_id: str
    target: str
    attempt: int
    rule: str
    alert_id: str
    transition: str
    severity: str
    outcome: Result
    status: int
    error: str
    pattern_id: str
    created_us: int
    attempted_us: int


class OutboxState(msgspec.Struct):
    """All that an `Outbox` remembers."""

    serial: int = 0
    waiting: list[Delivery] = []


class Outbox:
    """What waits for each target, in the order in which it came. One target's trouble is no other's."""

    def __init__(self, state: OutboxState | None = None) -> None:
        self.state = state if state is not None else OutboxState()

    def __len__(self) -> int:
        return len(self.state.waiting)

    def targets(self) -> list[str]:
        """The targets something waits for."""
        return list(dict.fromkeys(delivery.target for delivery in self.state.waiting))

    def waiting(self, target: str) -> int:
        """How many messages wait for a target."""
        return sum(delivery.target == target for delivery in self.state.waiting)

    def add(self, notifications: Iterable[Notification], now_us: int) -> list[DeliveryRecord]:
        """Puts messages in line for each of their targets; records of those that had to be given up for them."""
        given_up: list[DeliveryRecord] = []
        for notification in notifications:
            for target in notification.to:
                self.state.serial += 1
                self.state.waiting.append(
                    Delivery(
                        serial=self.state.serial,
                        target=target,
                        notification=notification,
                        created_us=now_us,
                        next_us=now_us,
                    )
                )
                if self.waiting(target) > MAX_WAITING:
                    line = (one for one in self.state.waiting if one.target == target)
                    next(line)  # may be on its way at this moment
                    oldest = next(line)
                    given_up.append(self.give_up(oldest, now_us, f"more than {MAX_WAITING} messages wait for {target}"))
        return given_up

    def head(self, target: str) -> Delivery | None:
        """The first in a target's line: those behind wait for it, so that order holds."""
        return next((delivery for delivery in self.state.waiting if delivery.target == target), None)

    def done(self, delivery: Delivery, outcome: Outcome, now_us: int, retry_for: str, draw: float) -> DeliveryRecord:
        """Notes what came of an attempt; takes the message out of the line or says when it is tried again.

        Waiting grows twofold from two seconds to ten minutes, less a random share (``draw`` in [0, 1)) of up to a half. What
        the target asks for in ``Retry-After`` is kept. Nothing is tried again once that would be after ``retry_for``.
        """
        delivery.attempts += 1
        delivery.error = outcome.error
        if outcome.ok:
            self.state.waiting.remove(delivery)
            return record(delivery, "delivered", now_us, outcome)
        if not outcome.retry:
            self.state.waiting.remove(delivery)
            return record(delivery, "refused", now_us, outcome)
        wait = min(RETRY_FIRST_US * 2 ** min(delivery.attempts - 1, 20), RETRY_MOST_US)
        wait = round(wait * (1 - draw / 2))
        if outcome.retry_after is not None:
            wait = max(wait, round(outcome.retry_after * 1e6))
        delivery.next_us = now_us + wait
        if delivery.next_us > delivery.created_us + microseconds(retry_for):
            return self.give_up(delivery, now_us, outcome.error, outcome.status)
        return record(delivery, "failed", now_us, outcome)

    def give_up(self, delivery: Delivery, now_us: int, why: str, status: int = 0) -> DeliveryRecord:
        """Takes a message out of the line undelivered."""
        self.state.waiting.remove(delivery)
        return record(delivery, "given up", now_us, Outcome(ok=False, status=status, error=why))


def record(delivery: Delivery, result: Result, now_us: int, outcome: Outcome) -> DeliveryRecord:
    """What is kept of an attempt."""
    message = delivery.notification
    return DeliveryRecord(
        notification_id=message.notification_id,
        target=delivery.target,
        attempt=delivery.attempts,
        rule=message.rule,
        alert_id=message.alert_id,
        transition=message.transition,
        severity=message.severity,
        outcome=result,
        status=outcome.status,
        error=outcome.error[:ERROR_LENGTH],
        pattern_id=message.top.pattern_id if message.top is not None else "",
        created_us=delivery.created_us,
        attempted_us=now_us,
    )


def trial(target: str, now_us: int, identity: str) -> Notification:
    """A message that says of itself that it is a test."""
    return Notification(
        notification_id=identity,
        rule="",
        transition="test",
        severity="info",
        time=iso_from_us(now_us),
        to=[target],
    )
