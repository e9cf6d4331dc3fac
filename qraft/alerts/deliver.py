"""The way to a target: what every sender is, and the one a target's settings ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from qraft.alerts.errors import TargetError
from qraft.alerts.model import Notification
from qraft.alerts.outbox import Outcome
from qraft.config.alerts import AlertTarget


class Sender(Protocol):
    """Sends messages to one target."""

    async def send(self, message: Notification, link: str) -> Outcome:
        """One attempt. It raises nothing: what goes wrong is the outcome."""

    async def close(self) -> None:
        """Ends its connections."""


def make_sender(
    name: str, target: AlertTarget, timeout_seconds: float, environment: Mapping[str, str] = os.environ
) -> Sender:
    """The sender for a target.

    Raises:
        TargetError: a variable or file that it needs is not there, or what it holds is no URL.
    """
    url = target.url or secret(f"alerts.targets.{name}.url", target.url_env, target.url_file, environment)
    if target.kind == "apprise":
        from qraft.alerts.services import ServiceSender

        return ServiceSender(name, url, timeout_seconds)
    from qraft.alerts.webhook import WebhookSender

    key = ""
    if target.secret_env or target.secret_file:
        key = secret(f"alerts.targets.{name}.secret", target.secret_env, target.secret_file, environment)
    return WebhookSender(name, url, key, timeout_seconds, target.ca_file)


def secret(key: str, variable: str, file: str, environment: Mapping[str, str]) -> str:
    """What a variable or a file holds, without white space around it.

    Raises:
        TargetError: it is not there, or empty.
    """
    if variable:
        if not (value := environment.get(variable, "").strip()):
            raise TargetError(f"{key}_env: the environment variable {variable} is not set where the engine runs")
        return value
    try:
        value = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise TargetError(f"{key}_file: {file} cannot be read: {why}") from None
    if not value:
        raise TargetError(f"{key}_file: {file} is empty")
    return value
