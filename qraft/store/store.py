"""Where events, patterns and verdicts stay: ClickHouse, embedded or a server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import ASIDES
from qraft.store import schema
from qraft.store.backup import TableBackup
from qraft.store.client import Client
from qraft.store.deliveries import Deliveries
from qraft.store.episodes import EpisodeHistory
from qraft.store.errors import StoreRejected
from qraft.store.history import History
from qraft.store.labels import LabelHistory
from qraft.store.link import Link
from qraft.store.listing import EventListing
from qraft.store.past import PastHistory
from qraft.store.recorded import Recorded
from qraft.store.rows import TABLES, Block, Columns, table_columns
from qraft.store.usage import Usage
from qraft.store.verdicts import in_force

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Store:
    """One database of one ClickHouse server. Every method may raise `StoreUnavailable` or `StoreRejected`.

    Attributes:
        backup: copying and filling the tables.
        deliveries: the record of what alerting delivered.
        history: the queries.
        recorded: the queries of those who look back.
        episodes: the patterns as the terminal's episodes.
        labels: the queries of what operators said.
        past: the queries over windows of past time and of findings alike.
        usage: the queries of how much room is taken.
        events: events a page at a time.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database
        self._settings = StoreSettings()
        self._types: dict[str, dict[str, str]] = {}
        self.backup = TableBackup(client, database)
        self.deliveries = Deliveries(client, database)
        self.history = History(client, database)
        self.recorded = Recorded(client, database)
        self.episodes = EpisodeHistory(client, database)
        self.labels = LabelHistory(client, database)
        self.past = PastHistory(client, database)
        self.usage = Usage(client, database)
        self.events = EventListing(client, database)

    @classmethod
    async def connect(cls, address: ClickHouseAddress, *, database: str) -> Self:
        """Connects once; waiting and trying again is the caller's.

        Args:
            address: where the server is and who connects; `ClickHouseSettings.address` makes it.
            database: need not exist before `migrate`.

        Raises:
            StoreUnavailable: nobody answers there.
            StoreRejected: the server refuses the login, its certificate is not accepted, or a file cannot be used.
        """
        if not _NAME.fullmatch(database):
            raise StoreRejected(f"{database!r} is not a database name: letters, digits and _ only, not a digit first")
        return cls(await Client.connect(address), database)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ping(self) -> bool:
        """Whether the server answers."""
        return await self._client.ping()

    async def migrate(self, settings: StoreSettings | None) -> None:
        """Makes or upgrades the tables, sets how long rows stay, and takes ``settings`` for what is written from now on.

        Without ``settings`` rows stay for ever.
        """
        await schema.migrate(self._client, self._database, settings)
        self._settings = settings or self._settings

    @property
    def database(self) -> str:
        """Its name."""
        return self._database

    def link(self) -> Link:
        """The server, for work that runs in a thread."""
        return self._client.link()

    async def write(self, block: Block) -> None:
        """Stores a block: one insert a table. When it returns, all of it is stored; when it raises, any part may be.

        Writing the same block again, however often, adds nothing.
        """
        makers = table_columns(block, self._settings.important_confidence)
        if makers and not self._types:
            self._types = await self._column_types()
        inserts = [self._insert(block.token, table, maker) for table, maker in makers.items()]
        outcomes = await asyncio.gather(*inserts, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        if judged := sorted({one.pattern_id for one in block.feedback if one.verdict not in ASIDES}):
            await self._mark_important(judged, block.ingested_at)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _insert(self, token: str, table: str, maker: Callable[[], Columns]) -> None:
        columns = await asyncio.to_thread(maker)
        await self._client.insert(f"{self._database}.{table}", columns, self._types[table], f"{token}:{table}")

    async def _mark_important(self, pattern_ids: list[str], version: int) -> None:
        """Inserts patterns again whose verdicts make them important or no longer so, from all verdicts that are stored."""
        confirmed = in_force(self._database, "pattern_id IN {ids:Array(String)}")
        await self._client.command(
            f"""
            INSERT INTO {self._database}.pattern_events
            SELECT p.* REPLACE (NOT p.important AS important, greatest(p.version + 1, {{version:UInt64}}) AS version)
            FROM (SELECT * FROM {self._database}.pattern_events FINAL WHERE pattern_id IN {{ids:Array(String)}}) AS p
            WHERE p.important != (
                p.confidence >= {{line:Float64}}
                OR p.pattern_id IN (SELECT pattern_id FROM ({confirmed}) WHERE verdict = 'confirmed')
            )""",
            {
                "ids": pattern_ids,
                "version": version,
                "line": self._settings.important_confidence,
            },
        )

    async def _column_types(self) -> dict[str, dict[str, str]]:
        rows = await self._client.query(
            "SELECT table, name, type FROM system.columns WHERE database = {database:String}", {"database": self._database}
        )
        types: dict[str, dict[str, str]] = {table: {} for table in TABLES}
        for table, name, kind in rows:
            types.setdefault(table, {})[name] = kind
        if not all(types[table] for table in TABLES):
            raise StoreRejected(f"database {self._database} lacks Qraft's tables; start the engine once, it makes them")
        return types
