"""nats-py is loaded without aiohttp, and aiohttp stays usable for others."""

from __future__ import annotations

import subprocess
import sys


def ran(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_the_bus_does_not_load_aiohttp() -> None:
    assert ran("import sys, qraft.bus; print('aiohttp' in sys.modules)") == "False"


def test_whoever_needs_aiohttp_later_gets_it() -> None:
    assert ran("import qraft.bus, aiohttp; print(aiohttp.__name__)") == "aiohttp"


def test_an_aiohttp_that_is_there_already_stays() -> None:
    assert (
        ran(
            "import aiohttp, sys; before = sys.modules['aiohttp']; import qraft.bus; print(sys.modules['aiohttp'] is before)"
        )
        == "True"
    )
