"""The REST interface as a FastAPI application; `qraft.api.server` runs it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Security

from qraft import __version__
from qraft.api import etags, operation, parts, problems
from qraft.api.access import Role, needs
from qraft.api.etags import EntityTags
from qraft.api.guard import UNGUARDED, Guard, describe, install
from qraft.api.links import Backend
from qraft.api.problems import Problem
from qraft.api.routes import events, feedback, ingest, patterns, sources, stats, stream
from qraft.api.views_ingest import IngestProblem

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

ROUTES: Final[tuple[tuple[APIRouter, Role], ...]] = (
    (sources.router, "read"),
    (patterns.router, "read"),
    (events.router, "read"),
    (stats.router, "read"),
    (stream.router, "read"),
    (feedback.router, "label"),
    (ingest.router, "admin"),
)
"""The endpoints, each with the role that may use it."""


def create_app(
    backend: Callable[[], Backend],
    *,
    now: Callable[[], str],
    lifespan: Lifespan | None = None,
    guard: Guard = UNGUARDED,
) -> FastAPI:
    """The application.

    Args:
        backend: gives what it stands on; asked at each request.
        now: the time now, ISO 8601 in UTC.
        lifespan: what is to be opened before it serves, and closed after.
        guard: who and what is let through.
    """
    app = FastAPI(
        title="Qraft",
        version=__version__,
        summary="What changed in your streams, why, and what operators say of it.",
        lifespan=lifespan,
        docs_url=None,  # the pages that FastAPI offers load their scripts from elsewhere
        redoc_url=None,
    )
    problems.install(app)
    parts.provide(app, backend, now, guard.max_body)
    app.add_middleware(EntityTags)  # first, so that it sees the answer as the endpoints make it
    install(app, guard)
    app.include_router(operation.router)
    for router, role in ROUTES:
        app.include_router(router, dependencies=[Security(needs(role))])
    _complete_schema(app)
    return app


def _complete_schema(app: FastAPI) -> None:
    """Adds the models of problems to the OpenAPI document, which FastAPI leaves out when only errors name them."""
    make = app.openapi

    @functools.cache
    def openapi() -> dict[str, Any]:
        schema = make()
        for model in (Problem, IngestProblem):
            problem = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema["components"]["schemas"] |= {**problem.pop("$defs", {}), model.__name__: problem}
        describe(schema)
        etags.describe(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents
