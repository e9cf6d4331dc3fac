"""What the REST server counts of itself, for Prometheus: `qraft_api_*`.

Routes are counted by template, so that labels are bounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Final, Literal, cast

from fastapi import Depends, FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from qraft.metrics.catalogue import OTHER, Spec

Refusal = Literal["missing", "unknown", "expired", "role"]
"""Why a caller was refused: no token, one that is not known, one that has ended, one whose role is too low."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS: Final = Spec(
    "qraft_api_requests_total",
    "counter",
    "Requests answered, by template of the path, method and class of status.",
    ("route", "method", "status"),
)
SECONDS: Final = Spec(
    "qraft_api_request_seconds",
    "histogram",
    "Seconds until an answer began.",
    ("route", "method"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
IN_FLIGHT: Final = Spec("qraft_api_requests_in_flight", "gauge", "Requests that are being answered, streams among them.")
RATE_LIMITED: Final = Spec("qraft_api_rate_limited_total", "counter", "Requests refused because a caller asked too often.")
REFUSED: Final = Spec(
    "qraft_api_auth_failures_total",
    "counter",
    "Requests refused for want of a fitting token, by reason.",
    ("reason",),
    starts=("missing", "unknown", "expired", "role"),
)
STREAMS: Final = Spec("qraft_api_stream_clients", "gauge", "Clients that follow the live stream of patterns.")
API_METRICS: Final = (REQUESTS, SECONDS, IN_FLIGHT, RATE_LIMITED, REFUSED, STREAMS)
"""Every metric of the REST server."""


class ApiMeters:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        # The times at which series began would be as many series again, for nobody.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(REQUESTS.family, REQUESTS.text, REQUESTS.labels, registry=registry)
        self._seconds = Histogram(SECONDS.name, SECONDS.text, SECONDS.labels, buckets=SECONDS.buckets, registry=registry)
        self.in_flight = Gauge(IN_FLIGHT.name, IN_FLIGHT.text, registry=registry)
        self.rate_limited = Counter(RATE_LIMITED.family, RATE_LIMITED.text, registry=registry)
        self._refused = Counter(REFUSED.family, REFUSED.text, REFUSED.labels, registry=registry)
        self._streams = Gauge(STREAMS.name, STREAMS.text, registry=registry)
        for reason in REFUSED.starts:
            self._refused.labels(reason)

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Counts an answer that began.

        Args:
            route: template of the path; None where no route fits.
            method: the request's method.
            status: the answer's status.
            seconds: from the request's head to the answer's.
        """
        where, how = route or OTHER, method if method in METHODS else OTHER
        self._requests.labels(where, how, f"{status // 100}xx").inc()
        self._seconds.labels(where, how).observe(seconds)

    def refused(self, reason: Refusal) -> None:
        """Counts a caller that was refused."""
        self._refused.labels(reason).inc()

    @contextlib.contextmanager
    def streaming(self) -> Iterator[None]:
        """Counts a client of the live stream for as long as the context lasts."""
        self._streams.inc()
        try:
            yield
        finally:
            self._streams.dec()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


def meters_of(app: FastAPI) -> ApiMeters:
    """The meters of an application that a guard was installed in."""
    return cast(ApiMeters, app.state.meters)


def _meters(request: Request) -> ApiMeters:
    return meters_of(request.app)


Meters = Annotated[ApiMeters, Depends(_meters)]
