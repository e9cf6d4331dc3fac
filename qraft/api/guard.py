"""What stands between the network and the endpoints, in one place and one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from qraft.api.authentication import Authentication
from qraft.api.limits import BodyLimit, Rate, RateLimit
from qraft.api.meters import ApiMeters
from qraft.api.operation import Readiness
from qraft.api.origins import LOOPBACK, AddressCheck, Addresses
from qraft.api.problems import documented
from qraft.api.tokens import TokenBook
from qraft.api.watch import Watch

SHOWN: Final = ("ETag", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate")
"""Header fields of an answer that a page of another origin may read, beside the usual."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What one server lets through.

    Attributes:
        tokens: the tokens, one of which is needed; None lets everyone in, which suits loopback only.
        addresses: under which names it is asked, and whose pages may ask.
        rate_per_minute: most requests a minute of one caller; 0 is no limit.
        max_body: bytes of the largest body that is taken.
        open_metrics: whether /metrics needs no token.
    """

    tokens: TokenBook | None = None
    addresses: Addresses = LOOPBACK
    rate_per_minute: int = 0
    max_body: int = 4 * 1024**2
    open_metrics: bool = False


UNGUARDED: Final = Guard()
"""For a server on loopback that everyone on this machine may use."""


def install(app: FastAPI, guard: Guard) -> None:
    """Puts the guard before every route of ``app``, and the meters where routes find them."""
    app.state.meters = meters = ApiMeters()
    app.state.readiness = Readiness()
    app.state.open_metrics = guard.open_metrics
    # What is added last is asked first.
    app.add_middleware(BodyLimit, most=guard.max_body)
    if guard.rate_per_minute:
        app.add_middleware(RateLimit, rate=Rate(guard.rate_per_minute), meters=meters)
    app.add_middleware(Authentication, book=guard.tokens, meters=meters)
    if guard.addresses.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(guard.addresses.origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=SHOWN,
        )
    app.add_middleware(AddressCheck, addresses=guard.addresses)
    app.add_middleware(Watch, meters=meters)


def describe(schema: dict[str, Any]) -> None:
    """Adds the refusals of the guard to every operation of an OpenAPI document."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            statuses = {400, 403, 500}
            if "security" in operation:
                statuses |= {401, 429, 503}
            if "requestBody" in operation:
                statuses |= {413, 415}
            answers: dict[str, Any] = operation["responses"]
            for status, answer in documented(*sorted(statuses)).items():
                answers.setdefault(str(status), answer)
