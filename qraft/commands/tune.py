"""`qraft tune`: settings that suit one's own stream."""

from __future__ import annotations

import asyncio
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.kernels import prepare_detectors
from qraft.commands.servers import open_store

if TYPE_CHECKING:
    from qraft.config import Settings
    from qraft.model import Event
    from qraft.store import StoredPattern

_MOST_PATTERNS = 10_000


def tune(
    stream: Annotated[str, typer.Argument(metavar="STREAM|FILE", help="A source by its name, or a CSV or NDJSON file.")],
    *,
    time: Annotated[str, typer.Option("--time", metavar="COLUMN", help="Of a file: column of event time, or row.")] = "",
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Of a file: labelled windows, as `qraft replay` takes.")
    ] = None,
    delimiter: Annotated[str, typer.Option("--delimiter", metavar="C", help="Of a file: between its columns.")] = "",
    fields: Annotated[str, typer.Option("--fields", metavar="A,B", help="Of a file: columns to watch.")] = "",
    like: Annotated[str, typer.Option("--like", metavar="SOURCE", help="Of a file: judge as this source.")] = "",
    rows: Annotated[int, typer.Option("--rows", min=200, max=1_000_000, metavar="N", help="Use the last N rows.")] = 20_000,
    target: Annotated[
        float, typer.Option("--target", min=0.01, metavar="N", help="Findings a day that are not too many.")
    ] = 5.0,
    budget: Annotated[int, typer.Option("--budget", min=2, max=1000, metavar="N", help="Try at most N settings.")] = 48,
    write: Annotated[bool, typer.Option("--write", help="Offer to write the proposal to the configuration file.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --write: do not ask.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Trials at once; without it one a core.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Proposes detector settings for a stream from its history and the verdicts on its patterns.

    Replays the stream with other settings, chooses on its first part, checks on the rest, and shows what would have gone
    and come. Writes nothing without --write.
    """
    from qraft.commands.output import plain, print_json
    from qraft.commands.proposal import file_to_edit, write_detectors
    from qraft.commands.tune_lines import as_builtins, lines
    from qraft.replay.tune import file_task, stored_task, tune as search

    if as_json and write:
        raise UserError("--json and --write are two ways to end; give one of them")
    prepare_detectors()
    settings = load_settings(config, data_dir)
    if write:
        file_to_edit(config)  # a mistake here is told before the long part
    if is_file(stream):
        if not time:
            raise UserError(f'{stream}: --time is missing; name the column of event time, or "row" for the row number')
        task = file_task(
            Path(stream),
            settings,
            time=time,
            delimiter=delimiter,
            fields=[name.strip() for name in fields.split(",") if name.strip()],
            like=like,
            labels=labels,
            rows=rows,
            target=target,
            budget=budget,
        )
        verdicts, owner = {}, like
    else:
        if time or labels is not None or delimiter or fields or like:
            raise UserError(f'"{stream}" is a source; --time, --labels, --delimiter, --fields and --like are for files')
        found = find_instance(settings, data_dir, need=("clickhouse",))
        events, patterns = asyncio.run(_history(found, stream, rows))
        task = stored_task(events, patterns, settings, stream, target=target, budget=budget)
        verdicts, owner = (
            {one.pattern.pattern_id: one.verdict for one in patterns if one.verdict},
            owner_of(settings, stream),
        )
    proposal = search(task, workers=workers, progress=not as_json)
    if as_json:
        print_json(as_builtins(task, proposal, owner))
        return 0
    for line in lines(stream, task, proposal, owner, verdicts):
        print(plain(line))
    if not write or not proposal.best.changes or not proposal.holds:
        return 0
    return 0 if write_detectors(file_to_edit(config), owner, proposal.best.detect, yes=yes) else 1


def is_file(stream: str) -> bool:
    """Whether a stream is named by a path: a source's name has neither dots nor slashes."""
    return "." in stream or "/" in stream


def owner_of(settings: Settings, source: str) -> str:
    """The configured source whose detectors judge ``source``: itself, or the one that feeds it; empty for [detect]."""
    if source in settings.sources:
        return source
    return next((name for name, own in settings.sources.items() if source in own.feeds(name)), "")


async def _history(found: Instance, source: str, rows: int) -> tuple[list[Event], list[StoredPattern]]:
    """A source's last events, and the patterns with a verdict among its latest.

    Raises:
        UserError: nothing is stored of it.
    """
    from qraft.model import NOTICE, TICK
    from qraft.store import PatternQuery

    async with open_store(found) as store:
        events = [one for one in await store.recorded.events(source, rows) if one.type not in (NOTICE, TICK)]
        if not events:
            known = [one.source for one in await store.history.sources() if one.events and not one.source.startswith("_")]
            close = difflib.get_close_matches(source, known, 1, 0.5)
            hint = f'did you mean "{close[0]}"?' if close else f"stored: {', '.join(known) or 'nothing'}"
            raise UserError(f'no event of a source "{source}" is stored; {hint}')
        patterns: list[StoredPattern] = []
        for verdict in ("confirmed", "false_positive", "expected", "new_normal"):
            patterns += await store.history.patterns(PatternQuery(sources=[source], verdict=verdict, limit=_MOST_PATTERNS))
    return events, patterns
