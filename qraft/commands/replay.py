"""`qraft replay`: files through the same pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qraft.commands.common import ConfigOption, JsonOption, load_settings


def replay(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="CSV or NDJSON files, or folders; of a folder every such file.")
    ],
    *,
    time: Annotated[str, typer.Option("--time", metavar="COLUMN", help='Column of event time; "row" for the row number.')],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for scores, patterns and the summary.")],
    delimiter: Annotated[
        str, typer.Option("--delimiter", metavar="C", help="Between the columns; else a comma, a tab in .tsv.")
    ] = "",
    fields: Annotated[
        str, typer.Option("--fields", metavar="A,B", help="Columns to watch; without it all numeric ones.")
    ] = "",
    like: Annotated[
        str,
        typer.Option(
            "--like", metavar="SOURCE", help="Judge as this source of the configuration: steps, entity, detectors."
        ),
    ] = "",
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Files at once; without it one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Finds the patterns in recorded files.

    Each file is one source. Writes one score file an input, all patterns, the rows that could not be read, and a summary.
    """
    from qraft.replay import replay as run

    summary = run(
        inputs,
        time=time,
        delimiter=delimiter,
        fields=[name.strip() for name in fields.split(",") if name.strip()],
        settings=load_settings(config),
        like=like,
        out=out,
        workers=workers,
        progress=not as_json,
    )
    if as_json:
        print(summary.json().decode(), end="")
        return 0
    from rich.console import Console

    Console().print(summary.table())
    print(f"scores, patterns.jsonl, rejects.jsonl and summary.json are in {out}")
    return 0
