"""GET /api/events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from qraft.api.paging import PAGED, link_next
from qraft.api.parts import Parts
from qraft.api.problems import documented
from qraft.api.views_events import EventPage
from qraft.api.views_filter import EventFilter

router = APIRouter(prefix="/api", tags=["events"])


@router.get(
    "/events",
    summary="Events, a page at a time",
    operation_id="list_events",
    responses={**PAGED, **documented(422, 503)},
)
async def events(parts: Parts, request: Request, response: Response, wanted: Annotated[EventFilter, Query()]) -> EventPage:
    """Events as the detectors saw them, or as they were sent, newest first unless asked otherwise.

    Pages follow each other by ``cursor`` (or by the Link header): every event that was stored when the first page was asked
    for comes once, whatever is stored meanwhile.
    """
    listing = (await parts.store()).events
    query = wanted.query()
    page = EventPage.of(await (listing.raw(query) if wanted.kind == "raw" else listing.clean(query)), wanted.limit)
    link_next(request, response, page.next)
    return page
