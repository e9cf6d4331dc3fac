"""What the endpoints ask the application for: the servers behind it, the time, its limits, and whether it is to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, FastAPI, Request

from qraft.api.links import Backend

Clock = Callable[[], str]
"""Tells the time, ISO 8601 in UTC."""


@dataclass(slots=True)
class OpenStreams:
    """The answers that go on for ever.

    Attributes:
        ending: set when the server is to end.
        count: how many there are.
    """

    ending: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """One more, for as long as the context lasts."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


def provide(app: FastAPI, backend: Callable[[], Backend], now: Clock, max_body: int) -> None:
    """Gives ``app`` what its endpoints ask for.

    Args:
        app: the application.
        backend: gives what it stands on; asked at each request.
        now: tells the time.
        max_body: most bytes of a body, also of what a compressed one holds.
    """
    app.state.backend, app.state.now, app.state.max_body = backend, now, max_body
    app.state.streams = OpenStreams()


def end_streams(app: FastAPI) -> None:
    """Ends the answers that would go on for ever; to be called before the server waits for open connections."""
    cast(OpenStreams, app.state.streams).ending.set()


def _backend(request: Request) -> Backend:
    return cast(Callable[[], Backend], request.app.state.backend)()


def _now(request: Request) -> str:
    return _clock(request)()


def _clock(request: Request) -> Clock:
    return cast(Clock, request.app.state.now)


def _max_body(request: Request) -> int:
    return cast(int, request.app.state.max_body)


def _streams(request: Request) -> OpenStreams:
    return cast(OpenStreams, request.app.state.streams)


Parts = Annotated[Backend, Depends(_backend)]
Now = Annotated[str, Depends(_now)]
"""The time of the request."""
Time = Annotated[Clock, Depends(_clock)]
MaxBody = Annotated[int, Depends(_max_body)]
Streams = Annotated[OpenStreams, Depends(_streams)]
