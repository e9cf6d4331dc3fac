from __future__ import annotations

import random
import subprocess
import sys
from typing import Any, get_args

import pytest

from qraft.config.settings import FileSource, HostSource, Source, WebSocketSource
from qraft.ingest import backoff, make_adapter, wall_clock
from qraft.ingest.base import BACKOFF_FIRST, BACKOFF_LONGEST
from qraft.ingest.registry import ADAPTERS


def test_backoff_doubles_and_is_bounded() -> None:
    rng = random.Random(1)
    for attempt in range(1, 2000):
        longest = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2.0 ** (attempt - 1)) if attempt < 50 else BACKOFF_LONGEST
        assert longest / 2 <= backoff(attempt, rng) <= longest


def test_backoff_spreads() -> None:
    rng = random.Random(1)
    assert len({backoff(8, rng) for _ in range(100)}) == 100


def test_every_kind_of_source_has_its_adapter(sink: Any) -> None:
    models = set(get_args(get_args(Source)[0]))
    assert {model for model, _ in ADAPTERS.values()} == models
    assert set(ADAPTERS) == {get_args(model.model_fields["adapter"].annotation)[0] for model in models}


@pytest.mark.parametrize(
    "settings",
    [
        FileSource(adapter="file", path="a.csv"),
        HostSource(adapter="host"),
        WebSocketSource(adapter="websocket", url="ws://127.0.0.1:1"),
    ],
)
async def test_make_adapter(settings: Source, sink: Any) -> None:
    adapter = make_adapter("s", settings, sink, resume=None, clock=wall_clock)
    assert type(adapter).__module__ == f"qraft.ingest.{settings.adapter}"


def test_importing_the_package_loads_no_adapter() -> None:
    code = "import sys, qraft.ingest; print([n for n in ('psutil', 'websockets') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
