"""The program of the embedded ClickHouse: ``python -m qraft.embedded.clickhouse_server --path DIR --port N``."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from qraft.embedded.guard import PLAIN_EXIT, InUseError, hold

_GRACE_SECONDS = 3
_OPEN_FILES = 8192


async def _serve(path: Path, port: int, max_threads: int, max_memory: int) -> None:
    import uvicorn

    from qraft.embedded.clickhouse_engine import Engine
    from qraft.embedded.clickhouse_http import App

    engine = Engine(path, max_threads=max_threads, max_memory=max_memory)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await asyncio.to_thread(engine.cancel_reads)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        App(engine, f"qraft-{os.getpid()}"),
        host="127.0.0.1",
        port=port,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=75,
        server_header=False,
    )
    # uvicorn raises the signal it caught once more when it is done, which would end the process before the engine is closed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    await Server(config).serve()
    engine.close()


def _allow_files() -> None:
    """Raises the limit of open files: some systems start with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Serves one directory until SIGTERM."""
    parser = argparse.ArgumentParser(description="Serves an embedded ClickHouse over HTTP on 127.0.0.1.")
    parser.add_argument("--path", type=Path, required=True, help="directory of this server alone")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--max-threads", type=int, default=2, help="threads one query may use")
    parser.add_argument("--max-memory", type=int, default=2 * 1024**3, help="bytes all queries together may use")
    options = parser.parse_args()
    options.path.mkdir(parents=True, exist_ok=True)
    try:
        hold(str(options.path / "qraft.lock"), str(options.path))
    except InUseError as error:
        print(error, file=sys.stderr)
        sys.exit(PLAIN_EXIT)
    _allow_files()
    os.environ["TZ"] = "UTC"
    asyncio.run(_serve(options.path.resolve(), options.port, options.max_threads, options.max_memory))
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the engine that still work on a cancelled query must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
