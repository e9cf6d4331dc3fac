"""Signed JSON by POST, as the Standard Webhooks specification has it (https://www.standardwebhooks.com, version 1).

The header ``webhook-id`` is the message's id, ``webhook-timestamp`` the seconds since 1970 of this attempt, and
``webhook-signature`` ``v1,`` and the base64 of the HMAC-SHA256 over ``id.timestamp.body``. A receiver checks the signature
and the time, and drops ids it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec

import qraft
from qraft.alerts.errors import TargetError
from qraft.alerts.model import Notification
from qraft.alerts.outbox import Outcome
from qraft.alerts.text import payload

_LATER: Final = frozenset((408, 425, 429))
"""Refusals that another attempt may not meet (RFC 9110, RFC 6585, RFC 8470)."""
_PREFIX: Final = "whsec_"


# At INFO httpx logs each address, at DEBUG httpcore more: both may hold a key.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    digest = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """The bytes of a secret: base64 behind ``whsec_``, otherwise the text itself.

    Raises:
        ValueError: what follows ``whsec_`` is no base64.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None where it says nothing."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


class WebhookSender:
    """Sends to one address. Redirects are not followed: the signature is meant for the address that was configured."""

    def __init__(self, name: str, url: str, secret: str, timeout_seconds: float, ca_file: str) -> None:
        """A sender that has not connected yet.

        Raises:
            TargetError: the address, the secret or the certificates cannot be used.
        """
        key = f"alerts.targets.{name}"
        if not url.startswith(("http://", "https://")):
            raise TargetError(f"{key}: the address of a webhook starts with http:// or https://")
        try:
            self._key = key_of(secret)
        except (binascii.Error, ValueError):
            raise TargetError(f"{key}: what follows whsec_ in the secret is no base64") from None
        try:
            verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        except OSError as error:
            raise TargetError(f"{key}.ca_file: {ca_file} holds no certificates that can be used: {error}") from None
        self._url = url
        self._timeout = timeout_seconds
        self._http = httpx.AsyncClient(
            verify=verify,
            timeout=timeout_seconds,
            follow_redirects=False,
            headers={"Content-Type": "application/json", "User-Agent": f"qraft/{qraft.__version__}"},
        )

    async def send(self, message: Notification, link: str) -> Outcome:
        """One attempt."""
        content = msgspec.json.encode(payload(message, link))
        now = int(time.time())
        headers = {"webhook-id": message.notification_id, "webhook-timestamp": str(now)}
        if self._key:
            headers["webhook-signature"] = sign(self._key, message.notification_id, now, content)
        try:
            async with (
                asyncio.timeout(self._timeout),  # httpx's own counts anew with each piece
                self._http.stream("POST", self._url, content=content, headers=headers) as answer,
            ):
                return _outcome(answer)  # what it says beyond its status is not read
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            return Outcome(ok=False, error=_why(error, self._timeout), retry=not isinstance(error, httpx.InvalidURL))

    async def close(self) -> None:
        """Ends its connections."""
        await self._http.aclose()


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Outcome(ok=True, status=status)
    error = f"it answered {status} {answer.reason_phrase}".rstrip()
    if answer.is_redirect:
        return Outcome(ok=False, status=status, error=f"{error}; redirects are not followed", retry=False)
    wait = retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC))
    return Outcome(ok=False, status=status, error=error, retry=status >= 500 or status in _LATER, retry_after=wait)


def _why(error: Exception, timeout: float) -> str:
    """What went wrong, without the address: it may hold a secret."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    if isinstance(error, httpx.InvalidURL):
        return "its address is no URL"
    cause = str(error) if "certificate" in str(error).lower() else ""
    if isinstance(error, httpx.ConnectError):
        return f"no connection: {cause}" if cause else "no connection"
    return f"the connection broke: {type(error).__name__}"
