"""Any service that Apprise knows. Apprise blocks, so each attempt has a thread; its URLs are secrets, so none is told."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import unquote

import apprise
from apprise.logger import NotifyLogEntry

from qraft.alerts.errors import TargetError
from qraft.alerts.model import Notification
from qraft.alerts.outbox import Outcome
from qraft.alerts.text import body, title

T = TypeVar("T")

GRACE_SECONDS: Final = 2.0
_HIDDEN: Final = "***"
_LEAST_SECRET: Final = 3
_KINDS: Final = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
}
_STATUS: Final = re.compile(r"error[=: ]+([1-5][0-9]{2})\b")

# What Apprise logs holds parts of URLs; what an attempt logs comes back through its callback and is cleaned there.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("urllib3").setLevel(logging.ERROR)


def cleaned(text: str, url: str) -> str:
    """The text without any part of the URL but its scheme."""
    scheme, _, rest = url.partition("://")
    parts = {part for word in (rest, unquote(rest)) for part in re.split(r"[/:@?&=,\s]+", word)}
    for part in sorted(parts - {scheme}, key=len, reverse=True):
        if len(part) >= _LEAST_SECRET:
            text = text.replace(part, _HIDDEN)
    return " ".join(text.split())


class ServiceSender:
    """Sends to one Apprise URL, one message at a time."""

    def __init__(self, name: str, url: str, timeout_seconds: float) -> None:
        """A sender that has not connected yet.

        Raises:
            TargetError: Apprise does not know such a URL.
        """
        self._url, self._timeout = url, timeout_seconds
        self._busy = threading.Lock()
        self._service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, app_id="Qraft"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what its hundred services import
            known = self._service.add(url)
        if not known:
            scheme = url.partition("://")[0] if "://" in url else ""
            what = (
                f'"{scheme}://…" is no URL that Apprise can use' if scheme.isalnum() else "it is no URL that Apprise can use"
            )
            raise TargetError(f"alerts.targets.{name}: {what}; see https://appriseit.com for how each service is written")

    async def send(self, message: Notification, link: str) -> Outcome:
        """One attempt; one that does not end in time goes on by itself, and no other begins until it has."""
        if not self._busy.acquire(blocking=False):
            return Outcome(ok=False, error="the attempt before still waits for an answer")
        said: list[NotifyLogEntry] = []

        def work() -> bool:
            try:
                return bool(
                    self._service.notify(
                        body=body(message, link),
                        title=title(message),
                        notify_type=_KINDS.get(message.severity, apprise.NotifyType.INFO),
                        body_format=apprise.NotifyFormat.TEXT,
                        timeout=self._timeout,
                        log_callback=lambda entry, _: said.append(entry),
                    )
                )
            finally:
                self._busy.release()

        try:
            async with asyncio.timeout(self._timeout + GRACE_SECONDS):
                ok = await _in_thread(work)
        except TimeoutError:
            return Outcome(ok=False, error=f"no answer within {self._timeout:g} s")
        except Exception as error:
            return Outcome(ok=False, error=cleaned(f"{type(error).__name__}: {error}", self._url))
        if ok:
            return Outcome(ok=True)
        why = [cleaned(one.message, self._url) for one in said if one.level in ("WARNING", "ERROR")]
        found = _STATUS.search(" ".join(why))
        status = int(found[1]) if found is not None else 0
        return Outcome(ok=False, status=status, error="; ".join(why) or "the service refused it or did not answer")

    async def close(self) -> None:
        """Nothing is kept open between two messages."""


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs ``work`` in a thread that ends with the process, however long the work takes."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T is

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except BaseException as error:
            fault = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=run, name="alert", daemon=True).start()
    return await done
