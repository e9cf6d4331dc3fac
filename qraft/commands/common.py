"""What every command shares: its options, the settings in force, where the running instance is found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from qraft.config import ClickHouseAddress, NatsAddress, Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it ./config.toml, or the built-in defaults."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", "-d", help="Data directory; without it the configuration's engine.data_dir."),
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="NAME",
        help="Another database of that ClickHouse, such as one that `qraft archive restore --into NAME` made.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

DEFAULT_FILE = Path("config.toml")


class UserError(Exception):
    """A user's mistake that the command line itself found; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Instance:
    """Where the servers of an instance are found, and how to log in there; the URL of one that is not needed is empty.

    ``place`` names a machine that is reached through a tunnel, ``trouble`` says why that is cut.
    """

    data_dir: Path
    nats: NatsAddress
    clickhouse: ClickHouseAddress
    database: str
    engine: str
    place: str = ""
    trouble: Callable[[], str] = lambda: ""


def config_file(config: Path | None) -> Path | None:
    """The file that holds the configuration in force; None for the built-in defaults."""
    return config if config is not None else DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def load_settings(config: Path | None, data_dir: Path | None = None) -> Settings:
    """The configuration in force. Without any file: the defaults, and this machine as the one source.

    While an instance runs, a file with mistakes does not stop the commands that talk to it, nor its parts from being
    started again: what was in force last goes on, as it does in the engine.

    Raises:
        ConfigError: the file has mistakes, and nothing runs.
    """
    from qraft.config import ConfigError, Settings, last_good_path, load, read_run
    from qraft.config.sources import HostSource

    file = config_file(config)
    if file is None:
        return Settings(sources={"host": HostSource(adapter="host")})
    try:
        return load(file)
    except ConfigError as error:
        folder = data_directory(Settings(), data_dir)
        if read_run(folder) is None or not last_good_path(folder).exists():
            raise
        print(f"{error}\nthe configuration that was in force last goes on", file=sys.stderr)
        return load(last_good_path(folder))


def data_directory(settings: Settings, data_dir: Path | None) -> Path:
    """The data directory in force, absolute, so that child processes find the same."""
    return (data_dir if data_dir is not None else settings.data_dir).expanduser().absolute()


def find_instance(
    settings: Settings,
    data_dir: Path | None,
    *,
    nats: str = "",
    clickhouse: str = "",
    database: str = "",
    need: tuple[str, ...],
) -> Instance:
    """The instance a command talks to: addresses given, else run.json's, else the configuration's.

    Args:
        settings: the configuration in force.
        data_dir: the data directory given, if any.
        nats: the address of NATS given, if any.
        clickhouse: the address of ClickHouse given, if any.
        database: the database given, if any.
        need: which of "nats" and "clickhouse" the command talks to.

    Raises:
        UserError: nothing runs there, or an address given is none.
        LoginError: a variable that holds a secret of a needed server is not set.
    """
    from qraft.config import ClickHouseAddress, NatsAddress, RunInfo, read_run
    from qraft.config.nats_login import check_nats_url
    from qraft.config.servers import check_clickhouse_url

    _check("--nats", nats, check_nats_url)
    _check("--clickhouse", clickhouse, check_clickhouse_url)
    folder = data_directory(settings, data_dir)
    run = read_run(folder) or RunInfo(database=settings.clickhouse.database, engine=settings.engine.name)
    # Who only sends events need not hold the database's password.
    instance = Instance(
        data_dir=folder,
        nats=settings.nats.address(nats or run.nats_url) if "nats" in need else NatsAddress(""),
        clickhouse=settings.clickhouse.address(clickhouse or run.clickhouse_url)
        if "clickhouse" in need
        else ClickHouseAddress(""),
        database=database or run.database,
        engine=run.engine,
    )
    if not all(getattr(instance, part).url for part in need):
        raise UserError(f"nothing is running under {folder}; start it with `qraft up`")
    return instance


def _check(option: str, url: str, check: Callable[[str], str]) -> None:
    try:
        _ = url and check(url)
    except ValueError as error:
        raise UserError(f"{option}: {error}, got {url.rpartition('@')[2]}") from None
