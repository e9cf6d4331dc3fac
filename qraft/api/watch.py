"""The outermost layer: gives each request an id, counts it, and answers where something failed that nobody foresaw."""

from __future__ import annotations

import logging
import time
import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qraft.api import problems
from qraft.api.meters import ApiMeters

log = logging.getLogger(__name__)


class Watch:
    """Sees every request and its answer."""

    def __init__(self, app: ASGIApp, meters: ApiMeters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Goes on, and answers 500 where that failed before an answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problems.give_id(scope, str(uuid.uuid4()))
        asked, begun = time.perf_counter(), False

        async def seen(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                route = getattr(scope.get("route"), "path", None)
                self._meters.answered(route, scope["method"], message["status"], time.perf_counter() - asked)
            await send(message)

        with self._meters.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, seen)
            except ClientDisconnect:
                return  # nobody waits for an answer
            except Exception as error:
                path = scope["raw_path"].decode("ascii")  # still encoded: it brings no line of its own into the log
                log.exception("request %s: %s %s failed", problems.id_of(scope), scope["method"], path)
                if begun:
                    raise
                await problems.failure(scope, error)(scope, receive, seen)
