"""POST /api/feedback/{id}."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Security
from starlette.exceptions import HTTPException

from qraft.api.access import Caller, needs
from qraft.api.parts import Now, Parts
from qraft.api.problems import documented
from qraft.api.routes.patterns import PatternId, stored
from qraft.api.verdicts import all_said, compose
from qraft.api.views import FeedbackRequest, FeedbackView

router = APIRouter(prefix="/api", tags=["feedback"])


@router.post(
    "/feedback/{pattern_id}",
    status_code=202,
    summary="Says something on a pattern: a verdict, a mute, a note or an undo; answers once it is stored in the stream",
    operation_id="give_feedback",
    responses=documented(403, 404, 409, 422, 503),
)
async def feedback(
    parts: Parts,
    now: Now,
    pattern_id: PatternId,
    request: FeedbackRequest,
    caller: Annotated[Caller, Security(needs("label"))],
) -> FeedbackView:
    """Says something on a pattern.

    Where tokens are needed, ``user`` is the token's name, and only the role admin may speak for others.
    """
    user = request.user or caller.name
    if user != caller.name and not caller.may("admin"):
        raise HTTPException(403, f'this token speaks for "{caller.name}", not for "{user}"; leave user out')
    bus = await parts.bus()
    found = await stored(parts, pattern_id)
    undo = request.verdict == "undo"
    said = await all_said(bus, (await parts.store()).history, found.pattern) if undo else []
    verdict = compose(
        found.pattern,
        said,
        verdict=request.verdict,
        note=request.note,
        user=user,
        feedback_id=request.feedback_id or str(uuid.uuid4()),
        timestamp=now,
        scope=request.wire_scope(),
        until=request.wire_until(),
    )
    await bus.send_feedback(verdict)
    return FeedbackView.of(verdict)
