"""When a server wants to be asked again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from qraft.ingest.rest_limits import LONGEST_WAIT, retry_after, spent

NOW_US = 1_577_836_800_000_000  # 2020-01-01 00:00:00 UTC
DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 01 Jan 2020 00:02:00 GMT", 120.0),
        ("Wednesday, 01-Jan-20 00:02:00 GMT", 120.0),
        ("Wed Jan  1 00:02:00 2020", 120.0),
        ("Tue, 31 Dec 2019 23:00:00 GMT", 0.0),
        ("99999999999", LONGEST_WAIT),
        ("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST_WAIT),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"Retry-After": value}), NOW_US) == seconds
    # An hour of difference between the clocks is nothing to a server that says its own time.
    assert retry_after(httpx.Headers({"Retry-After": value, "Date": DATE}), NOW_US + 3_600_000_000) == seconds


def test_no_retry_after() -> None:
    assert retry_after(httpx.Headers(), NOW_US) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1577836830"}, 30.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "30"}, 0.0),
        ({"X-RateLimit-Remaining": "0"}, 0.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, 7.0),
        ({"RateLimit-Remaining": "0, 0;w=60", "RateLimit-Reset": "7;w=60"}, 7.0),
        ({"RateLimit": '"burst";r=10;t=1, "daily";r=0;t=900'}, 900.0),
        ({"RateLimit": '"burst";r=10;t=1'}, 0.0),
        ({"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "later"}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1577830000"}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "999999"}, LONGEST_WAIT),
    ],
)
def test_spent(headers: dict[str, Any], seconds: float) -> None:
    assert spent(httpx.Headers(headers), NOW_US) == seconds
