"""Runs the interface over generated data, to look at it: ``python tests/tui/fake_app.py [RATE [SOURCES]] [--ascii]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tui.app import QraftApp
from tui.feed.fake import FakeFeed, World
from tui.history.fake import FakeHistory
from tui.state.inbox import Past
from tui.wiring import Wiring

if __name__ == "__main__":
    numbers = [float(a) for a in sys.argv[1:] if not a.startswith("-")]
    rate, sources = (numbers + [0.5, 6][len(numbers) :])[:2]
    world = World(sources=int(sources))
    now = time.time_ns() // 1000
    past = [Past(world.pattern(now - (40 - i) * 30_000_000)) for i in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        wiring = Wiring(FakeFeed(world, rate=rate), FakeHistory(past), data_dir=Path(folder), user="me")
        outside = wiring.outside(engine="main", nats_url="nats://127.0.0.1:4222")
        app = QraftApp(wiring.session, outside, ascii_only="--ascii" in sys.argv)
        asyncio.run(wiring.beside(app.run_async(mouse=False)))
