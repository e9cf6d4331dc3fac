"""GET /api/stats."""

from __future__ import annotations

from fastapi import APIRouter

from qraft.api.parts import Parts
from qraft.api.views_stats import StatsView
from qraft.bus import BusUnavailable, stream_levels

router = APIRouter(prefix="/api", tags=["stats"])


@router.get("/stats", summary="What engines say of themselves, and the parts they stand on", operation_id="get_stats")
async def stats(parts: Parts) -> StatsView:
    """What each engine that runs now said last, within about a second, and whether this server reaches their parts."""
    try:
        levels = await stream_levels(await parts.bus())
    except BusUnavailable:
        levels = None
    return StatsView.assemble(parts.engines(), levels, clickhouse=await parts.clickhouse_answers())
