"""The servers an instance stands on: those the configuration names, or embedded ones started here and ended with it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from qraft.config import Settings
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
from qraft.embedded.process import Child

log = logging.getLogger(__name__)

NATS_SPARE_BYTES = 1024**3
"""Room beside the event stream: patterns, snapshots, cursors."""


@dataclass(slots=True)
class Servers:
    """Addresses of the servers, and the children among them by part."""

    nats_url: str
    clickhouse_url: str
    children: dict[str, Child] = field(default_factory=dict)


async def start_embedded_nats(settings: Settings, data_dir: Path, port: int = 0) -> Child:
    """The embedded nats-server of a data directory."""
    return await start_nats(
        data_dir / "nats",
        port=port,
        max_store=settings.nats.max_bytes + NATS_SPARE_BYTES,
        sync_always=settings.nats.sync_always,
        log=data_dir / "logs" / "nats.log",
    )


async def start_embedded_clickhouse(data_dir: Path, port: int = 0) -> Child:
    """The embedded ClickHouse of a data directory."""
    return await start_clickhouse(data_dir / "clickhouse", port=port, log=data_dir / "logs" / "clickhouse.log")


@contextlib.asynccontextmanager
async def start_servers(
    settings: Settings, data_dir: Path, *, nats_url: str = "", clickhouse_url: str = ""
) -> AsyncIterator[Servers]:
    """Servers for as long as the context lasts.

    Args:
        settings: says which are embedded and where the others are.
        data_dir: where embedded ones keep their files.
        nats_url: an embedded NATS that runs already.
        clickhouse_url: an embedded ClickHouse that runs already.

    Raises:
        ChildError: an embedded server could not be started.
    """
    servers = Servers(
        nats_url=nats_url if settings.nats.url == "embedded" else settings.nats.url,
        clickhouse_url=clickhouse_url if settings.clickhouse.url == "embedded" else settings.clickhouse.url,
    )
    try:
        if not servers.nats_url:
            servers.children["nats"] = child = await start_embedded_nats(settings, data_dir)
            servers.nats_url = child.url
        if not servers.clickhouse_url:
            servers.children["clickhouse"] = child = await start_embedded_clickhouse(data_dir)
            servers.clickhouse_url = child.url
        yield servers
    finally:
        for part in ("clickhouse", "nats"):
            if part in servers.children:
                await servers.children[part].stop()
