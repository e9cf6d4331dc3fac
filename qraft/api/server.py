"""`qraft api`: the REST interface over HTTP or HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from fastapi import FastAPI

from qraft.api.app import create_app
from qraft.api.certificate import Certificate
from qraft.api.errors import ApiError
from qraft.api.guard import Guard
from qraft.api.links import Links, links
from qraft.api.origins import Addresses
from qraft.api.parts import end_streams
from qraft.api.tokens import TokenBook, TokenError, tokens_path
from qraft.config import ClickHouseAddress, NatsAddress, read_run, write_run
from qraft.config.api import ApiSettings, is_loopback
from qraft.model import iso_from_us, us_from_datetime

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 5
"""At the end, requests under way have so long."""
HEAD_BYTES: Final = 32 * 1024
"""Size of the largest head of a request: its line and its header fields."""


class ApiServer(uvicorn.Server):
    """uvicorn, which first ends the answers that would go on for ever, as it would wait for them."""

    def __init__(self, app: FastAPI, settings: ApiSettings, certificate: Certificate | None = None) -> None:
        """
        Args:
            app: what is served.
            settings: how.
            certificate: for HTTPS; None for plain HTTP.
        """
        self._app = app
        super().__init__(_uvicorn_config(app, settings, certificate))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in order: nothing new, what is under way gets its answer."""
        end_streams(self._app)
        await super().shutdown(sockets)


def serve(
    settings: ApiSettings,
    *,
    nats: NatsAddress,
    clickhouse: ClickHouseAddress,
    database: str,
    data_dir: Path,
) -> int:
    """Serves until SIGINT or SIGTERM; 0 when it ended in order.

    Args:
        settings: where it listens, and what it lets through.
        nats: NATS; it need not be there yet.
        clickhouse: ClickHouse; it need not be there yet.
        database: database with Qraft's tables.
        data_dir: where a running instance's run.json is, and the tokens; while the server runs, its address stands there.

    Raises:
        ApiError: others could reach it without a token, the port cannot be had, or the certificate cannot be used.
    """
    certificate = certificate_of(settings)
    guard = guard_of(settings, data_dir)
    listener = listen(settings)
    url = settings.url(listener.getsockname()[1])
    opened: list[Links] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with links(nats=nats, clickhouse=clickhouse, database=database) as both, _followed(certificate):
            opened.append(both)
            _note(data_dir, url)
            try:
                yield
            finally:
                _forget(data_dir)

    app = create_app(lambda: opened[0], now=_now, lifespan=lifespan, guard=guard)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    _warn(guard)
    server = ApiServer(app, settings, certificate)
    print(f"REST interface on {url}, described by {url}/openapi.json", flush=True)
    with listener:
        asyncio.run(server.serve([listener]))
    return 0


def _uvicorn_config(app: FastAPI, settings: ApiSettings, certificate: Certificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",  # which bounds the size of a request's head; httptools does not
        ws="none",
        h11_max_incomplete_event_size=HEAD_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context,
    )


def guard_of(settings: ApiSettings, data_dir: Path) -> Guard:
    """What the settings let through.

    Raises:
        ApiError: they let others than the people on this machine in without a token.
    """
    if settings.auth == "off" and not is_loopback(settings.host):
        raise ApiError(
            f"api.host: {settings.host} can be reached from other machines, where api.auth is off; make a token with "
            '`qraft tokens add` and set api.auth = "tokens", or use 127.0.0.1 and an SSH tunnel from elsewhere'
        )
    return Guard(
        tokens=TokenBook(tokens_path(data_dir, settings.tokens_file)) if settings.auth == "tokens" else None,
        addresses=Addresses(
            host=settings.host,
            names=frozenset(name.lower() for name in settings.hosts),
            origins=frozenset(origin.lower() for origin in settings.cors_origins),
        ),
        rate_per_minute=settings.rate_per_minute,
        max_body=settings.max_body,
        open_metrics=settings.open_metrics,
    )


def certificate_of(settings: ApiSettings) -> Certificate | None:
    """The certificate that the settings name; None where they name none.

    Raises:
        ApiError: its files cannot be used.
    """
    return Certificate(settings.tls_cert_file, settings.tls_key_file) if settings.tls_cert_file else None


def listen(settings: ApiSettings) -> socket.socket:
    """A socket that listens where the settings say.

    Raises:
        ApiError: the address or the port cannot be had.
    """
    host, port = settings.host, settings.port
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        said = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise ApiError(f"api.port: {host}:{port} cannot be had: {said}; choose another with --port") from None
    # Connections inherit it. asyncio would set it, but not on those of a socket that was made without naming the protocol;
    # without it each answer on a connection that stays open waits 40 ms for the acknowledgement of its own head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.asynccontextmanager
async def _followed(certificate: Certificate | None) -> AsyncIterator[None]:
    if certificate is None:
        yield
        return
    following = asyncio.create_task(certificate.follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _warn(guard: Guard) -> None:
    if guard.tokens is None:
        return
    with contextlib.suppress(TokenError):  # it is in the log
        if not guard.tokens.tokens():
            log.warning("%s holds no tokens, so nobody is let in; `qraft tokens add` makes one", guard.tokens.path)


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
