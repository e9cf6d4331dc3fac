"""How much room ClickHouse takes, and has."""

from __future__ import annotations

from typing import NamedTuple

from qraft.store.client import Client


class Disk(NamedTuple):
    """A disk of the server; sizes in bytes."""

    name: str
    free: int
    size: int


class Usage:
    """Queries over one database of one server. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def disks(self) -> list[Disk]:
        """The server's disks."""
        rows = await self._client.query("SELECT name, free_space, total_space FROM system.disks ORDER BY name")
        return [Disk(name, int(free), int(size)) for name, free, size in rows]

    async def tables(self) -> dict[str, int]:
        """Bytes on disk, compressed, of each table that holds something."""
        rows = await self._client.query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts "
            "WHERE active AND database = {database:String} GROUP BY table",
            {"database": self._database},
        )
        return {table: int(size) for table, size in rows}
