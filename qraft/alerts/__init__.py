"""Alerts: which findings make one, when it is told, to whom, and the sending. The only package that imports apprise."""

from qraft.alerts.deliver import Sender, make_sender
from qraft.alerts.errors import TargetError
from qraft.alerts.model import Alert, Notification, Transition
from qraft.alerts.outbox import Delivery, DeliveryRecord, Outbox, OutboxState, Outcome, trial
from qraft.alerts.rules import Rules, RulesState

__all__ = [
    "Alert",
    "Delivery",
    "DeliveryRecord",
    "Notification",
    "Outbox",
    "OutboxState",
    "Outcome",
    "Rules",
    "RulesState",
    "Sender",
    "TargetError",
    "Transition",
    "make_sender",
    "trial",
]
