"""`qraft sources`: lists them; adds, removes, pauses and resumes one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from qraft.commands.common import (
    DEFAULT_FILE,
    ConfigOption,
    DataDirOption,
    JsonOption,
    UserError,
    config_file,
    data_directory,
    find_instance,
    load_settings,
)
from qraft.commands.over_rest import UrlOption
from qraft.commands.servers import open_bus
from qraft.commands.state import sources as list_sources

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the source.")]

app = typer.Typer(name="sources", rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: qraft sources --json")
def sources(
    context: typer.Context,
    url: UrlOption = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists the sources (state, rate, lag, totals); add, remove, pause or resume one."""
    if context.invoked_subcommand is not None:
        return 0
    return list_sources(url, config, data_dir, as_json)


@app.command(epilog="Example: qraft sources add trades websocket preset=binance 'symbols=[\"btcusdt\"]'")
def add(
    name: NameArgument,
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="host, file, websocket, rest, nats or external.")],
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Its settings, as in the configuration file.")
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> int:
    """Adds a source to the configuration file; a running engine takes it up by itself."""
    from qraft.config.edit import add_source, value_of

    table: dict[str, Any] = {"adapter": adapter}
    for key in keys or []:
        left, equals, right = key.partition("=")
        if not equals or not left:
            raise UserError(f'expected KEY=VALUE, got "{key}"')
        table[left] = value_of(right)
    path = _file(config, data_dir) or DEFAULT_FILE
    if not path.exists():
        add_source(path, "host", {"adapter": "host"})  # without a file this machine is watched; with one it still is
    add_source(path, name, table)
    print(f"{path}: added {name}; a running engine takes it up by itself")
    return 0


@app.command(epilog="Example: qraft sources remove trades")
def remove(name: NameArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Takes a source out of the configuration file; a running engine ends it by itself. What was stored stays."""
    from qraft.config.edit import remove_source

    path = _file(config, data_dir)
    if path is None:
        raise UserError(f"there is no {DEFAULT_FILE} in {Path.cwd()}; name a file with --config")
    remove_source(path, name)
    print(f"{path}: removed {name}; a running engine ends it by itself")
    return 0


@app.command(epilog="Example: qraft sources pause trades")
def pause(name: NameArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Stops reading a source until it is resumed, over restarts too."""
    return _ask("pause", name, config, data_dir)


@app.command(epilog="Example: qraft sources resume trades")
def resume(name: NameArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Reads a paused source again, from where it left off."""
    return _ask("resume", name, config, data_dir)


def _file(config: Path | None, data_dir: Path | None) -> Path | None:
    """The file to edit: the one given, else ./config.toml, else the one that the running engine follows."""
    file = config_file(config)
    if file is None:
        from qraft.config import Settings, read_run

        run = read_run(data_directory(Settings(), data_dir))
        file = Path(run.config) if run is not None and run.config else None
    return file


def _ask(verb: str, name: str, config: Path | None, data_dir: Path | None) -> int:
    found = find_instance(load_settings(config, data_dir), data_dir, need=("nats",))

    async def ask() -> Any:
        async with open_bus(found) as bus:
            return await bus.request(verb, {"source": name})

    print(f"{name}: {asyncio.run(ask())['state']}")
    return 0
