"""What watches the server asks: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict

from qraft.api import problems
from qraft.api.access import SCHEME, needs
from qraft.api.links import Backend
from qraft.api.meters import Meters
from qraft.api.parts import Parts
from qraft.api.problems import FieldProblem, documented
from qraft.bus import BusUnavailable

FRESH_SECONDS: Final = 1.0
"""What was found stands for so long, so that asking often, which needs no token, loads nothing."""
PART_SECONDS: Final = 3.0
"""A part that says nothing for so long is away."""
TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"

router = APIRouter(tags=["operation"])


async def _may_count(request: Request, token: Annotated[HTTPAuthorizationCredentials | None, Security(SCHEME)]) -> None:
    if not request.app.state.open_metrics:
        await needs("read")(request, token)


class Alive(BaseModel):
    """The server serves."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The server and all it stands on are there."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready"}]})

    status: Literal["ready"] = "ready"


class Readiness:
    """What the server stands on and is away. ClickHouse is asked at most once a second."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._until = 0.0
        self._answers = False

    async def away(self, parts: Backend) -> list[FieldProblem]:
        """The parts that are away, each with what is wrong."""
        found = []
        if not await _connected(parts):
            found.append(FieldProblem(field="nats", message="does not answer"))
        if not await self._clickhouse(parts):
            found.append(FieldProblem(field="clickhouse", message="does not answer"))
        if not parts.engines():
            found.append(FieldProblem(field="engine", message="none was heard in the last seconds"))
        return found

    async def _clickhouse(self, parts: Backend) -> bool:
        async with self._asking:
            if time.monotonic() >= self._until:
                self._answers = await _answers(parts)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._answers


def _readiness(request: Request) -> Readiness:
    found: Readiness = request.app.state.readiness
    return found


@router.get("/healthz", summary="Whether the server serves; needs no token", operation_id="get_health")
async def health() -> Alive:
    """Answers as long as the process serves, whatever it stands on."""
    return Alive()


@router.get(
    "/readyz",
    summary="Whether NATS, ClickHouse and an engine are there; needs no token",
    operation_id="get_readiness",
    response_model=Ready,
    responses=documented(503),
)
async def ready(request: Request, parts: Parts, readiness: Annotated[Readiness, Depends(_readiness)]) -> Response | Ready:
    """Answers 503, and names the parts that are away, while requests would fail or show an old picture."""
    away = await readiness.away(parts)
    if not away:
        return Ready()
    detail = f"away: {', '.join(part.field for part in away)}"
    return problems.answer(request.scope, 503, detail, errors=away, headers={"Retry-After": str(problems.RETRY_SECONDS)})


@router.get(
    "/metrics",
    summary="What the server counts of itself, for Prometheus",
    operation_id="get_metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Security(_may_count)],
)
async def metrics(meters: Meters) -> Response:
    """The counters of this process; the engine serves its own."""
    return Response(meters.exposition(), media_type=TEXT_FORMAT)


async def _connected(parts: Backend) -> bool:
    try:
        return (await parts.bus()).connected
    except BusUnavailable:
        return False


async def _answers(parts: Backend) -> bool:
    try:
        async with asyncio.timeout(PART_SECONDS):
            return await parts.clickhouse_answers()
    except TimeoutError:
        return False
