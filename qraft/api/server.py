"""`qraft api`: the REST interface over HTTP, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI

from qraft.api.app import create_app
from qraft.api.links import Links, links
from qraft.config import read_run, write_run
from qraft.model import iso_from_us, us_from_datetime


class ApiError(Exception):
    """A mistake of the user in where to listen; the text is a sentence for people."""


def serve(
    *,
    host: str,
    port: int,
    nats_url: str,
    clickhouse_url: str,
    database: str,
    user: str,
    password: str,
    data_dir: Path,
) -> int:
    """Serves until SIGINT or SIGTERM; 0 when it ended in order.

    Args:
        host: a loopback address or "localhost".
        port: the port; 0 takes a free one.
        nats_url: NATS; it need not be there yet.
        clickhouse_url: ClickHouse; it need not be there yet.
        database: database with Qraft's tables.
        user: user of ClickHouse.
        password: its password.
        data_dir: where a running instance's run.json is; while the server runs, its address stands there.

    Raises:
        ApiError: the host is not loopback, or the port cannot be had.
    """
    listener = listen(host, port)
    chosen: int = listener.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{chosen}"
    opened: list[Links] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with links(
            nats_url=nats_url, clickhouse_url=clickhouse_url, database=database, user=user, password=password
        ) as both:
            opened.append(both)
            _note(data_dir, url)
            try:
                yield
            finally:
                _forget(data_dir)

    app = create_app(lambda: opened[0], now=_now, lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    print(f"REST interface on {url}, described by {url}/openapi.json", flush=True)
    with listener:
        asyncio.run(server.serve([listener]))
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on a loopback address.

    Raises:
        ApiError: the host is not loopback, or the port cannot be had.
    """
    if not is_loopback(host):
        raise ApiError(
            f"api.host: {host} can be reached from other machines, and the REST interface has no access control yet; "
            "use 127.0.0.1, and an SSH tunnel from elsewhere"
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ApiError(
            f"api.port: {host}:{port} cannot be had: {os.strerror(error.errno or 0)}; choose another with --port"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether ``host`` is "localhost" or an address of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _note(data_dir: Path, url: str) -> None:
    if (run := read_run(data_dir)) is not None:
        write_run(data_dir, msgspec.structs.replace(run, api_url=url, pids={**run.pids, "api": os.getpid()}))


def _forget(data_dir: Path) -> None:
    run = read_run(data_dir)
    if run is not None and run.pids.get("api") == os.getpid():
        pids = {part: pid for part, pid in run.pids.items() if part != "api"}
        write_run(data_dir, msgspec.structs.replace(run, api_url="", pids=pids))


def _now() -> str:
    return iso_from_us(us_from_datetime(datetime.now(UTC)))
