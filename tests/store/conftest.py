"""A migrated store in a fresh database, and a way to ask the server without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.store import Store


@pytest.fixture
async def store(clickhouse_url: str, database: str) -> AsyncIterator[Store]:
    """A store whose tables are made, with the default settings."""
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as one:
        await one.migrate(StoreSettings())
        yield one


@pytest.fixture
def ask(clickhouse_url: str, database: str) -> Callable[[str], str]:
    """Runs SQL over plain HTTP with the test's database as default; the answer as TSV."""

    def run(sql: str) -> str:
        answer = httpx.post(clickhouse_url, params={"database": database}, content=sql, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    return run
