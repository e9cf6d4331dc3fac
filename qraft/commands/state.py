"""`qraft status` and `qraft sources`: how the running instance does."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import duration, plain, print_json, print_table
from qraft.commands.over_rest import UrlOption, client_of
from qraft.commands.servers import hear, open_bus, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qraft.client import SourceState
    from qraft.model import EngineStats

NOTICES_SHOWN = 5
_LEVELS = {
    "light": "light: the engine is behind, so novelty, forest and clusters rest",
    "archive": "archive: the engine is behind, so events are stored, not judged",
}


def sources(
    url: UrlOption = "", config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> int:
    """Lists the sources: state, rate, lag, totals."""
    if url:
        with client_of(url) as client:
            views = client.sources()
    else:
        found = find_instance(load_settings(config, data_dir), data_dir, need=("nats", "clickhouse"))
        views = asyncio.run(_sources(found))
    if as_json:
        print_json(views)
        return 0
    lost = any(view.dropped or view.missing for view in views)
    rows = [
        [
            plain(view.source),
            view.adapter or "-",
            view.state or "-",
            "-" if view.rate is None else f"{view.rate:.1f}",
            "-" if view.lag_seconds is None else duration(view.lag_seconds),
            str(view.events),
            str(view.patterns),
            view.last_event[:19].replace("T", " ") or "-",
            *([str(view.dropped or "-"), str(view.missing or "-")] if lost else []),
            plain(view.detail),
        ]
        for view in views
    ]
    losses = ("DROPPED", "MISSING") if lost else ()
    headers = ("SOURCE", "ADAPTER", "STATE", "EVENTS/S", "LAG", "EVENTS", "PATTERNS", "LAST EVENT", *losses, "")
    print_table(headers, rows, right=frozenset({"EVENTS/S", "LAG", "EVENTS", "PATTERNS", *losses}))
    return 0


def status(
    url: UrlOption = "", config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> int:
    """Shows the engine, its servers, its lag and the rows stored; with --url what a REST server elsewhere knows of it.

    Exit status 0 when all of it is well, 1 otherwise.
    """
    rows: dict[str, int] = {}
    database = ""
    if url:
        with client_of(url) as client:
            engines = client.stats()
        wrong, servers = _faults(engines), {"REST": url}
    else:
        found = find_instance(load_settings(config, data_dir), data_dir, need=("nats", "clickhouse"))
        engines, rows, wrong = asyncio.run(_status(found))
        servers = {"NATS": found.nats.url, "ClickHouse": found.clickhouse.url}
        database = f", database {found.database}"
    if as_json:
        servers = {name.lower(): address for name, address in servers.items()}
        print_json({"ok": not wrong, "wrong": wrong, "servers": servers, "engines": engines, "rows": rows})
        return bool(wrong)
    for engine in engines:
        waits = f" for {plain(engine.detail)}" if engine.state == "waiting" and engine.detail else ""
        print(
            f"engine {engine.engine}: {engine.state}{waits}, up {duration(engine.uptime_seconds)}, "
            f"{engine.rate:.1f} events/s, lag {duration(engine.lag_seconds)}, {engine.pending} messages waiting, "
            f"{engine.rss_bytes / 1024**2:.0f} MiB"
        )
        _print_told(engine)
    for name, address in servers.items():
        print(f"{name + ':':11} {address}{database * (name == 'ClickHouse')}")
    if rows:
        print("rows stored:")
        print_table(
            ("  TABLE", "ROWS"),
            [(f"  {table}", str(count)) for table, count in sorted(rows.items())],
            right=frozenset({"ROWS"}),
        )
    if wrong:
        raise UserError("; ".join(wrong))
    return 0


def _print_told(engine: EngineStats) -> None:
    """What gives way, was refused, is lost, and the latest notices."""
    if engine.level != "full":
        print(f"  detection:  {_LEVELS[engine.level]}")
    if engine.config_error:
        print(f"  refused:    {plain(engine.config_error)}; the configuration before stays in force")
    lost = [one for one in engine.sources if one.dropped or one.missing]
    for one in lost:
        parts = [f"{one.dropped} dropped"] * bool(one.dropped) + [f"{one.missing} missing from the feed"] * bool(one.missing)
        print(f"  {plain(one.source)}: {', '.join(parts)}")
    if engine.notices:
        counts = ", ".join(f"{plain(kind)} {count}" for kind, count in sorted(engine.notice_counts.items()))
        print(f"  notices since it started: {counts}; the latest:")
    for notice in engine.notices[-NOTICES_SHOWN:]:
        about = f"{plain(notice.source)}: " if notice.source else ""
        print(f"    {notice.timestamp[:19].replace('T', ' ')}  {about}{plain(notice.kind)}: {plain(notice.text)}")


async def _sources(found: Instance) -> list[SourceState]:
    import msgspec

    from qraft.api.views import sources_now
    from qraft.bus import BusError
    from qraft.client import SourceState

    engines: list[EngineStats] = []
    try:
        async with open_bus(found) as bus:
            engines = await hear(bus, found.engine)
    except BusError as error:
        print(f"qraft: {error}; only what is stored is shown", file=sys.stderr)
    else:
        if not engines:
            print("qraft: no engine speaks; only what is stored is shown", file=sys.stderr)
    async with open_store(found) as store:
        views = sources_now(await store.history.sources(), engines)
    return [msgspec.convert(view.model_dump(), SourceState) for view in views]


async def _status(found: Instance) -> tuple[list[EngineStats], dict[str, int], list[str]]:
    """What engines say, the rows stored, and a sentence for each thing that is not well."""
    from qraft.bus import BusError
    from qraft.store import StoreError

    wrong: list[str] = []
    engines: list[EngineStats] = []
    rows: dict[str, int] = {}
    try:
        async with open_bus(found) as bus:
            engines = await hear(bus, found.engine)
        wrong += _faults(engines)
    except BusError as error:
        wrong.append(str(error))
    try:
        async with open_store(found) as store:
            rows = await store.history.counts()
    except (StoreError, UserError) as error:
        wrong.append(str(error))
    return engines, rows, wrong


def _faults(engines: Sequence[EngineStats]) -> list[str]:
    """A sentence for each thing that is not well with the engines."""
    wrong: list[str] = []
    if not engines:
        wrong.append("no engine speaks; start one with `qraft engine`")
    for engine in engines:
        if engine.level != "full":
            wrong.append(f"engine {engine.engine} does not judge in full: level {engine.level}")
        if engine.config_error:
            wrong.append(f"engine {engine.engine} refused the configuration")
        if engine.state == "waiting":
            wrong.append(f"engine {engine.engine} waits: {engine.detail or 'no reason given'}")
        elif engine.state != "running":
            wrong.append(f"engine {engine.engine} is {engine.state}")
    return wrong
