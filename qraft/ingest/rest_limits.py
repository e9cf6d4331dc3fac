"""When a server wants to be asked again: Retry-After (RFC 9110) and the headers that tell what is left of a quota."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT: Final = 3600.0
"""Seconds; a server that wants a longer pause is asked once an hour."""

_EPOCH: Final = 1_000_000_000
"""A reset above this is a moment (seconds since 1970), not a number of seconds."""
_QUOTA: Final = re.compile(r"(?:^|;)\s*(?P<key>[rt])=(?P<value>\d+)")


def retry_after(headers: Mapping[str, str], now_us: int) -> float | None:
    """Seconds that Retry-After asks for, at most ``LONGEST_WAIT``; None without a valid one.

    A date counts from the answer's own Date, so that the two clocks need not agree.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST_WAIT)
    moment = _moment(text)
    if moment is None:
        return None
    return _bounded(moment - (_moment(headers.get("date", "")) or now_us / 1e6))


def spent(headers: Mapping[str, str], now_us: int) -> float:
    """Seconds until a quota that is used up is renewed; 0 where something is left of it or nothing is said.

    Known are ``RateLimit-Remaining`` and ``RateLimit-Reset`` with and without ``X-``, and the ``RateLimit`` field of the
    IETF draft (``"default";r=0;t=30``).
    """
    for prefix in ("ratelimit", "x-ratelimit"):
        left, reset = _number(headers.get(f"{prefix}-remaining")), _number(headers.get(f"{prefix}-reset"))
        if left is not None and left <= 0 and reset is not None:
            return _bounded(reset - (_moment(headers.get("date", "")) or now_us / 1e6) if reset > _EPOCH else reset)
    for policy in headers.get("ratelimit", "").split(","):
        said = {found["key"]: float(found["value"]) for found in _QUOTA.finditer(policy)}
        if said.get("r") == 0 and "t" in said:
            return _bounded(said["t"])
    return 0.0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _number(text: str | None) -> float | None:
    """The number that a header begins with; some servers append their policy."""
    found = re.match(r"\s*(\d{1,15}(?:\.\d+)?)\s*(?:[,;]|$)", text or "")
    return float(found[1]) if found is not None else None


def _moment(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
