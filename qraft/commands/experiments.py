"""`qraft experiments`: the replays that were recorded; shown, compared, promoted, removed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, data_directory, load_settings
from qraft.commands.output import plain, print_json, print_table

if TYPE_CHECKING:
    from qraft.config import Settings
    from qraft.replay.experiments import Book, Difference, Experiment
    from qraft.replay.summary import Summary

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As listed; the first letters are enough.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_MOST_SCORES = 3

app = typer.Typer(name="experiments", rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: qraft experiments --figure patterns.anomaly")
def experiments(
    context: typer.Context,
    figures: Annotated[
        list[str] | None, typer.Option("--figure", metavar="NAME", help="Also show this figure; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists the replays that were recorded, newest first; show, compare, promote or remove one."""
    if context.invoked_subcommand is not None:
        return 0
    from qraft.replay.experiments import scores

    found = _book(config, data_dir).all()
    if as_json:
        print_json(found)
        return 0
    if not found:
        print("no experiments; each `qraft replay` records one")
        return 0
    named = figures or list(dict.fromkeys(name for one in found for name in scores(one)))[:_MOST_SCORES]
    headers = ["id", "when", "inputs", "rows", "patterns", *named, "config", "code", "seconds"]
    right = frozenset({"rows", "patterns", "seconds", *named})
    print_table(headers, [_row(one, named) for one in found], right=right)
    return 0


@app.command(epilog="Example: qraft experiments show 3f2a")
def show(
    experiment: IdArgument, config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> int:
    """Shows all that was recorded of one replay."""
    one = _book(config, data_dir).find(experiment)
    if as_json:
        print_json(one)
        return 0
    print(f"experiment  {one.id}")
    print(f"when        {_when(one.when)} UTC, {one.seconds:.1f} s")
    print(f"code        qraft {one.version}{f', files {one.code}' if one.code else ''}")
    for name, value in one.arguments.items():
        print(f"{name:11} {plain(value)}")
    print("\ninputs (SHA-256)")
    for file in one.inputs:
        print(f"  {file.sha256}  {plain(file.file)}")
    print(f"\nconfiguration {one.config_digest}")
    print("".join(f"  {line}\n" if line else "\n" for line in one.config.splitlines()))
    print("figures")
    width = max(map(len, one.figures), default=0)
    for name, number in one.figures.items():
        print(f"  {plain(name):{width}}  {_figure(number)}")
    return 0


@app.command(epilog="Example: qraft experiments compare 3f2a 9c01")
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="As listed; the first letters are enough.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also the figures of single inputs that are equal.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Shows two replays side by side: what differs in configuration, code and inputs, and every figure."""
    import msgspec

    from qraft.replay.experiments import compare as differences

    book = _book(config, data_dir)
    one, other = book.find(a), book.find(b)
    found = differences(one, other)
    if as_json:
        print_json({"a": one.id, "b": other.id, **msgspec.to_builtins(found)})
        return 0
    for title, parts, letters in (
        ("configuration", found.config, 0),
        ("code", found.code, 12),
        ("arguments", found.arguments, 0),
        ("inputs", found.inputs, 12),
    ):
        if parts:
            print(f"{title}: differs")
            rows = [(plain(d.name), _value(d.a, letters), _value(d.b, letters)) for d in parts]
            print_table(("", one.id[:8], other.id[:8]), [(f"  {name}", left, right) for name, left, right in rows])
        else:
            print(f"{title}: the same")
    print()
    shown = [d for d in found.figures if everything or ": " not in d.name or d.a != d.b]
    print_table(
        ("figure", one.id[:8], other.id[:8], "difference"),
        [(plain(d.name), _figure(d.a), _figure(d.b), _change(d)) for d in shown],
        right=frozenset({one.id[:8], other.id[:8], "difference"}),
    )
    return 0


@app.command(epilog="Example: qraft experiments promote best --by labelled.low_fp")
def promote(
    experiment: Annotated[str, typer.Argument(metavar="ID|best", help="As listed, or best.")],
    by: Annotated[str, typer.Option("--by", metavar="FIGURE", help="What best means; else the score against labels.")] = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> int:
    """Writes a replay's detector settings into the configuration file: shows the change, and asks.

    Comments stay. "best" chooses among the replays over the same inputs as the newest.
    """
    from qraft.commands.proposal import file_to_edit, write_detectors
    from qraft.replay.experiments import CHIEF, SHOWN_LETTERS, best, detectors_of, less_is_better

    book = _book(config, data_dir)
    if experiment == "best":
        one = best(book.all(), by)
        figure = by or CHIEF
        order = ", less is better" if less_is_better(figure) else ""
        said = f"{figure} {_figure(one.figures[figure])}{order}"
        print(f"best of those over the same inputs: {one.id[:SHOWN_LETTERS]} ({said})")
    else:
        one = book.find(experiment)
    file = file_to_edit(config)
    return 0 if write_detectors(file, "", detectors_of(one), yes=yes) else 1


@app.command(epilog="Example: qraft experiments remove 3f2a")
def remove(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As listed; the first letters are enough.")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> int:
    """Takes replays out of the record; their results stay where they were written."""
    book = _book(config, data_dir)
    for one in [book.find(name) for name in ids]:
        book.remove(one)
        print(f"removed {one.id}")
    return 0


def record(
    summary: Summary,
    *,
    settings: Settings,
    data_dir: Path | None,
    like: str,
    inputs: Sequence[Path],
    out: Path,
    arguments: Mapping[str, str],
    labels: Sequence[Path] = (),
) -> str:
    """Keeps a replay that has just ended; its id. Where that fails, a warning on standard error, and an empty text."""
    from datetime import UTC, datetime

    from qraft.model import iso_from_us, us_from_datetime
    from qraft.replay.experiments import Book, experiment_of

    book = Book(data_directory(settings, data_dir))
    try:
        one = experiment_of(
            summary,
            settings=settings,
            like=like,
            inputs=inputs,
            out=out,
            when=iso_from_us(us_from_datetime(datetime.now(UTC))),
            arguments=arguments,
            labels=labels,
        )
        book.add(one)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"qraft: this replay was not recorded: {why}", file=sys.stderr)
        return ""
    return one.id


def _book(config: Path | None, data_dir: Path | None) -> Book:
    from qraft.replay.experiments import Book

    return Book(data_directory(load_settings(config, data_dir), data_dir))


def _row(one: Experiment, named: Sequence[str]) -> list[str]:
    figures = one.figures
    files = [file.file for file in one.inputs if not file.file.startswith("labels ")]
    inputs = plain(files[0]) if len(files) == 1 else f"{len(files)} files"
    found = sum(value for name, value in figures.items() if name.startswith("patterns."))
    return [
        one.id[:8],
        _when(one.when),
        f"{inputs} like {one.arguments['like']}" if "like" in one.arguments else inputs,
        _figure(figures.get("rows")),
        _figure(found),
        *(_figure(figures.get(name)) for name in named),
        one.config_digest[:8],
        one.code[:8] or one.version,
        f"{one.seconds:.1f}",
    ]


def _when(text: str) -> str:
    return text[:19].replace("T", " ")


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def _change(difference: Difference) -> str:
    if difference.a is None or difference.b is None:
        return ""
    change = difference.b - difference.a
    return "0" if change == 0 else f"{'+' if change > 0 else '-'}{_figure(abs(change))}"


def _value(value: object, letters: int) -> str:
    """A setting as it stands in TOML, a digest cut to ``letters`` of it."""
    if value is None:
        return "-"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return plain(text[:letters] if letters else text)
