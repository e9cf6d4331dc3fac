"""GET /api/patterns and GET /api/pattern/{id}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from qraft.api.links import Backend
from qraft.api.paging import PAGED, link_next
from qraft.api.parts import Now, Parts
from qraft.api.problems import documented
from qraft.api.views import PatternDetail, PatternPage
from qraft.api.views_events import EventView
from qraft.api.views_filter import DetailChoice, PatternFilter
from qraft.model import us_from_iso
from qraft.store import StoredPattern, StoreRejected
from qraft.store.filters import CANNOT_COMPILE_REGEXP

PatternId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The pattern's id.")]

router = APIRouter(prefix="/api", tags=["patterns"])


async def stored(parts: Backend, pattern_id: str) -> StoredPattern:
    """The pattern with this id; a 404 where there is none."""
    found = await (await parts.store()).history.pattern(pattern_id)
    if found is None:
        raise HTTPException(404, f"no pattern {pattern_id} is stored; one just found is stored within seconds")
    return found


@router.get(
    "/patterns",
    summary="Patterns, a page at a time",
    operation_id="list_patterns",
    responses={**PAGED, **documented(422, 503)},
)
async def patterns(
    parts: Parts, now: Now, request: Request, response: Response, wanted: Annotated[PatternFilter, Query()]
) -> PatternPage:
    """Patterns that agree with every parameter given, newest first unless asked otherwise.

    Pages follow each other by ``cursor`` (or by the Link header): every pattern that was stored when the first page was
    asked for comes once, whatever is stored meanwhile.
    """
    history = (await parts.store()).history
    try:
        found = await history.patterns(wanted.query(us_from_iso(now)))
    except StoreRejected as error:
        if error.code != CANNOT_COMPILE_REGEXP:
            raise
        raise RequestValidationError([{"type": "value_error", "loc": ("query", "q"), "msg": str(error)}]) from None
    page = PatternPage.of(found, wanted.limit)
    link_next(request, response, page.next)
    return page


@router.get(
    "/pattern/{pattern_id}",
    summary="One pattern, with its verdicts and the events around it",
    operation_id="get_pattern",
    responses=documented(404, 422, 503),
)
async def pattern(parts: Parts, pattern_id: PatternId, wanted: Annotated[DetailChoice, Query()]) -> PatternDetail:
    """A pattern with all that was said on it, the events around it and, where asked for, earlier patterns like it."""
    found = await stored(parts, pattern_id)
    store = await parts.store()
    one = found.pattern
    said = await store.history.feedback(pattern_id)
    time_us = us_from_iso(one.timestamp)
    events = await store.history.events_around(one.source, one.entity, time_us, wanted.before, wanted.after)
    sent = await store.events.sent(one.source, [event.event_id for event in events]) if wanted.raw else {}
    similar = await store.past.similar(one, wanted.similar) if wanted.similar else None
    views = [EventView.of(event, sent.get(event.event_id)) for event in events]
    return PatternDetail.assemble(found, said, views, similar)
