"""The REST interface as a FastAPI application; `qraft.api.server` runs it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from qraft import __version__
from qraft.api import problems
from qraft.api.links import Backend
from qraft.api.problems import Problem, documented
from qraft.api.verdicts import all_said, compose
from qraft.api.views import (
    FeedbackRequest,
    FeedbackView,
    Health,
    PatternDetail,
    PatternFilter,
    PatternPage,
    SourceList,
    sources_now,
)
from qraft.bus import BusUnavailable
from qraft.model import us_from_iso
from qraft.store import StoredPattern

EVENTS_BEFORE, EVENTS_AFTER = 50, 50
"""Events shown around a pattern."""

PatternId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The pattern's id.")]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    backend: Callable[[], Backend],
    *,
    now: Callable[[], str],
    lifespan: Lifespan | None = None,
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]"),
) -> FastAPI:
    """The application.

    Args:
        backend: gives what it stands on; asked at each request.
        now: the time now, ISO 8601 in UTC.
        lifespan: what is to be opened before it serves, and closed after.
        hosts: names in the Host header that are answered; others are refused, which keeps web pages that point a name of
            their own at loopback from reaching it.
    """
    app = FastAPI(
        title="Qraft",
        version=__version__,
        summary="What changed in your streams, why, and what operators say of it.",
        lifespan=lifespan,
        docs_url=None,  # the pages that FastAPI offers load their scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    problems.install(app)

    async def stored(pattern_id: str) -> StoredPattern:
        found = await (await backend().history()).pattern(pattern_id)
        if found is None:
            raise HTTPException(404, f"no pattern {pattern_id} is stored; one just found is stored within seconds")
        return found

    @app.get("/healthz", summary="Whether the server and its parts are well", tags=["operation"])
    async def health() -> Health:
        parts = backend()
        try:
            nats = (await parts.bus()).connected
        except BusUnavailable:
            nats = False
        clickhouse = await parts.clickhouse_answers()
        return Health(status="ok" if nats and clickhouse else "degraded", nats=nats, clickhouse=clickhouse)

    @app.get("/api/sources", summary="Every source, stored or read now", tags=["sources"], responses=documented(503))
    async def sources() -> SourceList:
        parts = backend()
        return SourceList(sources=sources_now(await (await parts.history()).sources(), parts.engines()))

    @app.get("/api/patterns", summary="Patterns, newest first", tags=["patterns"], responses=documented(422, 503))
    async def patterns(wanted: Annotated[PatternFilter, Query()]) -> PatternPage:
        found = await (await backend().history()).patterns(wanted.query())
        return PatternPage.of(found, wanted.limit)

    @app.get(
        "/api/pattern/{pattern_id}",
        summary="One pattern, with its verdicts and the events around it",
        tags=["patterns"],
        responses=documented(404, 422, 503),
    )
    async def pattern(pattern_id: PatternId) -> PatternDetail:
        found = await stored(pattern_id)
        history = await backend().history()
        said = await history.feedback(pattern_id)
        one = found.pattern
        events = await history.events_around(one.source, one.entity, us_from_iso(one.timestamp), EVENTS_BEFORE, EVENTS_AFTER)
        return PatternDetail.assemble(found, said, events)

    @app.post(
        "/api/feedback/{pattern_id}",
        status_code=202,
        summary="Says something on a pattern: a verdict, a mute, a note or an undo; answers once it is stored in the stream",
        tags=["feedback"],
        responses=documented(404, 409, 422, 503),
    )
    async def feedback(pattern_id: PatternId, request: FeedbackRequest) -> FeedbackView:
        bus = await backend().bus()
        found = await stored(pattern_id)
        undo = request.verdict == "undo"
        said = await all_said(bus, await backend().history(), found.pattern) if undo else []
        verdict = compose(
            found.pattern,
            said,
            verdict=request.verdict,
            note=request.note,
            user=request.user,
            feedback_id=request.feedback_id or str(uuid.uuid4()),
            timestamp=now(),
            scope=request.wire_scope(),
            until=request.wire_until(),
        )
        await bus.send_feedback(verdict)
        return FeedbackView.of(verdict)

    _complete_schema(app)
    return app


def _complete_schema(app: FastAPI) -> None:
    """Adds the problem's model to the OpenAPI document, which FastAPI leaves out when only errors name it."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        schema = make()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"] |= {**problem.pop("$defs", {}), "Problem": problem}
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents
