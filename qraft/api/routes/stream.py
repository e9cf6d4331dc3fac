"""GET /api/stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from qraft.api import sse
from qraft.api.examples import STREAM
from qraft.api.matching import test_of
from qraft.api.parts import Parts, Streams, Time
from qraft.api.problems import RETRY_SECONDS, documented
from qraft.api.sse import MEDIA_TYPE, PatternEvents
from qraft.api.views_filter import StreamChoice, StreamId
from qraft.bus import PatternStream, StreamPlace

router = APIRouter(prefix="/api", tags=["patterns"])

_CONTENT = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": STREAM}}


@router.get(
    "/stream",
    summary="Patterns as they are found, as server-sent events",
    operation_id="stream_patterns",
    status_code=200,
    response_class=PatternEvents,
    responses={200: {"description": "Events until either end goes", "content": _CONTENT}, **documented(422, 503)},
)
async def stream(
    parts: Parts,
    time: Time,
    streams: Streams,
    wanted: Annotated[StreamChoice, Query()],
    last_event_id: Annotated[
        StreamId, Header(description="The id of the last event that came; the stream goes on after it.")
    ] = "",
) -> PatternEvents:
    """Patterns that agree with every parameter given, in the order in which they are published, each once.

    ``event: pattern`` has the pattern in the JSON of the wire as its data. Its ``id``, sent back as Last-Event-ID after a
    break, lets the stream go on after it with what was published meanwhile, up to seven days. ``event: gap`` says that some
    of that is no longer there: ``{"after": id, "missing": number or null}``; GET /api/patterns still has them. Comments
    come while nothing is found. Ids may also come alone, without an event.
    """
    try:
        passes = test_of(wanted)
    except ValueError as error:
        raise RequestValidationError([{"type": "value_error", "loc": ("query", "q"), "msg": str(error)}]) from None
    if streams.count >= sse.MOST_STREAMS:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        raise HTTPException(503, f"{sse.MOST_STREAMS} streams are open already; come back later", headers=headers)
    followed = PatternStream(await parts.bus(), StreamPlace.read(last_event_id or wanted.last_event_id))
    try:
        await followed.open()
    except BaseException:
        await followed.close()
        raise
    return PatternEvents(followed, passes, time, streams)
