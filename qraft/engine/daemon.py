"""`qraft engine`: the headless daemon as a process: servers, signals, run.json, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from qraft.bus import Bus, BusUnavailable
from qraft.config import ClickHouseAddress, NatsAddress, RunInfo, Settings, last_good_path, read_run, remove_run, write_run
from qraft.config.dump import write_settings
from qraft.detect.warm import compile_kernels
from qraft.engine.engine import Engine
from qraft.engine.runtime import set_up_logging, stop_on_signals
from qraft.engine.servers import Servers, start_servers
from qraft.ingest.base import wall_clock
from qraft.metrics import MetricsServer
from qraft.model import iso_from_us
from qraft.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

CONNECT_RETRY_SECONDS = 1.0


def run(settings: Settings, *, config: Path | None, data_dir: Path) -> int:
    """Runs the engine until SIGTERM or SIGINT; 0 when it ended in order.

    The configuration file, where there is one, is followed: edits are taken up while the engine runs.

    Servers that the configuration calls "embedded" are those of the instance that runs under ``data_dir``, or, where none
    does, children of this process.

    Raises:
        ChildError: an embedded server could not be started.
        BusRejected: NATS refuses the login; the event stream was made for another number of partitions; another engine works
            on it.
        StoreRejected: ClickHouse refuses the login.
        LoginError: a variable that holds a secret is not set.
    """
    set_up_logging(settings.engine.log_level)
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.run(_run(settings, config, data_dir))
    return asyncio.run(_run(settings, config, data_dir))


async def _run(settings: Settings, config: Path | None, data_dir: Path) -> int:
    stop = stop_on_signals()
    async with _servers(settings, data_dir) as servers:
        bus = await _connect_bus(settings.nats.address(servers.nats_url), stop)
        if bus is None:
            return 0
        try:
            store = await _connect_store(
                settings.clickhouse.address(servers.clickhouse_url), settings.clickhouse.database, stop
            )
            if store is None:
                return 0
            try:
                engine = Engine(
                    settings, bus, store, config=config, applied=lambda s: _remember(s, data_dir), data_dir=data_dir
                )
                await _serve(engine, settings, servers, data_dir, stop)
            finally:
                await store.close()
        finally:
            await bus.close()
    return 0


async def _serve(engine: Engine, settings: Settings, servers: Servers, data_dir: Path, stop: asyncio.Event) -> None:
    await asyncio.to_thread(compile_kernels)  # now, not while the first events wait
    metrics = MetricsServer(settings.metrics.host, settings.metrics.port, engine.meters.reading)
    try:
        present = read_run(data_dir) or RunInfo(
            nats_url=servers.nats_url, clickhouse_url=servers.clickhouse_url, started=iso_from_us(wall_clock())
        )
        write_run(
            data_dir,
            msgspec.structs.replace(
                present,
                pids={**present.pids, "engine": os.getpid()},
                metrics_url=metrics.url,
                engine=settings.engine.name,
                database=settings.clickhouse.database,
                config=str(engine.config or ""),
            ),
        )
        try:
            await engine.run(stop)
        finally:
            if set(present.pids) <= {"engine"}:
                remove_run(data_dir)
    finally:
        metrics.close()


@contextlib.asynccontextmanager
async def _servers(settings: Settings, data_dir: Path) -> AsyncIterator[Servers]:
    present = read_run(data_dir)
    async with start_servers(
        settings,
        data_dir,
        nats_url=present.nats_url if present is not None else "",
        clickhouse_url=present.clickhouse_url if present is not None else "",
    ) as servers:
        yield servers


def _remember(settings: Settings, data_dir: Path) -> None:
    """Keeps a copy of the configuration in force, for a restart while the file is broken."""
    try:
        write_settings(settings, last_good_path(data_dir))
    except OSError as error:
        log.warning("the configuration in force could not be kept: %s", error)


async def _connect_bus(address: NatsAddress, stop: asyncio.Event) -> Bus | None:
    while not stop.is_set():
        try:
            return await Bus.connect(address, name="engine")
        except BusUnavailable as error:
            log.warning("waiting for NATS: %s", error)
            await _pause(stop)
    return None


async def _connect_store(address: ClickHouseAddress, database: str, stop: asyncio.Event) -> Store | None:
    while not stop.is_set():
        try:
            return await Store.connect(address, database=database)
        except StoreUnavailable as error:
            log.warning("waiting for ClickHouse: %s", error)
            await _pause(stop)
    return None


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), CONNECT_RETRY_SECONDS)
