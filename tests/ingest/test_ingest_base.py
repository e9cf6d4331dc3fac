from __future__ import annotations

import random
import subprocess
import sys
from typing import Any, get_args

import pytest

from qraft.config.sources import (
    BUILT_IN,
    ExternalSource,
    FileSource,
    HostSource,
    NatsSource,
    SourceSettings,
    WebSocketSource,
)
from qraft.ingest import backoff, is_read, make_adapter, wall_clock
from qraft.ingest.base import BACKOFF_FIRST, BACKOFF_LONGEST
from qraft.ingest.registry import MAKERS


def test_backoff_doubles_and_is_bounded() -> None:
    rng = random.Random(1)
    for attempt in range(1, 2000):
        longest = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** (attempt - 1)) if attempt < 50 else BACKOFF_LONGEST
        assert longest / 2 <= backoff(attempt, rng) <= longest


def test_backoff_spreads() -> None:
    rng = random.Random(1)
    assert len({backoff(8, rng) for _ in range(100)}) == 100


def test_every_adapter_of_qraft_has_a_maker() -> None:
    """But for "external": others bring those events."""
    assert set(MAKERS) == set(BUILT_IN) - {"external"}
    assert {name: get_args(model.model_fields["adapter"].annotation) for name, model in BUILT_IN.items()} == {
        name: (name,) for name in BUILT_IN
    }


@pytest.mark.parametrize(
    "settings",
    [
        FileSource(adapter="file", path="a.csv"),
        HostSource(adapter="host"),
        WebSocketSource(adapter="websocket", url="ws://127.0.0.1:1"),
        NatsSource(adapter="nats", url="nats://127.0.0.1:1", subject="a"),
    ],
)
async def test_make_adapter(settings: SourceSettings, sink: Any) -> None:
    adapter = make_adapter("s", settings, sink, resume=None, clock=wall_clock)
    assert type(adapter).__module__ == f"qraft.ingest.{settings.adapter}"
    assert is_read(settings)


def test_nothing_runs_for_an_external_source() -> None:
    assert not is_read(ExternalSource(adapter="external"))


def test_importing_the_package_loads_no_adapter() -> None:
    names = ("psutil", "websockets", "nats", "httpx", "pydantic")
    code = f"import sys, qraft.ingest; print([n for n in {names} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
