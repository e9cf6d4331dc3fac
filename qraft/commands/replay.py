"""`qraft replay`: files through the same pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, load_settings
from qraft.commands.kernels import prepare_detectors


def replay(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="CSV or NDJSON files, or folders; of a folder every such file.")
    ],
    *,
    time: Annotated[
        str,
        typer.Option(
            "--time", metavar="COLUMN", help='Column of event time; "row" for the row number. Events bring their own.'
        ),
    ] = "",
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
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help='Score against windows: {"file.csv": [["start", "end"], ...]}.'),
    ] = None,
    labels_column: Annotated[
        str, typer.Option("--labels-column", metavar="COLUMN", help="Score against a column that is 1 in labelled rows.")
    ] = "",
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw every input as SVG; with labels that is always done.")
    ] = False,
    png: Annotated[
        bool, typer.Option("--png", help="Draw PNG too; needs rsvg-convert, resvg, Inkscape or Chromium.")
    ] = False,
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Files at once; without it one a core.")
    ] = None,
    no_record: Annotated[
        bool, typer.Option("--no-record", help="Do not record this replay for `qraft experiments`.")
    ] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Finds the patterns in recorded files.

    Each file is one source. Writes one score file an input, all patterns, the rows that could not be read, and a summary;
    with labels also how well each detector found them (scores.json), and a picture of each input.
    """
    from qraft.commands.experiments import record
    from qraft.replay import replay as run

    settings = load_settings(config, data_dir)
    prepare_detectors()
    summary = run(
        inputs,
        time=time,
        delimiter=delimiter,
        fields=[name.strip() for name in fields.split(",") if name.strip()],
        settings=settings,
        like=like,
        labels=labels,
        labels_column=labels_column,
        pictures=pictures,
        png=png,
        out=out,
        workers=workers,
        progress=not as_json,
    )
    recorded = ""
    if not no_record:
        recorded = record(
            summary,
            settings=settings,
            data_dir=data_dir,
            like=like,
            inputs=inputs,
            out=out,
            arguments={"time": time, "delimiter": delimiter, "fields": fields, "labels-column": labels_column},
            labels=[labels] if labels is not None else [],
        )
    if as_json:
        print(summary.json().decode(), end="")
        return 0
    from rich.console import Console

    from qraft.replay.report import read_report
    from qraft.replay.run import PICTURES, SCORES

    Console().print(summary.table())
    more = ""
    if summary.labelled:
        report = read_report(out / SCORES)
        print()
        Console().print(report.table())
        print("\n".join([*report.sentences(), ""]))
        more = f", {SCORES}"
    if summary.labelled or pictures or png:
        more += f", {PICTURES}"
    print(f"scores, patterns.jsonl, rejects.jsonl{more} and summary.json are in {out}")
    if recorded:
        print(f"recorded as experiment {recorded[:8]}; see `qraft experiments`")
    return 0
