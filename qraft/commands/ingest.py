"""`qraft ingest`: lines that are piped in, or the lines of files, as events of a running instance."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import print_json
from qraft.commands.over_rest import UrlOption, async_client_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from qraft.commands.ingest_ways import Way
    from qraft.config import NatsAddress
    from qraft.ingest.lines import LineSettings

FORMATS = ("auto", "ndjson", "csv", "text")


def ingest(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files to read; without any, stdin.")
    ] = None,
    *,
    source: Annotated[str, typer.Option("--source", "-s", help="Name of the source the events get.")],
    form: Annotated[
        str, typer.Option("--format", help="auto (by the first line), ndjson, csv (header first) or text (a number a line).")
    ] = "auto",
    time: Annotated[str, typer.Option("--time", help="Field of event time; without it the time of arrival.")] = "",
    id_field: Annotated[
        str, typer.Option("--id", metavar="FIELD", help="Field that tells events apart; the same value twice is one event.")
    ] = "",
    delimiter: Annotated[str, typer.Option("--delimiter", help=r"Between the columns of CSV; \t is a tab.")] = ",",
    nats: Annotated[str, typer.Option("--nats", help="Address of NATS, in place of the running instance's.")] = "",
    url: UrlOption = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Sends lines from stdin, or from files, to a running instance.

    NDJSON, CSV or plain numbers. Waits while the instance is behind or away; what cannot be used becomes a dead letter, or,
    with --url, is told and left out.
    """
    from qraft.commands.ingest_run import feed
    from qraft.commands.ingest_ways import to_bus, to_rest
    from qraft.ingest.base import SourceError

    settings = _settings(source, form, time, id_field, delimiter)
    inputs = files or [Path("-")]
    for path in inputs:
        if path != Path("-") and not path.is_file():
            raise UserError(f"{path}: no such file")

    def locate() -> NatsAddress:
        return find_instance(load_settings(config, data_dir), data_dir, nats=nats, need=("nats",)).nats

    async def send(opened: AbstractAsyncContextManager[Way]) -> Way:
        async with opened as way:
            await feed(settings, inputs, way)
            return way

    if Path("-") in inputs and sys.stdin.isatty():
        print("reading lines from the terminal; Ctrl-D ends them", file=sys.stderr)
    try:
        done = asyncio.run(send(to_rest(lambda: async_client_of(url)) if url else to_bus(locate)))
    except SourceError as error:
        raise UserError(str(error)) from None
    _report(done, source, as_json=as_json)
    return 0


def _settings(source: str, form: str, time: str, id_field: str, delimiter: str) -> LineSettings:
    import os

    from qraft.config.base import SOURCE_NAME
    from qraft.ingest.base import wall_clock
    from qraft.ingest.lines import LineSettings

    if not re.fullmatch(SOURCE_NAME, source):
        raise UserError(f'--source "{source}": expected a name of letters, digits, - and _ only, 64 at most')
    for known in FORMATS:
        if form == known:
            break
    else:
        raise UserError(f'--format "{form}": expected one of {", ".join(FORMATS)}')
    delimiter = "\t" if delimiter == r"\t" else delimiter
    if len(delimiter) != 1:
        raise UserError(f'--delimiter "{delimiter}": expected one character')
    run = f"{wall_clock()}-{os.getpid()}"
    return LineSettings(source, run, wall_clock, known, delimiter, time, id_field)  # type: ignore[arg-type]  # one of FORMATS


def _report(done: Way, source: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"source": source, "events": done.events, "dead": done.letters})
    else:
        print(f"sent {_count(done.events, 'event')}, {_count(done.letters, 'dead letter')}", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
