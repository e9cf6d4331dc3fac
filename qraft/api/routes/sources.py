"""GET /api/sources."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from qraft.api.parts import Parts
from qraft.api.problems import documented
from qraft.api.views import SourceList, sources_now
from qraft.api.views_filter import SourceFilter

router = APIRouter(prefix="/api", tags=["sources"])


@router.get(
    "/sources", summary="Every source, stored or read now", operation_id="list_sources", responses=documented(422, 503)
)
async def sources(parts: Parts, wanted: Annotated[SourceFilter, Query()]) -> SourceList:
    """Every source that is stored or that an engine reads now, by name, as far as it agrees with the parameters given."""
    found = sources_now(await (await parts.store()).history.sources(), parts.engines())
    return SourceList(sources=[one for one in found if wanted.wants(one.source, one.state)])
