"""Starts nats-server and an embedded ClickHouse as child processes."""
