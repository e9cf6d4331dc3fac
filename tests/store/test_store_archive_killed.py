"""Killed at any instant, archiving and deleting go on where they were: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qraft.model import decode_event
from qraft.store import Store
from qraft.store.archive_manifest import days, read_manifest
from tests.store.test_store_archive import Run, after, block, day
from tests.store.test_store_archive_restore import bring_back

Ask = Callable[[str], str]

PROGRAM = """
import asyncio, json, os, pathlib, signal, sys, threading
url, database, folder, now_us, most = json.loads(sys.argv[1])
from qraft.config import ClickHouseAddress
from qraft.config.store import ArchiveSettings, StoreSettings
from qraft.store import Store
from qraft.store import archive_place, link
from qraft.store.archive import Archive, Progress

steps = 0
def step():
    global steps
    steps += 1
    if steps == most:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(owner, name):
    act = getattr(owner, name)
    def counting(*arguments, **more):
        step()
        done = act(*arguments, **more)
        step()
        return done
    setattr(owner, name, counting)

async def main():
    async with await Store.connect(ClickHouseAddress(url), database=database) as store:
        for owner, name in ((archive_place.Sink, "write"), (link.Link, "command"), (pathlib.Path, "replace"), (os, "fsync")):
            counted(owner, name)
        settings = StoreSettings(archive=ArchiveSettings(url=folder + "/cold"))
        work = pathlib.Path(folder) / "work"
        one = Archive(store.link(), database, settings, work=work, stop=threading.Event(), progress=Progress())
        await asyncio.to_thread(one.run, now_us, now_us)
        print(steps)

asyncio.run(main())
"""


async def test_killed_at_any_step_it_goes_on(
    store: Store, ask: Ask, tmp_path: Path, clickhouse_url: str, database: str
) -> None:
    run = Run(store, tmp_path, database)
    await store.migrate(run.settings)
    for ago in (3, 2):
        await store.write(block(ago, rows=50))
        await store.write(block(ago, rows=20, source="other"))

    def attempt(most: int) -> int:
        """Archives and deletes, to be killed at that step; its exit status."""
        asked = json.dumps([clickhouse_url, database, str(tmp_path), after(2, 7), most])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, asked], capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    killed = 0
    for most in (9, 21, 30, 2, 17):
        status = attempt(most)
        killed += status != 0
        held = int(ask("SELECT count() FROM raw_events FINAL"))
        safe = sum(manifest.rows["raw_events"] for day in days(run.place) if (manifest := read_manifest(run.place, day)))
        assert held + safe >= 140, f"lost by a kill at step {most}"
        if status == 0:
            break
    assert killed >= 4, "it was not cut short often enough to show anything"
    assert attempt(10**9) == 0
    assert ask("SELECT count() FROM raw_events") == "0\n"
    assert bring_back(run.place, 3, tmp_path / "back") == {"s": 100, "other": 40}
    back = [decode_event(line) for line in (tmp_path / "back/s.ndjson").read_bytes().splitlines()]
    assert back == [row.event for ago in (3, 2) for row in block(ago, rows=50).raw]
    for ago in (3, 2):
        manifest = read_manifest(run.place, day(ago))
        assert manifest is not None
        assert [batch.rows for batch in manifest.tables["raw_events"]] == [70]


@pytest.mark.parametrize("left", ["raw_events-1-0007.parquet", "raw_events-1-0001.parquet.part"])
async def test_what_a_kill_left_behind_goes(store: Store, tmp_path: Path, database: str, left: str) -> None:
    run = Run(store, tmp_path, database)
    await store.write(block(2))
    folder = tmp_path / f"cold/{day(2)}"
    folder.mkdir(parents=True)
    (folder / left).write_bytes(b"half")
    run(after(2))
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "raw_events-1-0001.parquet"]
