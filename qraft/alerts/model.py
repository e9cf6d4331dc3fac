"""What alerts are made of: alerts that go on, what is held back of them, and the messages that are told."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from qraft.config.alerts import SEVERITIES, Severity
from qraft.model import Pattern, Scope, Struct

Transition = Literal["open", "severity", "close", "escalate", "digest", "test"]

RANK: Final[dict[str, int]] = {"": -1} | {name: rank for rank, name in enumerate(SEVERITIES)} | {"none": len(SEVERITIES)}
"""Severities in order; ``""`` is below, ``none`` above all of them."""

MEMBERS: Final = 128
"""Episodes of one alert that are known by themselves; further ones are counted by their findings alone."""
PATTERNS: Final = 128
"""Findings of one alert by which a verdict finds it: the latest, and the most confident one."""


class Dismissal(msgspec.Struct):
    """An episode that a verdict put aside: by which feedback, and when its latest finding arrived."""

    feedback_id: str
    touched_us: int


class Alert(msgspec.Struct, kw_only=True):
    """A run of findings of one rule and group that goes on. Changed by `qraft.alerts.rules` alone.

    Attributes:
        id: made of the rule and the first finding.
        rule: name of the rule.
        group: what its findings share, by name.
        to: targets that were told, or will be; escalation adds some.
        top: the finding of highest confidence.
        first_us: event time from which it goes, as far as is known; UTC microseconds, like all times here.
        last_us: event time of the latest finding.
        opened_us: when its first finding arrived.
        touched_us: when its latest finding arrived.
        n: findings.
        members: its episodes (source, entity, type, detector), each with the first and last event time.
        patterns: ids of its findings, each with the number of its episode in ``members``; -1 of one beyond those known.
        dismissed: episodes that a verdict called false or expected, by name: their further findings are not taken.
        severity: what it is now; it only rises.
        told: the severity told last, empty before it is told.
        told_us: when it was told first.
        acknowledged: id of the feedback that answered it, and the user.
        ended: why it is over though it is still known, such as a verdict; nothing more is told of it.
        escalated: how many steps of escalation were told.
    """

    id: str
    rule: str
    group: dict[str, str]
    to: list[str]
    top: Pattern
    first_us: int
    last_us: int
    opened_us: int
    touched_us: int
    n: int = 0
    members: dict[str, list[int]] = msgspec.field(default_factory=dict)
    patterns: dict[str, int] = msgspec.field(default_factory=dict)
    dismissed: dict[str, Dismissal] = msgspec.field(default_factory=dict)
    severity: Severity = "info"
    told: Severity | Literal[""] = ""
    told_us: int = 0
    acknowledged: str = ""
    acknowledged_by: str = ""
    ended: str = ""
    escalated: int = 0


class Held(msgspec.Struct, kw_only=True):
    """What is held back of one alert: as many transitions as happened, told in one line."""

    alert: str
    to: list[str]
    transitions: list[str]
    severity: Severity
    since_us: int
    where: str
    what: str
    reason: str = ""


class RuleState(msgspec.Struct):
    """What a rule remembers beside its alerts.

    Attributes:
        sent_us: when its latest messages were made, for the rate limit.
        held: what is held back, by alert.
        more: alerts held back beyond those in ``held``.
        left_out: findings that could not be followed since the last message.
    """

    sent_us: list[int] = []
    held: dict[str, Held] = {}
    more: int = 0
    left_out: int = 0


class Mute(Struct, frozen=True, gc=False):
    """A mute in force: what it covers, until when."""

    scope: Scope
    until_us: int


class HeldLine(Struct, frozen=True, gc=False):
    """One alert in a digest."""

    alert_id: str
    transitions: list[str]
    severity: str
    since: str
    where: str
    what: str
    reason: str = ""


class Notification(Struct, frozen=True, gc=False):
    """One message: the same id for the same rule, alert and transition, however often it is sent.

    Attributes:
        notification_id: what a receiver drops repeats by.
        transition: why it is told; ``escalate`` repeats an open alert to others, ``digest`` tells what was held back.
        time: when it was made; ISO 8601 in UTC, like all times here.
        alert_id: empty in a digest and a test.
        patterns: findings so far.
        episodes: episodes they belong to.
        began: event time from which it goes, as far as is known; ``last`` that of the latest finding.
        reason: why it is over.
        top: the finding of highest confidence.
        held: what a digest tells, ``held_count`` of how many alerts.
        left_out: findings that could not be followed, because too many alerts were open.
    """

    notification_id: str
    rule: str
    transition: Transition
    severity: str
    time: str
    to: list[str]
    alert_id: str = ""
    group: dict[str, str] = msgspec.field(default_factory=dict)
    patterns: int = 0
    episodes: int = 0
    began: str = ""
    last: str = ""
    reason: str = ""
    top: Pattern | None = None
    held: list[HeldLine] = msgspec.field(default_factory=list)
    held_count: int = 0
    left_out: int = 0
