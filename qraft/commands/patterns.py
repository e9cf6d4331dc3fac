"""`qraft patterns`: what was found lately, or as it is found."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from qraft.commands.common import (
    ConfigOption,
    DatabaseOption,
    DataDirOption,
    Instance,
    JsonOption,
    UserError,
    find_instance,
    load_settings,
)
from qraft.commands.output import plain
from qraft.commands.over_rest import UrlOption, client_of
from qraft.commands.servers import open_store

if TYPE_CHECKING:
    from qraft.client import ClientError, FoundPattern, Wish
    from qraft.model import Pattern, PatternType
    from qraft.store import StoredPattern

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
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="With --url: patterns as they are found, until Ctrl-C.")
    ] = False,
    url: UrlOption = "",
    database: DatabaseOption = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists recent patterns, newest first, or with --follow those that are found from now on."""
    from qraft.client import Wish

    wish = Wish(
        types=[_type(name) for name in kind or ()],
        sources=source or (),
        since=_moment(since, datetime.now(UTC)) if since else None,
        min_confidence=min_confidence or None,
    )
    if follow:
        if not url:
            raise UserError("--follow needs --url, the address of a REST server; `qraft tui` follows the instance here")
        _print(_followed(url, wish), as_json=as_json)
        return 0
    if url:
        with client_of(url) as client:
            found: list[FoundPattern] = list(client.patterns(wish, limit=limit))
    else:
        instance = find_instance(load_settings(config, data_dir), data_dir, database=database, need=("clickhouse",))
        found = [_found(stored) for stored in asyncio.run(_query(instance, wish, limit))]
    if not found and not as_json:
        print("no patterns")
    _print(found, as_json=as_json)
    return 0


async def _query(instance: Instance, wish: Wish, limit: int) -> list[StoredPattern]:
    from qraft.model import us_from_datetime
    from qraft.store import PatternQuery

    query = PatternQuery(
        types=wish.types,
        sources=wish.sources,
        since_us=us_from_datetime(wish.since) if wish.since else None,
        min_confidence=wish.min_confidence or 0.0,
        limit=limit,
    )
    async with open_store(instance) as store:
        return await store.history.patterns(query)


def _followed(url: str, wish: Wish) -> Iterator[FoundPattern]:
    with client_of(url) as client:
        for _, pattern in client.stream(wish, lost=_say_lost):
            yield _found(pattern)


def _say_lost(error: ClientError | None) -> None:
    from qraft.client import Missed

    again = "" if isinstance(error, Missed) else "; trying again"
    print(f"qraft: {error or 'the server ended the stream'}{again}", file=sys.stderr)


def _found(pattern: StoredPattern | Pattern) -> FoundPattern:
    """A pattern as the REST server shows it, so that scripts read the same from here and from there."""
    import msgspec

    from qraft.client import FoundPattern
    from qraft.model import Pattern

    if isinstance(pattern, Pattern):
        return msgspec.convert(msgspec.to_builtins(pattern), FoundPattern)
    keys = ("verdict", "verdict_user", "verdict_at", "feedback_id")
    verdict = {key: getattr(pattern, key) for key in keys if getattr(pattern, key)}
    return msgspec.convert({**msgspec.to_builtins(pattern.pattern), **verdict}, FoundPattern)


def _type(name: str) -> PatternType:
    for known in _TYPES:
        if name == known:
            return known
    raise UserError(f'--type: "{name}" is none of {", ".join(_TYPES)}')


def _moment(text: str, now: datetime) -> datetime:
    """The time that "15m" (that long ago) or an ISO 8601 time names."""
    from qraft.model import us_from_iso

    try:
        if ago := re.fullmatch(r"([0-9]+)([smhd])", text):
            return now - timedelta(**{_UNITS[ago.group(2)]: int(ago.group(1))})
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us_from_iso(text))
    except (ValueError, OverflowError):
        raise UserError(
            f'--since: "{text}" is neither a length of time such as 15m, 2h or 7d nor an ISO 8601 time'
        ) from None


def _print(found: Iterable[FoundPattern], *, as_json: bool) -> None:
    import msgspec

    for pattern in found:
        if as_json:
            print(msgspec.json.encode(pattern).decode(), flush=True)
        else:
            _print_for_people(pattern)


def _print_for_people(pattern: FoundPattern) -> None:
    where = plain(f"{pattern.source}/{pattern.entity}" if pattern.entity else pattern.source)
    who = f" by {plain(pattern.verdict_user)}" if pattern.verdict_user else ""
    verdict = f"  [{pattern.verdict}{who}]" if pattern.verdict else ""
    when = pattern.timestamp[:19].replace("T", " ")
    confidence = pattern.details.confidence
    print(f"{when}  {pattern.type:14}  {confidence:.2f}  {where}  {pattern.pattern_id}{verdict}", flush=True)
    if pattern.summary:
        print(f"    {plain(pattern.summary)}", flush=True)
