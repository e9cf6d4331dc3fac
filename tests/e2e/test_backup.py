"""`qraft backup` of an instance at work, and `qraft restore` elsewhere: it goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import clickhouse_connect
import pytest

from qraft.bus import Bus
from qraft.commands.backup_file import BackupReader, BackupWriter
from qraft.commands.backup_make import Place, make_backup
from qraft.commands.backup_manifest import BackupError
from qraft.commands.backup_restore import restore_backup
from qraft.config import NatsAddress, load, read_run
from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
from qraft.embedded.process import Child
from tests.e2e.harness import TABLES, EngineProcess, count, give_verdicts, ids, until, write_rows

SOURCES = 2
ROWS = 15_000
STEPS = [
    {"do": "window", "every": "5s", "aggregate": {"a": ["ohlc", "std"], "b": ["mean", "p90"]}},
    {"do": "features", "of": {"a.close": ["diff", "rolling_z(20)"], "b.mean": ["ewm(0.1)"]}},
]
"""State that crosses micro-batches and snapshots, in one of the sources."""
SAVED = b'mine = "source:rows-0"\n'


def config(nats_url: str, clickhouse_url: str, database: str, folder: Path, *, rate: float) -> dict[str, object]:
    return {
        "engine": {"barrier_seconds": 1.0, "barrier_rows": 5000},
        "nats": {"url": nats_url, "max_bytes": "256 MiB"},
        "clickhouse": {"url": clickhouse_url, "database": database},
        "detect": {"forest": {"trees": 5, "height": 6}},
        # on a busy machine one of the runs may fall behind, and what is judged lightly is judged otherwise
        "pressure": {"wait_seconds": 2.0, "light_seconds": 600.0, "archive_seconds": 700.0, "drop_seconds": 800.0},
        "sources": {
            f"rows-{n}": {
                "adapter": "file",
                "path": str(folder / f"rows-{n}.csv"),
                "mode": "replay",
                "rate": rate,
                "time": "t",
                "steps": STEPS if n else [],
            }
            for n in range(SOURCES)
        },
    }


async def qraft(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, command(*arguments), cwd=cwd, capture_output=True, text=True, check=False, timeout=110
    )


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "qraft.cli", *map(str, arguments)]


async def alert_lines(url: str) -> dict[str, dict[str, float]]:
    bus = await Bus.connect(NatsAddress(url), name="test")
    try:
        lines: dict[str, dict[str, float]] = await bus.request("threshold")
        return lines
    finally:
        await bus.close()


@pytest.mark.timeout(400)
async def test_an_instance_that_is_lost_goes_on_from_its_backup_as_if_undisturbed(tmp_path: Path) -> None:
    for n in range(SOURCES):
        write_rows(tmp_path / f"rows-{n}.csv", ROWS, seed=n, broken_every=7000)
    servers: list[Child] = []
    engines: list[EngineProcess] = []

    async def instance(name: str, rate: float = 0.0) -> tuple[EngineProcess, str, str]:
        folder = tmp_path / name
        nats = await start_nats(folder / "nats", max_store=1024**3, log=folder / "nats.log")
        servers.append(nats)
        clickhouse = await start_clickhouse(folder / "clickhouse", log=folder / "clickhouse.log")
        servers.append(clickhouse)
        engine = EngineProcess(folder, config(nats.url, clickhouse.url, f"of_{name}", tmp_path, rate=rate))
        engines.append(engine)
        return engine, nats.url, clickhouse.url

    try:
        calm, calm_nats, calm_clickhouse = await instance("calm")
        lost, lost_nats, lost_clickhouse = await instance("lost", rate=700.0)  # so that the backup comes in the midst
        await asyncio.gather(give_verdicts(calm_nats, SOURCES), give_verdicts(lost_nats, SOURCES))
        calm.start()
        lost.start()
        (lost.data_dir / "unsent").mkdir(parents=True)
        (lost.data_dir / "filters.toml").write_bytes(SAVED)
        (lost.data_dir / "unsent" / "1.json").write_bytes(b"{}")
        (lost.data_dir / "tokens.toml").write_bytes(b"")

        await until(lambda: count(lost_clickhouse, "of_lost", "raw_events") >= 4_000, 120, "progress")
        path = tmp_path / "backup.tar.zst"
        made = await qraft("backup", path, "--config", lost.config, "--data-dir", lost.data_dir, "--json")
        assert made.returncode == 0, made.stderr
        summary = json.loads(made.stdout)
        assert 4_000 <= summary["rows"]["raw_events"] < SOURCES * ROWS, "the backup came after the end, so it shows nothing"
        assert summary["held_seconds"] is not None
        assert copies_left(lost_clickhouse, "of_lost") == 0

        lost.kill()
        for server in servers[2:]:
            await server.stop()
        for name in ("data", "nats", "clickhouse"):
            shutil.rmtree(tmp_path / "lost" / name)

        back, back_nats, back_clickhouse = await instance("back")
        restored = await qraft("restore", path, "--config", back.config, "--data-dir", back.data_dir)
        assert restored.returncode == 0, restored.stderr
        assert count(back_clickhouse, "of_back", "raw_events") == summary["rows"]["raw_events"]
        assert (back.data_dir / "filters.toml").read_bytes() == SAVED
        assert (back.data_dir / "unsent" / "1.json").exists()
        assert (back.data_dir / "tokens.toml").exists()
        assert (back.data_dir / "restored" / "config.toml").read_bytes() == lost.config.read_bytes()
        assert load(back.data_dir / "restored" / "in-force.toml").clickhouse.database == "of_lost"

        back.start()
        for url, name in ((calm_clickhouse, "of_calm"), (back_clickhouse, "of_back")):
            await until(
                lambda url=url, name=name: count(url, name, "raw_events") >= SOURCES * ROWS,  # type: ignore[misc]
                200,
                f"all rows in {name}",
            )
        assert await alert_lines(back_nats) == (lines := await alert_lines(calm_nats))
        assert len(lines) == SOURCES, "without alert lines the test shows nothing of the feedback"
        for engine in (calm, back):
            assert engine.stop() == 0, engine.said()
        for table in TABLES:
            undisturbed, disturbed = ids(calm_clickhouse, "of_calm", table), ids(back_clickhouse, "of_back", table)
            assert undisturbed, f"{table} is empty, so the test shows nothing"
            assert disturbed == undisturbed, f"{table}: {len(disturbed)} rows, undisturbed {len(undisturbed)}"
    finally:
        for engine in engines:
            if engine.alive():
                engine.kill()
        for server in servers:
            await server.stop()


@pytest.mark.timeout(400)
async def test_whatever_dies_in_the_midst_the_backup_before_and_the_engine_stay(tmp_path: Path) -> None:
    """On an embedded instance, from a first backup to a restore of what was killed."""
    write_rows(tmp_path / "rows.csv", 200_000, seed=1)
    source = {"adapter": "file", "path": str(tmp_path / "rows.csv"), "mode": "replay", "time": "t", "rate": 500.0}
    engine = EngineProcess(
        tmp_path, {"engine": {"barrier_seconds": 1.0}, "nats": {"max_bytes": "64 MiB"}, "sources": {"rows": source}}
    )
    path, other, nowhere = tmp_path / "backup", tmp_path / "other", tmp_path / "nowhere"
    nowhere.mkdir()
    here = ("--config", engine.config, "--data-dir", engine.data_dir)
    try:
        engine.start()
        await until(lambda: rows(engine) > 500, 90, "the first rows: " + engine.said())
        made = await qraft("backup", path, *here)
        assert made.returncode == 0, made.stderr
        assert "goes on" in made.stdout
        first = BackupReader(path).check()

        await killed_while_it_holds(path, *here)
        assert BackupReader(path).check() == first
        begun = rows(engine)
        await until(lambda: rows(engine) > begun + 500, 60, "the engine goes on after its holder died")

        place = Place(load(engine.config), engine.config, engine.data_dir)

        def kill_engine(said: str) -> None:
            if said.startswith("stream"):
                engine.kill()

        with BackupWriter(path, replace=True) as writer, pytest.raises(BackupError, match="did not stand still until"):
            await make_backup(place, writer, kill_engine)
        assert BackupReader(path).check() == first
        assert not hidden(tmp_path), "no half backup is left"

        await until(lambda: read_run(engine.data_dir) is None, 30, "the servers end with their engine")
        dead = await qraft("backup", path, *here, "--replace", "--json")
        assert dead.returncode == 0, dead.stderr
        held = json.loads(dead.stdout)
        assert held["held_seconds"] is None
        assert held["rows"]["raw_events"] > begun

        # of another place nothing is known but the backup
        restored = await qraft("restore", path, "--data-dir", other, "--json", cwd=nowhere)
        assert restored.returncode == 0, restored.stderr
        there = EngineProcess(tmp_path / "there", {})
        there.config, there.data_dir = other / "restored" / "in-force.toml", other
        engine = there
        there.start()
        await until(lambda: rows(there) > held["rows"]["raw_events"] + 500, 90, "it goes on there: " + there.said())
        with pytest.raises(BackupError, match="end it first"):
            await restore_backup(BackupReader(path), first, Place(load(there.config), None, other), None, print)
        run = read_run(other)
        assert run is not None
        bus = await Bus.connect(NatsAddress(run.nats_url), name="test")
        while not (await bus.request("hold", {"client": "test", "seconds": 60}))["held"]:
            await asyncio.sleep(0.05)
        await bus.close()
        assert there.stop() == 0, there.said()  # a hold is no reason not to end
        assert "did not finish in time" not in there.said()
    finally:
        if engine.alive():
            engine.kill()


async def killed_while_it_holds(*arguments: object) -> None:
    """A backup that is killed when its first stream is copied, the others and the tables not yet."""
    process = await asyncio.create_subprocess_exec(
        *command("backup", *arguments, "--replace"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        while not (line := await asyncio.wait_for(process.stdout.readline(), 60)).startswith(b"stream"):
            assert line, "it ended before it came to a stream"
    finally:
        process.kill()
        await process.communicate()


def copies_left(url: str, database: str) -> int:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        return int(
            client.query(
                f"SELECT count() FROM system.tables WHERE database = '{database}' AND name LIKE 'backup%'"
            ).result_rows[0][0]
        )


def hidden(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


def rows(engine: EngineProcess) -> int:
    run = read_run(engine.data_dir)
    return count(run.clickhouse_url, "qraft", "raw_events") if run is not None else 0
