"""What happens to one alert: it begins, takes findings, is answered. Pure."""

from __future__ import annotations

from qraft.alerts.match import Rule
from qraft.alerts.model import MEMBERS, PATTERNS, Alert, Dismissal
from qraft.model import Feedback, Pattern, Scope, derive_id, us_from_iso


def covers(scope: Scope, pattern: Pattern) -> bool:
    """Whether a mute of this scope covers a finding."""
    return all(
        not wanted or wanted == has
        for wanted, has in (
            (scope.source, pattern.source),
            (scope.entity, pattern.entity),
            (scope.type, pattern.type),
            (scope.detector, pattern.detector),
        )
    )


def begun(rule: Rule, group: dict[str, str], pattern: Pattern, now: int) -> Alert:
    """The alert that a finding opens; it has not taken the finding yet."""
    began = _began_us(pattern, now)
    return Alert(
        id=derive_id("alert", rule.name, pattern.pattern_id),
        rule=rule.name,
        group=group,
        to=list(rule.settings.to),
        top=pattern,
        first_us=began,
        last_us=began,
        opened_us=now,
        touched_us=now,
    )


def episode(pattern: Pattern) -> str:
    """The name of a finding's episode, as the terminal folds them: source, entity, type and detector."""
    return "\x1f".join((pattern.source, pattern.entity, pattern.type, pattern.detector))


def latest(alert: Alert) -> int:
    """When the latest finding of an alert arrived, those put aside among them."""
    return max(alert.touched_us, *(one.touched_us for one in alert.dismissed.values()), 0)


def dismiss(alert: Alert, feedback: Feedback) -> bool:
    """Puts aside the episode of the finding that was judged; whether all of the alert's now are."""
    names, number = list(alert.members), alert.patterns[feedback.pattern_id]
    if number >= 0:
        alert.dismissed[names[number]] = Dismissal(feedback.feedback_id, alert.touched_us)
    return len(names) < MEMBERS and all(name in alert.dismissed for name in names)


def absorb(alert: Alert, name: str, pattern: Pattern, now: int) -> None:
    """Takes a finding of the episode ``name``, which arrived at ``now``."""
    time_us, began = _time_us(pattern.timestamp, now), _began_us(pattern, now)
    alert.n += 1
    alert.touched_us = now
    alert.first_us, alert.last_us = min(alert.first_us, began), max(alert.last_us, time_us)
    if (member := alert.members.get(name)) is not None:
        member[0], member[1] = min(member[0], began), max(member[1], time_us)
    elif len(alert.members) < MEMBERS:
        alert.members[name] = [began, time_us]
    if pattern.details.confidence > alert.top.details.confidence:
        alert.top = pattern
    alert.patterns[pattern.pattern_id] = list(alert.members).index(name) if name in alert.members else -1
    if len(alert.patterns) > PATTERNS:
        oldest = iter(alert.patterns)
        first = next(oldest)
        del alert.patterns[first if first != alert.top.pattern_id else next(oldest)]


def mark_told(alert: Alert, now: int) -> None:
    """Notes that people know of the alert as it is."""
    if not alert.told:
        alert.told_us = now
    alert.told = alert.severity


def _began_us(pattern: Pattern, otherwise: int) -> int:
    time_us = _time_us(pattern.timestamp, otherwise)
    return min(time_us, _time_us(pattern.began, time_us)) if pattern.began else time_us


def _time_us(text: str, otherwise: int) -> int:
    try:
        return us_from_iso(text)
    except ValueError:
        return otherwise
