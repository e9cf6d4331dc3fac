"""Messages made of alerts. Ids follow from rule, alert and transition alone, so that repeats collapse at the receiver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qraft.alerts.model import RANK, Alert, Held, HeldLine, Notification, RuleState, Transition
from qraft.model import Pattern, derive_id, iso_from_us

LINES: Final = 50
"""Alerts of a digest that are told by themselves; the rest by number."""


def alert_message(alert: Alert, transition: Transition, now_us: int, *, reason: str = "", left_out: int = 0) -> Notification:
    """The message of one alert, as it stands."""
    step = {"severity": alert.severity, "escalate": str(alert.escalated)}.get(transition, "")
    return Notification(
        notification_id=derive_id("notification", alert.rule, alert.id, transition, step),
        rule=alert.rule,
        transition=transition,
        severity=alert.severity,
        time=iso_from_us(now_us),
        to=list(alert.to),
        alert_id=alert.id,
        group=dict(alert.group),
        patterns=alert.n,
        episodes=len(alert.members),
        began=_iso(alert.first_us),
        last=_iso(alert.last_us),
        reason=reason,
        top=alert.top,
        left_out=left_out,
    )


def held_of(alert: Alert, before: Held | None, transition: Transition, now_us: int, reason: str) -> Held:
    """What is held back of an alert once this has happened too."""
    transitions = [] if before is None else before.transitions
    return Held(
        alert=alert.id,
        to=list(alert.to),
        transitions=list(dict.fromkeys([*transitions, transition])),
        severity=alert.severity,
        since_us=now_us if before is None else before.since_us,
        where=where(alert.top),
        what=alert.top.summary or alert.top.kind or alert.top.type,
        reason=reason,
    )


def digest_message(
    rule: str, held: Sequence[Held], to: Sequence[str], now_us: int, state: RuleState, *, more: int | None = None
) -> Notification:
    """What was held back in one message; takes the numbers it tells out of ``state``."""
    counted = state.more if more is None else more
    state.more -= counted
    left_out, state.left_out = state.left_out, 0
    told = [f"{one.alert}:{','.join(one.transitions)}:{one.severity}" for one in held]
    worst = sorted(held, key=lambda one: -RANK[one.severity])
    return Notification(
        notification_id=derive_id("notification", rule, "digest", str(counted), *(told or [iso_from_us(now_us)])),
        rule=rule,
        transition="digest",
        severity=worst[0].severity if worst else "info",
        time=iso_from_us(now_us),
        to=list(dict.fromkeys([*to, *(name for one in held for name in one.to)])),
        held=[
            HeldLine(
                alert_id=one.alert,
                transitions=one.transitions,
                severity=one.severity,
                since=_iso(one.since_us),
                where=one.where,
                what=one.what,
                reason=one.reason,
            )
            for one in worst[:LINES]
        ],
        held_count=len(held) + counted,
        left_out=left_out,
    )


def where(pattern: Pattern) -> str:
    """``source/entity``, or the source alone."""
    return f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source


def _iso(time_us: int) -> str:
    try:
        return iso_from_us(time_us)
    except OverflowError:
        return ""
