"""`qraft explain`: why a pattern was raised."""

from __future__ import annotations

import asyncio
import shutil
import sys
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
from qraft.commands.servers import open_store

if TYPE_CHECKING:
    from qraft.commands.explain_lines import Explanation
    from qraft.store import Store, StoredPattern

REFERENCE_ROWS: Final = 300
"""Rows before the change that are shown."""
CURRENT_ROWS: Final = 2000
"""Most rows from the change on that are looked at."""
FOLLOWING_ROWS: Final = 60
"""Rows after the pattern that are shown."""
_SIMILAR: Final = 5
_PREFIXES: Final = 6


def explain(
    pattern_id: Annotated[
        str, typer.Argument(metavar="PATTERN_ID", help="As `qraft patterns` shows it; its first letters are enough.")
    ],
    database: DatabaseOption = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Tells on one screen why a pattern was raised.

    Its sentence, how sure it is, the fields with their share, the numbers, the stream before and after, the verdicts on it,
    and similar findings of the past with theirs.
    """
    from qraft.commands.explain_lines import as_builtins, lines
    from qraft.commands.output import plain, print_json

    found = find_instance(load_settings(config, data_dir), data_dir, database=database, need=("clickhouse",))
    explanation = asyncio.run(_explain(found, pattern_id.strip()))
    if as_json:
        print_json(as_builtins(explanation))
        return 0
    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    unicode = "utf" in (sys.stdout.encoding or "").lower()
    for line in lines(explanation, width, ascii_only=not unicode):
        print(plain(line))
    return 0


async def _explain(found: Instance, prefix: str) -> Explanation:
    from qraft.commands.explain_lines import Explanation
    from qraft.model import us_from_iso

    async with open_store(found) as store:
        stored = await _pattern(store, prefix)
        pattern = stored.pattern
        at_us = us_from_iso(pattern.timestamp)
        began_us = us_from_iso(pattern.began) if pattern.began else at_us
        events = await store.history.events_around(
            pattern.source, pattern.entity, began_us - 1, REFERENCE_ROWS, CURRENT_ROWS
        )
        similar = await store.past.similar(pattern, _SIMILAR)
        verdicts = await store.history.feedback(pattern.pattern_id)
    until = [event for event in events if event.time_us <= at_us]
    following = [event for event in events if event.time_us > at_us][:FOLLOWING_ROWS]
    return Explanation(
        stored=stored,
        began_us=began_us,
        at_us=at_us,
        events=[*until, *following],
        verdicts=verdicts,
        similar=similar.patterns,
        similar_verdicts=similar.verdicts,
    )


async def _pattern(store: Store, prefix: str) -> StoredPattern:
    """The one stored pattern whose id begins with ``prefix``.

    Raises:
        UserError: there is none, or there are several.
    """
    ids = await store.recorded.pattern_ids(prefix, _PREFIXES) if prefix else []
    if len(ids) > 1 and prefix not in ids:
        more = " and more" if len(ids) == _PREFIXES else ""
        raise UserError(f'"{prefix}" begins several ids: {", ".join(ids[: _PREFIXES - 1])}{more}; give more letters')
    stored = await store.history.pattern(prefix if prefix in ids else ids[0]) if ids else None
    if stored is None:
        raise UserError(f'no pattern "{prefix}" is stored; `qraft patterns` lists them')
    return stored
