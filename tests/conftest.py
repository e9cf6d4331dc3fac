"""Shared fixtures: a real nats-server and a real embedded ClickHouse, on free ports, ended by pid with the test."""

from __future__ import annotations

import asyncio
import gc
import signal
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, settings

from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats

T = TypeVar("T")

# Tests don't time: a slow machine is no failure.
settings.register_profile("qraft", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("qraft")


LONGEST = ("docs", "faults", "e2e", "deploy", "test_pipeline.py", "tui", "detect")
"""Where the tests that take longest are, those first; begun last, they would keep one process alone busy at the end."""


def pytest_configure() -> None:
    """Lets SIGINT interrupt: where a shell runs the tests in its background it is ignored, by all they start too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest tests first, file by file; the order of all others stays."""
    root = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        place = item.path.relative_to(root).parts[0]
        return LONGEST.index(place) if place in LONGEST else len(LONGEST)

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """Collects what a test left, so that an unclosed socket, transport or task fails the test that left it and no other.

    What was there before the test is frozen: only what the test made is looked at.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a loop of its own and leaves the test's loop alone."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.fixture
def nats_url(tmp_path: Path) -> Iterator[str]:
    """A fresh nats-server with JetStream (1 GiB) below the test's tmp_path."""
    folder = tmp_path / "nats"
    child = run_apart(start_nats(folder, max_store=1024**3, log=folder / "nats.log"))
    yield child.url
    run_apart(child.stop())


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One embedded ClickHouse for the whole run (one a worker with xdist)."""
    folder = tmp_path_factory.mktemp("clickhouse")
    child = run_apart(start_clickhouse(folder / "data", log=folder / "clickhouse.log"))
    yield child.url
    run_apart(child.stop())


@pytest.fixture
def database(clickhouse_url: str) -> Iterator[str]:
    """A name that no database had before. Who needs the database makes it (`Store.migrate` does); it is dropped here."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    httpx.post(clickhouse_url, content=f"DROP DATABASE IF EXISTS {name}", timeout=30).raise_for_status()
