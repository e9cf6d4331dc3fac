"""An instance on another machine, for as long as a command looks at it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from qraft.commands.common import Instance, UserError

if TYPE_CHECKING:
    from qraft.config import Settings

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def instance_over_ssh(
    settings: Settings, destination: str, data_dir: Path | None, *, nats: str = "", clickhouse: str = ""
) -> Iterator[Instance]:
    """The instance that runs under a data directory of another machine, its servers led to ports here.

    Args:
        settings: the configuration in force here: the database's user and password, and the folder for what is kept here.
        destination: where ssh goes.
        data_dir: the data directory there; ``~`` is the home there. None for the usual one.
        nats: the address of NATS as that machine names it, in place of run.json's.
        clickhouse: the address of ClickHouse likewise.

    Raises:
        UserError: the machine or the instance cannot be reached, or nothing runs there.
        LoginError: a variable that holds a secret is not set.
    """
    from qraft.config import RunInfo
    from qraft.config.settings import EngineSettings
    from qraft.remote import Destination, RemoteError, Tunnel, Wanted

    try:
        nats_login, clickhouse_login = settings.nats.address(), settings.clickhouse.address()
        there = Destination.parse(destination)
        wanted = Wanted(
            data_dir=data_dir.as_posix() if data_dir is not None else EngineSettings().data_dir,
            nats_url=nats,
            clickhouse_url=clickhouse,
            otherwise=RunInfo(database=settings.clickhouse.database, engine=settings.engine.name),
        )
        tunnel = Tunnel(there, wanted, os.environ)
        with _signals_end_in_order():
            try:
                run = tunnel.open(_say).run
                yield Instance(
                    data_dir=settings.data_dir.absolute() / "remote" / there.folder(data_dir.as_posix() if data_dir else ""),
                    nats=nats_login.at(run.nats_url),
                    clickhouse=clickhouse_login.at(run.clickhouse_url),
                    database=run.database,
                    engine=run.engine,
                    place=str(there),
                    trouble=lambda: tunnel.trouble,
                )
            finally:
                for number in (*_ENDINGS, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)  # what was started is ended first, within seconds
                trouble = tunnel.trouble
                tunnel.close()
    except RemoteError as error:
        raise UserError(str(error)) from None
    if trouble:
        _say(f"the line to {there} was down: {trouble}")


@contextlib.contextmanager
def _signals_end_in_order() -> Iterator[None]:
    """The signals that end a process become an exception, so that what it started is ended too."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (*_ENDINGS, signal.SIGINT)}
    try:
        for number in _ENDINGS:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
