"""The rules as a state machine: findings, verdicts and time go in, messages come out. Pure: no clock, no I/O.

What holds, whatever goes in:

- An alert is opened once, however often its findings come again and however often the state is restored in between.
- A severity is told once and only rises; a close is told once, and only of what was told open.
- No more messages of a rule than its limit allows; what is held back is told in a digest, by number where it is too much.
- Nothing is told in quiet hours but what passes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from qraft.alerts.alert import absorb, begun, covers, dismiss, episode, latest, mark_told
from qraft.alerts.match import Rule
from qraft.alerts.messages import alert_message, digest_message, held_of
from qraft.alerts.model import RANK, Alert, Dismissal, Mute, Notification, RuleState, Transition
from qraft.config.alerts import AlertsSettings
from qraft.model import Feedback, Pattern, us_from_iso

MAX_OPEN: Final = 1000
"""Alerts that are followed at once; findings that would open more are counted and told by number."""
MAX_HELD: Final = 500
"""Alerts of one rule never told that are held back by themselves; further ones are told by number."""
SEEN: Final = 4096
"""Latest findings that matched a rule: a repeat of one of them changes nothing."""
HEARD: Final = 1024
"""Latest feedback: a repeat of it changes nothing."""

_CLOSING: Final = frozenset(("false_positive", "expected"))
_ANSWERS: Final = frozenset(("confirmed", "new_normal", *_CLOSING))
_COUNTED: Final = "counted"
_SILENT: Final = "nothing more was found"

Item = Pattern | Feedback | None


class RulesState(msgspec.Struct):
    """All that `Rules` remembers. ``alerts`` by rule and group."""

    now_us: int = 0
    alerts: dict[str, Alert] = {}
    rules: dict[str, RuleState] = {}
    mutes: dict[str, Mute] = {}
    seen: list[str] = []
    heard: list[str] = []


class Rules:
    """Every rule in force, and the alerts that go on."""

    def __init__(self, settings: AlertsSettings, state: RulesState | None = None) -> None:
        """The rules of ``settings``, going on from ``state`` where there is one."""
        self._state = state if state is not None else RulesState()
        self._seen = set(self._state.seen)
        self._seen_order = deque(self._state.seen)
        self._heard = dict.fromkeys(self._state.heard)
        self._rules: dict[str, Rule] = {}
        self._compile(settings)
        self.changed = False
        """Whether a step since this was last set to False changed what a restart must know."""

    @property
    def alerts(self) -> Iterable[Alert]:
        """The alerts that go on, the oldest first."""
        return self._state.alerts.values()

    def held(self) -> dict[str, int]:
        """How many alerts each rule holds back."""
        return {name: len(self._rule(name).held) + self._rule(name).more for name in self._rules}

    def state(self) -> RulesState:
        """What `Rules` goes on from after a restart; to be encoded before the next step."""
        self._state.seen, self._state.heard = list(self._seen_order), list(self._heard)
        return self._state

    def configure(self, settings: AlertsSettings, now_us: int) -> list[Notification]:
        """Takes other rules; alerts of a rule that is gone are closed, what it held back is told."""
        now = self._pass(now_us)
        gone = ({alert.rule for alert in self.alerts} | self._state.rules.keys()) - settings.live.keys()
        told: list[Notification] = []
        for key, alert in list(self._state.alerts.items()):
            if alert.rule in gone:
                del self._state.alerts[key]
                if alert.told and not alert.ended:
                    told.append(alert_message(alert, "close", now, reason="its rule is no longer in force"))
        for name in gone:
            state = self._state.rules.pop(name, RuleState())
            if state.held or state.more:
                to = self._rules[name].settings.to if name in self._rules else []
                told.append(digest_message(name, list(state.held.values()), to, now, state))
        self._compile(settings)
        self.changed = True
        return told

    def step(self, item: Item, now_us: int) -> list[Notification]:
        """Takes a finding, what an operator said, or None for time that passes; what is to be told of it.

        ``now_us`` is UTC microseconds of wall time (of a finding: when it arrived); where it goes back, time stands still.
        """
        now = self._pass(now_us)
        if isinstance(item, Pattern):
            return self._pattern(item, now)
        if isinstance(item, Feedback):
            return self._feedback(item, now)
        return self._tick(now)

    def _compile(self, settings: AlertsSettings) -> None:
        self._rules = {name: Rule(name, rule, settings) for name, rule in settings.live.items()}

    def _pass(self, now_us: int) -> int:
        self._state.now_us = max(self._state.now_us, now_us)
        return self._state.now_us

    def _rule(self, name: str) -> RuleState:
        return self._state.rules.setdefault(name, RuleState())

    def _pattern(self, pattern: Pattern, now: int) -> list[Notification]:
        if pattern.pattern_id in self._seen:
            return []
        rules = [rule for rule in self._rules.values() if rule.matches(pattern)]
        if not rules:
            return []
        self._remember(pattern.pattern_id)
        if any(mute.until_us > now and covers(mute.scope, pattern) for mute in self._state.mutes.values()):
            return []
        return [message for rule in rules for message in self._match(rule, pattern, now)]

    def _remember(self, pattern_id: str) -> None:
        self.changed = True
        self._seen.add(pattern_id)
        self._seen_order.append(pattern_id)
        if len(self._seen_order) > SEEN:
            self._seen.discard(self._seen_order.popleft())

    def _match(self, rule: Rule, pattern: Pattern, now: int) -> list[Notification]:
        group, name = rule.group(pattern), episode(pattern)
        key = "\x1f".join((rule.name, *group.values()))
        told: list[Notification] = []
        alert = self._state.alerts.get(key)
        if alert is not None and now - latest(alert) > rule.close_us:
            told = self._close(key, alert, rule, now, "")
            alert = None
        if alert is not None and (put_aside := alert.dismissed.get(name)) is not None:
            if now - put_aside.touched_us <= rule.close_us:
                put_aside.touched_us = now
                return told
            del alert.dismissed[name]
        dismissed: dict[str, Dismissal] = {}
        if alert is not None and alert.ended and alert.ended != _COUNTED:
            dismissed, alert = alert.dismissed, None  # another episode than those that are over
        if alert is None:
            if key not in self._state.alerts and len(self._state.alerts) >= MAX_OPEN:
                self._rule(rule.name).left_out += 1
                return told
            alert = self._state.alerts[key] = begun(rule, group, pattern, now)
            alert.dismissed = dismissed
        absorb(alert, name, pattern, now)
        alert.severity = max(alert.severity, rule.severity(alert.top.details.confidence), key=RANK.__getitem__)
        return told + self._due(rule, alert, now)

    def _due(self, rule: Rule, alert: Alert, now: int) -> list[Notification]:
        """The open or the rise of severity that is to be told of an alert by now."""
        if alert.ended:
            return []
        if not alert.told:
            lasted = max((last - first for first, last in alert.members.values()), default=0)
            return self._tell(rule, alert, "open", now) if lasted >= rule.lasts_us else []
        return self._tell(rule, alert, "severity", now) if RANK[alert.severity] > RANK[alert.told] else []

    def _tell(self, rule: Rule, alert: Alert, transition: Transition, now: int, reason: str = "") -> list[Notification]:
        """A message now, or later in a digest. Where others wait already, or its own opening does, it joins them."""
        state = self._rule(rule.name)
        quiet = rule.quiet(now)
        others = any(held.alert != alert.id for held in state.held.values())
        unsaid = alert.id in state.held and transition == "close"
        if rule.passes(alert.severity, now) and (quiet or not others) and not unsaid and self._room(rule, now):
            state.held.pop(alert.id, None)
            return [self._message(rule, alert, transition, now, reason)]
        self._hold(alert, transition, now, reason)
        return []  # it is told as time passes

    def _message(self, rule: Rule, alert: Alert, transition: Transition, now: int, reason: str = "") -> Notification:
        state = self._rule(rule.name)
        state.sent_us.append(now)
        left_out, state.left_out = state.left_out, 0
        mark_told(alert, now)
        return alert_message(alert, transition, now, reason=reason, left_out=left_out)

    def _hold(self, alert: Alert, transition: Transition, now: int, reason: str) -> None:
        state = self._rule(alert.rule)
        held = state.held.get(alert.id)
        if held is None and not alert.told and len(state.held) >= MAX_HELD:
            state.more += 1
            alert.ended = _COUNTED
            return
        state.held[alert.id] = held_of(alert, held, transition, now, reason)

    def _room(self, rule: Rule, now: int) -> bool:
        if rule.limit is None:
            self._rule(rule.name).sent_us.clear()
            return True
        most, length = rule.limit
        sent = self._rule(rule.name).sent_us
        while sent and sent[0] <= now - length:
            del sent[0]
        return len(sent) < most

    def _release(self, rule: Rule, now: int) -> list[Notification]:
        """What is held back and may be told by now, as one message."""
        state = self._rule(rule.name)
        if not self._room(rule, now):
            return []
        least = RANK[rule.settings.quiet_passes] if rule.quiet(now) else RANK[""]
        free = [held for held in state.held.values() if RANK[held.severity] >= least]
        more = state.more if least == RANK[""] else 0
        if not free and not more:
            return []
        alerts = {alert.id: alert for alert in self._state.alerts.values() if alert.rule == rule.name}
        for held in free:
            del state.held[held.alert]
        if len(free) == 1 and not more and (alert := alerts.get(free[0].alert)) and "close" not in free[0].transitions:
            return [self._message(rule, alert, "open" if not alert.told else "severity", now)]
        for held in free:
            if (alert := alerts.get(held.alert)) is not None:
                mark_told(alert, now)
        state.sent_us.append(now)
        return [digest_message(rule.name, free, rule.settings.to, now, state, more=more)]

    def _close(self, key: str, alert: Alert, rule: Rule, now: int, reason: str) -> list[Notification]:
        """Ends an alert. It stays known while findings come that a verdict put aside, so that they open no other."""
        ended, told = alert.ended, bool(alert.told) or alert.id in self._rule(rule.name).held
        alert.ended = ended or reason or _SILENT
        if now - latest(alert) > rule.close_us:
            del self._state.alerts[key]
        return self._tell(rule, alert, "close", now, alert.ended) if told and not ended else []

    def _tick(self, now: int) -> list[Notification]:
        told: list[Notification] = []
        for key, alert in list(self._state.alerts.items()):
            rule = self._rules.get(alert.rule)
            if rule is None:
                del self._state.alerts[key]  # of a configuration before the restart
            elif now - (latest(alert) if alert.ended else alert.touched_us) > rule.close_us:
                told += self._close(key, alert, rule, now, "")
            else:
                told += self._escalate(rule, alert, now)
        for rule in self._rules.values():
            if self._rule(rule.name).held or self._rule(rule.name).more:
                told += self._release(rule, now)
        for feedback_id in [one for one, mute in self._state.mutes.items() if mute.until_us <= now]:
            del self._state.mutes[feedback_id]
        return told

    def _escalate(self, rule: Rule, alert: Alert, now: int) -> list[Notification]:
        if not alert.told or alert.ended or alert.acknowledged or alert.escalated >= len(rule.escalation):
            return []
        after_us, to = rule.escalation[alert.escalated]
        if now - alert.told_us < after_us or not rule.passes(alert.severity, now) or not self._room(rule, now):
            return []
        alert.escalated += 1
        message = self._message(rule, alert, "escalate", now)
        alert.to = list(dict.fromkeys([*alert.to, *to]))
        return [msgspec.structs.replace(message, to=to)]

    def _feedback(self, feedback: Feedback, now: int) -> list[Notification]:
        if feedback.feedback_id in self._heard:
            return []
        if feedback.verdict == "undo":
            self._hear(feedback.feedback_id)
            return self._undo(feedback.undoes)
        if feedback.verdict == "mute":
            self._hear(feedback.feedback_id)
            return self._mute(feedback, now)
        return self._answer(feedback, now) if feedback.verdict in _ANSWERS else []

    def _hear(self, feedback_id: str) -> None:
        self.changed = True
        self._heard[feedback_id] = None
        if len(self._heard) > HEARD:
            del self._heard[next(iter(self._heard))]

    def _answer(self, feedback: Feedback, now: int) -> list[Notification]:
        """A verdict; one that comes before its finding is not taken for heard, so that it may be said again.

        It answers the alert; one that puts an episode aside closes the alert once all of its episodes are.
        """
        told: list[Notification] = []
        for key, alert in list(self._state.alerts.items()):
            if feedback.pattern_id not in alert.patterns or alert.ended:
                continue
            self._hear(feedback.feedback_id)
            alert.acknowledged, alert.acknowledged_by = feedback.feedback_id, feedback.user
            if feedback.verdict in _CLOSING and dismiss(alert, feedback):
                rule = self._rules[alert.rule]
                said = feedback.verdict.replace("_", " ")
                reason = f"{feedback.user} called it {said}" if feedback.user else f"it was called {said}"
                told += self._close(key, alert, rule, now, reason)
        return told

    def _mute(self, feedback: Feedback, now: int) -> list[Notification]:
        try:
            until_us = us_from_iso(feedback.until)
        except ValueError:
            return []
        if feedback.scope is None or until_us <= now:
            return []
        self._state.mutes[feedback.feedback_id] = Mute(scope=feedback.scope, until_us=until_us)
        for alert in self._state.alerts.values():
            if covers(feedback.scope, alert.top) and not alert.acknowledged:
                alert.acknowledged, alert.acknowledged_by = feedback.feedback_id, feedback.user
        return []

    def _undo(self, feedback_id: str) -> list[Notification]:
        """What was taken back answers nothing any more; an alert it closed may open again with the next finding."""
        self._hear(feedback_id)
        self._state.mutes.pop(feedback_id, None)
        for key, alert in list(self._state.alerts.items()):
            if alert.acknowledged == feedback_id:
                alert.acknowledged = alert.acknowledged_by = ""
            for name in [name for name, one in alert.dismissed.items() if one.feedback_id == feedback_id]:
                del alert.dismissed[name]
                if alert.ended and not alert.dismissed:
                    del self._state.alerts[key]
        return []
