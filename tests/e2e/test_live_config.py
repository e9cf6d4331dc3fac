"""config.toml edited under a running engine: only what changed restarts, a mistake changes nothing, pauses last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from qraft.bus import Bus, BusRejected
from qraft.config import NatsAddress
from tests.e2e.harness import EngineProcess, until


def rows(path: Path, first: int, count: int) -> None:
    new = not path.exists()
    with path.open("a") as out:
        if new:
            out.write("t,x\n")
        out.writelines(f"{1_700_000_000 + n},{n % 7}\n" for n in range(first, first + count))


class Edited:
    """An engine and the configuration it follows."""

    def __init__(self, folder: Path, nats_url: str, clickhouse_url: str, database: str) -> None:
        self.folder = folder
        self.table: dict[str, Any] = {
            "nats": {"url": nats_url, "max_bytes": "64 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "engine": {"barrier_seconds": 0.5},
            "sources": {},
        }
        for name in ("a", "b"):
            self.file(name)
        self.engine = EngineProcess(folder, self.table)

    def file(self, name: str, **keys: Any) -> None:
        rows(self.folder / f"{name}.csv", 0, 300) if not (self.folder / f"{name}.csv").exists() else None
        self.table["sources"][name] = {"adapter": "file", "path": f"{name}.csv", "time": "t", **keys}

    def put(self) -> None:
        """As many editors do it: a new file takes the name."""
        draft = self.engine.config.with_suffix(".new")
        draft.write_text(tomli_w.dumps(self.table))
        draft.replace(self.engine.config)

    def metric(self, name: str) -> float:
        return self.engine.metrics().get(name, -1.0)

    def read(self, source: str) -> float:
        return self.metric(f'qraft_source_read_total{{source="{source}"}}')


@pytest.fixture
def edited(tmp_path: Path, nats_url: str, clickhouse_url: str, database: str) -> Iterator[Edited]:
    made = Edited(tmp_path, nats_url, clickhouse_url, database)
    made.engine.start()
    yield made
    if made.engine.alive():
        made.engine.kill()


async def test_edits_are_taken_up_live(edited: Edited, nats_url: str) -> None:
    engine = edited.engine
    await until(lambda: edited.read("a") == edited.read("b") == 300, 60, "both files are read")
    pid = engine.pid

    edited.file("c")
    edited.file("b", allowed_lateness_seconds=60.0)
    edited.put()
    await until(lambda: edited.read("c") == 300, 30, "the new source is read")
    assert "configuration in force: added c; adjusted b" in engine.said()

    for broken, said in (
        ("[detect]\nlien = 0.6\n", 'detect.lien: unknown key; did you mean "line"?'),
        ("[detect\n", "not valid TOML"),
    ):
        engine.config.write_text(broken)
        await until(lambda s=said: s in engine.said(), 20, f"it says {said}")  # type: ignore[misc]
        assert edited.metric("qraft_config_valid") == 0
        rows(edited.folder / "a.csv", int(edited.read("a")), 10)
        before = edited.read("a")
        await until(lambda b=before: edited.read("a") == b + 10, 20, "the configuration before goes on")  # type: ignore[misc]

    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    with pytest.raises(BusRejected, match="not valid TOML"):
        await bus.request("reload")
    del edited.table["sources"]["a"]
    edited.file("b", allowed_lateness_seconds=60.0, rate=0.0, fields=["x"])
    edited.put()
    await until(lambda: edited.metric("qraft_config_valid") == 1, 20, "the mended file is taken")
    await until(lambda: edited.read("a") == -1, 20, "the removed source is gone")
    rows(edited.folder / "a.csv", 320, 10)
    rows(edited.folder / "b.csv", 300, 10)
    await until(lambda: edited.read("b") == 310, 20, "the other one goes on")
    assert await bus.request("reload") == {"changed": "nothing changed"}

    stats = await bus.request("status")
    assert {source["source"] for source in stats["sources"]} == {"b", "c"}
    assert stats["config_error"] == ""
    assert stats["notice_counts"]["config"] >= 4
    assert engine.pid == pid
    assert engine.alive()
    assert "Traceback" not in engine.said()

    await bus.request("pause", {"source": "b"})
    engine.kill()
    rows(edited.folder / "b.csv", 310, 10)
    rows(edited.folder / "c.csv", 300, 5)
    engine.start()
    await until(lambda: edited.read("c") == 5, 60, "after a kill the others go on")
    await asyncio.sleep(0.5)
    assert edited.read("b") in (-1, 0), "a paused source stays paused over a kill"
    await bus.request("resume", {"source": "b"})
    await until(lambda: edited.read("b") == 10, 20, "it goes on where it left off")
    await bus.close()
    assert engine.stop() == 0
