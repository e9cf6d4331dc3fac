"""An embedded ClickHouse: the engine as a child process, behind ClickHouse's own HTTP interface on loopback."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from qraft.embedded.process import Child, ChildError, free_port, start

_ATTEMPTS = 5


async def start_clickhouse(data_dir: Path, *, port: int = 0, log: Path) -> Child:
    """Starts the embedded ClickHouse with its tables below ``data_dir``.

    Args:
        data_dir: directory of this server alone; made when missing.
        port: port on 127.0.0.1; 0 takes a free one.
        log: file that its output is appended to.

    Raises:
        ChildError: the port is taken, ``data_dir`` is in use, or the server ended at start.
    """
    for attempt in range(_ATTEMPTS):
        chosen = free_port(port)

        async def answers(pid: int, chosen: int = chosen) -> bool:
            return await _display_name(chosen) == f"qraft-{pid}"

        try:
            return await start(
                "the embedded ClickHouse",
                [sys.executable, "-m", "qraft.embedded.clickhouse_server", "--path", str(data_dir), "--port", str(chosen)],
                url=f"http://127.0.0.1:{chosen}",
                log=log,
                probe=answers,
            )
        except ChildError as error:
            if port or attempt + 1 == _ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("unreachable")


async def _display_name(port: int) -> str:
    """What the server on ``port`` calls itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    for line in answer.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "x-clickhouse-server-display-name":
            return value.strip()
    return ""
