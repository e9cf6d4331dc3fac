"""Settings of what listens: the REST server and the engine's Prometheus endpoint."""

from __future__ import annotations

from qraft.config.base import Port, Section


class ApiSettings(Section):
    """The REST server."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""


class MetricsSettings(Section):
    """The engine's Prometheus endpoint."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    """Port to listen on; 0 takes a free one and writes it to run.json."""
