"""`qraft patterns`: what was found lately."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import plain
from qraft.commands.servers import open_store

if TYPE_CHECKING:
    from qraft.store import PatternQuery, StoredPattern

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TYPES: Final = ("drift", "anomaly", "cluster_change")


def patterns(
    *,
    source: Annotated[list[str] | None, typer.Option("--source", "-s", help="Of this source; may be repeated.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", "-t", help="drift, anomaly or cluster_change; may be repeated.")
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="15m, 2h, 7d, or an ISO 8601 time.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many, the newest.")] = 20,
    min_confidence: Annotated[float, typer.Option("--min-confidence", min=0, max=1, help="Least confidence.")] = 0.0,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists recent patterns, newest first."""
    from qraft.store import PatternQuery

    query = PatternQuery(
        types=[_type(name) for name in kind or ()],
        sources=source or (),
        since_us=_moment(since, datetime.now(UTC)) if since else None,
        min_confidence=min_confidence,
        limit=limit,
    )
    found = find_instance(load_settings(config, data_dir), data_dir, need=("clickhouse",))
    stored = asyncio.run(_query(found, query))
    if as_json:
        _print_lines(stored)
    else:
        _print_people(stored)
    return 0


async def _query(found: Instance, query: PatternQuery) -> list[StoredPattern]:
    async with open_store(found) as store:
        return await store.history.patterns(query)


def _type(name: str) -> Literal["drift", "anomaly", "cluster_change"]:
    for known in _TYPES:
        if name == known:
            return known
    raise UserError(f'--type: "{name}" is none of {", ".join(_TYPES)}')


def _moment(text: str, now: datetime) -> int:
    """UTC microseconds of "15m" (that long ago) or of an ISO 8601 time."""
    from qraft.model import us_from_datetime, us_from_iso

    try:
        if ago := re.fullmatch(r"([0-9]+)([smhd])", text):
            return us_from_datetime(now - timedelta(**{_UNITS[ago.group(2)]: int(ago.group(1))}))
        return us_from_iso(text)
    except (ValueError, OverflowError):
        raise UserError(
            f'--since: "{text}" is neither a length of time such as 15m, 2h or 7d nor an ISO 8601 time'
        ) from None


def _print_lines(stored: list[StoredPattern]) -> None:
    from qraft.api.views import PatternView

    for one in stored:
        print(PatternView.of(one).model_dump_json())


def _print_people(stored: list[StoredPattern]) -> None:
    if not stored:
        print("no patterns")
    for one in stored:
        pattern = one.pattern
        where = plain(f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source)
        who = f" by {plain(one.verdict_user)}" if one.verdict_user else ""
        verdict = f"  [{one.verdict}{who}]" if one.verdict else ""
        when = pattern.timestamp[:19].replace("T", " ")
        print(f"{when}  {pattern.type:14}  {pattern.details.confidence:.2f}  {where}  {pattern.pattern_id}{verdict}")
        if pattern.summary:
            print(f"    {plain(pattern.summary)}")
