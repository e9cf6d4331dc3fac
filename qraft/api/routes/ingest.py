"""POST /api/ingest/{source}."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from qraft.api import problems
from qraft.api.bodies import read_body
from qraft.api.parts import MaxBody, Now, Parts
from qraft.api.problems import documented
from qraft.api.records import FORMS, NotRecords, Records, RecordSettings, read_records
from qraft.api.views_ingest import Ingested, IngestSettings
from qraft.bus import NotAllStored, offer_events
from qraft.config.base import SOURCE_NAME
from qraft.model import SELF, us_from_iso

router = APIRouter(prefix="/api", tags=["ingest"])

_OBJECT: Final = {
    "type": "object",
    "description": "A bare payload, or an event of the wire contract: an object with `payload`.",
}
_ITEMS: Final = "Such objects; what is none is told among those that are rejected."
_JSON: Final = {
    "schema": {"anyOf": [_OBJECT, {"type": "array", "items": {}, "description": _ITEMS}]},
    "examples": {
        "payload": {"summary": "A bare payload", "value": {"cpu_percent": 71.0}},
        "events": {
            "summary": "Events",
            "value": [
                {"event_id": "42", "timestamp": "2026-11-22T14:08:21Z", "payload": {"cpu_percent": 71.0}},
                {"event_id": "43", "timestamp": "2026-11-22T14:08:22Z", "payload": {"cpu_percent": 12.0}},
            ],
        },
    },
}
_LINES: Final = {"schema": {"type": "string"}, "example": '{"cpu_percent":71.0}\n{"cpu_percent":12.0}\n'}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {kind: _JSON if form == "json" else _LINES for kind, form in FORMS.items()},
    }
}

_PROBLEMS: Final = ("IngestProblem", "Problem")
_NOT_ALL: Final[dict[str, Any]] = {
    "description": "The stream is full, or NATS does not answer",
    "content": {
        problems.MEDIA_TYPE: {"schema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in _PROBLEMS]}}
    },
}


@router.post(
    "/ingest/{source}",
    status_code=202,
    summary="Takes events; answers once they are stored in the stream",
    operation_id="ingest_events",
    responses={**documented(400, 413, 415, 422), 503: _NOT_ALL},
    openapi_extra=_BODY,
    response_model=Ingested,
)
async def ingest(  # noqa: PLR0917 - FastAPI gives them by name
    parts: Parts,
    now: Now,
    most: MaxBody,
    request: Request,
    source: Annotated[str, Path(pattern=SOURCE_NAME, description="Name of the source the events get.")],
    wanted: Annotated[IngestSettings, Query()],
    idempotency_key: Annotated[
        str, Header(max_length=255, description="The same key with the same body is stored once, within five minutes.")
    ] = "",
) -> Ingested | JSONResponse:
    """Takes one event, an array of events, or events a line (NDJSON), and publishes them as ``qraft ingest`` does.

    An object with ``payload`` is an event, every other object a bare payload, which gets the time of arrival unless ``time``
    names its field. An event's own ``event_id``, the field named by ``id``, or else the header Idempotency-Key with the line
    make the id: events of one id are one event, however often they are sent. What cannot be used is told, the rest is taken.
    """
    if source == SELF:
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("path", "source"), "msg": f"{SELF} is Qraft's own; choose another name"}]
        )
    form = FORMS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if form is None:
        raise HTTPException(415, f"expected one of {', '.join(FORMS)} as Content-Type")
    settings = RecordSettings(source, idempotency_key or str(uuid.uuid4()), us_from_iso(now), wanted.time, wanted.id)
    body = await read_body(request, most)
    try:
        found = await asyncio.to_thread(read_records, body, form, settings)
    except NotRecords as error:
        raise RequestValidationError([{"type": "value_error", "loc": ("body",), "msg": str(error)}]) from None
    try:
        await offer_events(await parts.bus(), source, found.events)
    except NotAllStored as error:
        return _not_all(request, found, error)
    return Ingested(accepted=len(found.events), rejected=found.rejected, rejected_total=found.rejected_total)


def _not_all(request: Request, found: Records, error: NotAllStored) -> JSONResponse:
    detail = f"{error}; {error.stored} of {len(found.events)} events are stored, send all of them again"
    headers = {"Retry-After": str(problems.RETRY_SECONDS)}
    members = {
        "accepted": error.stored,
        "rejected": [one.model_dump() for one in found.rejected],
        "rejected_total": found.rejected_total,
    }
    return problems.answer(request.scope, 503, detail, headers=headers, members=members)
