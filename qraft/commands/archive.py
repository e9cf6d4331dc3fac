"""`qraft archive`: what the cold archive holds, archiving now, and bringing days back."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import plain, print_json, print_table
from qraft.commands.servers import open_bus, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from qraft.config import Settings
    from qraft.store.archive_manifest import Manifest
    from qraft.store.archive_place import Place

UrlOption = Annotated[
    str,
    typer.Option(
        "--url", metavar="PLACE", help='Folder or "s3://bucket/prefix" of the archive, in place of the configured.'
    ),
]

POLL_SECONDS: Final = 0.3
_RANGE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.\.(\d{4}-\d{2}-\d{2}))?")
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"

app = typer.Typer(name="archive", rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: qraft archive list")
def archive(context: typer.Context, config: ConfigOption = None, url: UrlOption = "", as_json: JsonOption = False) -> int:
    """Lists the archived days; archive now, or bring days back. [store.archive] in config.toml says where the archive is."""
    return 0 if context.invoked_subcommand is not None else _list(config, url, as_json=as_json)


@app.command("list", epilog="Example: qraft archive list --json")
def list_days(config: ConfigOption = None, url: UrlOption = "", as_json: JsonOption = False) -> int:
    """Lists the archived days: rows of each table, files, bytes. Nothing needs to run for that."""
    return _list(config, url, as_json=as_json)


@app.command(epilog="Example: qraft archive run")
def run(config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> int:
    """Has the running engine archive what is due now, and delete what is past its days; shows how far it is.

    The engine looks for that every five minutes by itself. A day is due an hour after its end.
    """
    found = find_instance(load_settings(config, data_dir), data_dir, need=("nats",))
    done = asyncio.run(_run(found, quiet=as_json))
    if as_json:
        print_json(done)
    if done["error"]:
        raise UserError(plain(done["error"]))
    if not as_json:
        waits = f"; {_count(done['pending_days'], 'day')} still to do" if done["pending_days"] else ""
        print(f"{done['url']}: {_count(done['rows'], 'row')} archived since the engine started{waits}")
    return 0


@app.command(epilog="Example: qraft archive restore 2026-11-01..2026-11-07 --source host --to november")
def restore(
    days: Annotated[str, typer.Argument(metavar="FROM[..TO]", help="A day (UTC, of arrival), or the first and the last.")],
    *,
    source: Annotated[list[str] | None, typer.Option("--source", "-s", help="Of this source; may be repeated.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Write the events into files that `qraft replay` reads.")
    ] = None,
    into: Annotated[
        str, typer.Option("--into", metavar="DATABASE", help="Load all tables into this database, where they stay for good.")
    ] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> int:
    """Brings archived days back: their events as files to replay, or all that is archived into a database of its own.

    Each file is checked against its manifest first; one that is damaged is named, and nothing is written.
    """
    settings, (first, last) = load_settings(config, data_dir), _days(days)
    if (to is None) == (not into):
        raise UserError("name one of --to FOLDER and --into DATABASE")
    from qraft.store.archive_restore import choose_days, write_events

    place = _place(settings, url)
    manifests = choose_days(place, first, last)
    tell = _teller(quiet=as_json)
    if to is not None:
        counts = write_events(place, manifests, to, sources=source or (), tell=tell)
        hint = f"replay them with `qraft replay {to} --out RESULTS`, and --like SOURCE for a source's own settings"
    else:
        counts = asyncio.run(_load(settings, data_dir, place, manifests, into=into, sources=source or []))
        hint = f"they stand in the database {into} of the same server, where they stay until you drop it"
    if as_json:
        print_json({"days": [manifest.day for manifest in manifests], "rows": counts})
        return 0
    kind = "SOURCE" if to is not None else "TABLE"
    print_table((kind, "ROWS"), [(name, str(rows)) for name, rows in sorted(counts.items())], right=frozenset({"ROWS"}))
    print(f"{_count(len(manifests), 'day')} restored; {hint}" if counts else "these days hold no such rows")
    return 0


def _list(config: Path | None, url: str, *, as_json: bool) -> int:
    from qraft.store.archive_manifest import days, read_manifest

    place = _place(load_settings(config), url)
    found = [(day, read_manifest(place, day)) for day in days(place)]
    if as_json:
        listed = [_shown(manifest) for _, manifest in found if manifest is not None]
        print_json({"url": str(place), "days": listed, "unfinished": [str(day) for day, m in found if m is None]})
        return 0
    if not found:
        print(f"{place}: no day is archived yet")
        return 0
    tables = sorted({table for _, manifest in found if manifest is not None for table in manifest.rows})
    rows = [
        [
            str(day),
            *([str(manifest.rows.get(table, 0)) for table in tables] if manifest else ["-"] * len(tables)),
            str(manifest.files) if manifest else "-",
            _size(manifest.bytes) if manifest else "not finished",
        ]
        for day, manifest in found
    ]
    print_table(("DAY", *tables, "FILES", "SIZE"), rows, right=frozenset({*tables, "FILES", "SIZE"}))
    print(f"{place}: {_count(len(found), 'day')}, {_size(sum(m.bytes for _, m in found if m is not None))}")
    return 0


def _shown(manifest: Manifest) -> dict[str, Any]:
    return {
        "day": manifest.day,
        "rows": manifest.rows,
        "files": manifest.files,
        "bytes": manifest.bytes,
        "qraft": manifest.qraft,
        "schema": manifest.schema,
        "database": manifest.origin,
    }


async def _run(found: Any, *, quiet: bool) -> dict[str, Any]:
    from qraft.bus import BusUnavailable

    async with open_bus(found) as bus:
        try:
            state: dict[str, Any] = await bus.request("archive", {"run": True})
        except BusUnavailable:
            raise UserError("no engine answers, and it is the engine that archives; start it with `qraft up`") from None
        # A look that was under way may have begun before this was asked, so the one after it counts.
        until, told = state["round"] + (2 if state["working"] else 1), ""
        while state["round"] < until:
            await asyncio.sleep(POLL_SECONDS)
            state = await bus.request("archive", {})
            if not quiet and state["doing"] and (line := f"{state['doing']}: {_count(state['rows'], 'row')}") != told:
                print(told := line, file=sys.stderr)
        return state


async def _load(
    settings: Settings, data_dir: Path | None, place: Place, manifests: list[Manifest], *, into: str, sources: list[str]
) -> dict[str, int]:
    from dataclasses import replace

    from qraft.store.archive_restore import insert_tables

    found = find_instance(settings, data_dir, need=("clickhouse",))
    if not re.fullmatch(_NAME, into):
        raise UserError(f'--into "{into}": expected a name of letters, digits and _ only, no digit first')
    if into == found.database:
        raise UserError(f"--into {into}: this is the engine's own database, which would delete the days again; take another")
    async with open_store(replace(found, database=into)) as store:
        await store.migrate(None)
        return await asyncio.to_thread(
            insert_tables, place, manifests, store.link(), into, sources=sources, tell=_teller(quiet=True)
        )


def _place(settings: Settings, url: str) -> Place:
    from pydantic import ValidationError

    from qraft.config.store import ArchiveSettings
    from qraft.store.archive_place import open_place

    configured = settings.store.archive
    if not url:
        return open_place(configured)
    try:
        return open_place(ArchiveSettings.model_validate({**configured.model_dump(), "url": url}).anchored(Path.cwd()))
    except ValidationError as error:
        raise UserError(f"--url: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _days(text: str) -> tuple[date, date]:
    from datetime import date

    found = _RANGE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2] or found[1])
    except ValueError:
        raise UserError(f'"{text}" is no day; expected 2026-11-01 or 2026-11-01..2026-11-07') from None
    if last < first:
        raise UserError(f'"{text}": the last day is before the first')
    return first, last


def _teller(*, quiet: bool) -> Callable[[str, int], None]:
    """Says on a terminal how far it is."""
    shown = not quiet and sys.stderr.isatty()

    def tell(day: str, rows: int) -> None:
        if shown:
            print(f"\r\x1b[K{day}: {rows} rows", end="", file=sys.stderr, flush=True)

    return tell


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
