"""Serves ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server

from qraft.metrics.collector import EngineCollector, Reading


class MetricsServer:
    """Serves ``/metrics`` from a thread of its own, so that it answers while the engine computes.

    Besides the engine's metrics there are those of the process (``process_*``) and of Python (``python_*``). A scraper that
    asks for OpenMetrics gets it.
    """

    def __init__(self, host: str, port: int, read: Callable[[], Reading]) -> None:
        registry = CollectorRegistry()
        registry.register(EngineCollector(read))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Ends the server and its thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
