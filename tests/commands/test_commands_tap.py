"""`qraft tap` against a real engine: each stage, the bound of sampling, mistakes, pipes, and servers that go and come."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qraft import cli
from qraft.bus import Bus, TapRequest, ask_tap
from qraft.config import NatsAddress, RunInfo, write_run
from qraft.embedded.nats import start_nats
from tests.conftest import run_apart
from tests.e2e.harness import EngineProcess, until

Run = Callable[..., tuple[int, list[str], str]]


@contextmanager
def publishing(nats_url: str, source: str = "trades", rate: float = 500.0) -> Iterator[None]:
    """Somebody else's program: rows of two symbols, now and then a line that is no event or has no number."""
    done = threading.Event()

    async def publish() -> None:
        bus, rng, n = await Bus.connect(NatsAddress(nats_url), name="publisher"), random.Random(1), 0
        while not done.is_set():
            lines = []
            for _ in range(10):
                n += 1
                row: dict[str, Any] = {
                    "symbol": rng.choice(("BTC", "ETH")),
                    "price": f"{rng.gauss(100, 1):.3f}",
                    "text": "a\x1b",
                }
                lines.append(
                    json.dumps({"payload": row}) if n % 25 else '{"payload": {"note": "x"}}' if n % 2 else "{broken"
                )
            await bus.client.publish(f"qraft.events.{source}", "\n".join(lines).encode())
            await asyncio.sleep(10 / rate)
        await bus.close()

    thread = threading.Thread(target=lambda: asyncio.run(publish()))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[EngineProcess]:
    """One engine for the whole file, with a source that others feed."""
    folder = tmp_path_factory.mktemp("tap")
    nats = run_apart(start_nats(folder / "nats", max_store=1024**3, log=folder / "nats.log"))
    config: dict[str, object] = {
        "nats": {"url": nats.url, "max_bytes": "64 MiB"},
        "clickhouse": {"url": clickhouse_url, "database": "test_tap"},
        "detect": {"adwin": {"warmup": 60}, "forest": {"trees": 3, "height": 5, "window": 60}},
        "sources": {
            "trades": {"adapter": "external", "entity": "symbol"},
            "made": {
                "adapter": "external",
                "entity": "symbol",
                "fields": ["double"],
                "steps": [{"do": "derive", "fields": {"double": "price * 2"}}],
            },
            "host": {"adapter": "host", "enabled": False},
        },
    }
    process = EngineProcess(folder, config)
    process.start()
    try:
        asyncio.run(until(lambda: process.metrics().get('qraft_engine_state{state="running"}') == 1, 60, "the engine runs"))
        yield process
    finally:
        process.kill()
        run_apart(nats.stop())


def url_of(engine: EngineProcess) -> str:
    return str(json.loads((engine.data_dir / "run.json").read_text())["nats_url"])


@pytest.fixture
def run(engine: EngineProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `qraft tap` in this process: exit status, lines, standard error."""

    def command(*arguments: str) -> tuple[int, list[str], str]:
        where = ["--config", str(engine.config), "--data-dir", str(engine.data_dir)]
        monkeypatch.setattr(sys, "argv", ["qraft", "tap", *arguments, *where])
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out.splitlines(), output.err

    return command


def opened(engine: EngineProcess, *arguments: str) -> subprocess.Popen[str]:
    """`qraft tap` as a process of its own."""
    where = ["--config", str(engine.config), "--data-dir", str(engine.data_dir)]
    return subprocess.Popen(
        [sys.executable, "-m", "qraft.cli", "tap", *arguments, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_raw_is_what_was_published_byte_for_byte(run: Run, engine: EngineProcess) -> None:
    with publishing(url_of(engine)):
        status, lines, _ = run("trades", "--json", "--count", "20", "--rate", "1000")
    assert status == 0
    assert len(lines) == 20
    rows = [json.loads(line) for line in lines]
    assert {row["payload"]["symbol"] for row in rows if "symbol" in row.get("payload", {})} == {"BTC", "ETH"}
    assert any(row.get("original") == "{broken" for row in rows) or all("payload" in row for row in rows)


@pytest.mark.parametrize("stage", ["clean", "features", "scores"])
def test_rows_at_a_stage(run: Run, engine: EngineProcess, stage: str) -> None:
    with publishing(url_of(engine)):
        status, lines, _ = run("trades", "--stage", stage, "--json", "--count", "20", "--rate", "100")
    rows = [json.loads(line) for line in lines]
    assert status == 0
    assert len(rows) == 20
    good = [row for row in rows if "reason" not in row]
    assert good
    assert all(set(row["fields"]) == {"price"} and row["entity"] in ("BTC", "ETH") for row in good)
    if stage == "scores":
        assert all(0 <= value <= 1 for row in rows for value in row["scores"].values())
        assert all(set(row["scores"]) == {"anomaly", "abnormal", "change", "warm"} for row in rows)
    else:
        assert all("scores" not in row for row in rows)


def test_clean_is_before_the_steps_and_features_behind_them(run: Run, engine: EngineProcess) -> None:
    with publishing(url_of(engine), source="made"):
        rows = {
            stage: [json.loads(line) for line in run("made", "--stage", stage, "--json", "--count", "5")[1]]
            for stage in ("clean", "features", "scores")
        }
    assert {tuple(row["fields"]) for row in rows["clean"] if "reason" not in row} == {("price",)}
    assert {tuple(row["fields"]) for row in rows["features"]} == {("double",)}
    assert {tuple(row["fields"]) for row in rows["scores"]} == {("double",)}
    assert all(180 < row["fields"]["double"] < 220 for row in rows["features"])


def test_dead_letters_with_their_reason_and_bytes(run: Run, engine: EngineProcess) -> None:
    with publishing(url_of(engine)):
        status, lines, _ = run("trades", "--stage", "dead", "--json", "--count", "6", "--rate", "100")
    assert status == 0
    reasons = {json.loads(line)["reason"].split(":")[0] for line in lines}
    assert reasons == {"bus", "preprocess"}
    assert any(json.loads(line)["original"] == "{broken" for line in lines)


def test_people_get_aligned_lines_that_a_terminal_obeys_nothing_of(run: Run, engine: EngineProcess) -> None:
    with publishing(url_of(engine)):
        _, raw, _ = run("trades", "--count", "10")
        _, scored, _ = run("trades", "--stage", "scores", "--count", "10")
    assert not any("\x1b" in line for line in raw)
    assert any("symbol=BTC" in line or "symbol=ETH" in line for line in raw)
    assert all("anomaly ." in line and "price=" in line for line in scored)
    assert len({line.index("price=") for line in scored}) == 1


@pytest.mark.parametrize("stage", ["raw", "features"])
def test_no_more_than_the_rate_and_the_rest_is_counted(run: Run, engine: EngineProcess, stage: str) -> None:
    with publishing(url_of(engine), rate=1000):
        status, lines, error = run("trades", "--stage", stage, "--rate", "5", "--seconds", "2.5")
    assert status == 0
    assert 5 <= len(lines) <= 13
    assert int(error.split(" events were not shown (--rate 5)")[0].split()[-1]) > 500


def test_a_name_that_nobody_knows(run: Run) -> None:
    assert run("tradse") == (1, [], 'qraft: no source "tradse" is known to the engine; did you mean "trades"?\n')


def test_nothing_runs(engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["qraft", "tap", "trades", "--data-dir", str(tmp_path)])
    assert cli.main() == 1
    assert "nothing is running under" in capsys.readouterr().err


def test_why_nothing_comes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qraft.commands.tap.REMARK_SECONDS", 0.5)
    _, lines, error = run("host", "--seconds", "2")
    assert lines == []
    assert error == "qraft: host is paused\n"


async def test_the_engine_shows_nothing_unasked_and_stops_when_nobody_renews(engine: EngineProcess) -> None:
    bus, seen = await Bus.connect(NatsAddress(url_of(engine)), name="test"), []
    with publishing(url_of(engine)):
        try:
            await bus.watch_messages("qraft.tap.>", seen.append)
            await asyncio.sleep(0.5)
            assert seen == []
            request = TapRequest(client="test", source="trades", stage="scores", rate=10, seconds=1)
            await ask_tap(bus, request, 5)
            await asyncio.sleep(1.5)
            assert seen
            seen.clear()
            await asyncio.sleep(0.7)
            assert seen == []
        finally:
            await bus.close()


def test_a_pipe_that_closes_ends_it_quietly(engine: EngineProcess) -> None:
    with publishing(url_of(engine)), opened(engine, "trades", "--stage", "features") as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        assert "price=" in tap.stdout.readline()
        tap.stdout.close()
        assert tap.wait(10) == 1
        assert tap.stderr.read() == ""


def test_ctrl_c_ends_it_in_order(engine: EngineProcess) -> None:
    with publishing(url_of(engine)), opened(engine, "trades", "--stage", "scores") as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        tap.send_signal(signal.SIGINT)
        assert tap.wait(10) == 0
        error = tap.stderr.read()
        assert error.endswith("events were not shown (--rate 10)\n")
        assert error.count("\n") == 1


def test_an_engine_that_goes_and_comes(engine: EngineProcess) -> None:
    with publishing(url_of(engine), rate=20), opened(engine, "trades", "--stage", "features") as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        engine.kill()
        assert tap.stderr.readline() == "qraft: no engine answers; waiting\n"
        engine.start()
        said = tap.stderr.readline()
        while "not shown" in said:  # what came while the engine was away comes all at once
            said = tap.stderr.readline()
        assert said == "qraft: the engine is back\n"
        assert all("price=" in tap.stdout.readline() for _ in range(30))
        tap.send_signal(signal.SIGINT)
        assert tap.wait(10) == 0


def test_a_bus_that_goes_and_comes_elsewhere(tmp_path: Path) -> None:
    """Without any engine: what others publish is shown, over a NATS that is started anew on another port too."""
    engine = EngineProcess(tmp_path, {"sources": {"trades": {"adapter": "external"}}})
    first = run_apart(start_nats(tmp_path / "first", max_store=1024**2, log=tmp_path / "first.log"))
    write_run(engine.data_dir, RunInfo(pids={"engine": os.getpid()}, nats_url=first.url))
    with opened(engine, "trades", "--rate", "100") as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        assert tap.stderr.readline() == "qraft: no engine answers; waiting\n"
        with publishing(first.url):
            assert "price=" in tap.stdout.readline()
        run_apart(first.stop())
        assert tap.stderr.readline() == "qraft: NATS is away; waiting\n"
        second = run_apart(start_nats(tmp_path / "second", max_store=1024**2, log=tmp_path / "second.log"))
        write_run(engine.data_dir, RunInfo(pids={"engine": os.getpid()}, nats_url=second.url))
        try:
            with publishing(second.url, rate=20):
                # until the first comes of what is sent over there, all of the old has been read
                assert tap.stderr.readline() == f"qraft: NATS is back, at {second.url}\n"
                for _ in range(30):
                    assert tap.stdout.readline()
            tap.send_signal(signal.SIGINT)
            assert tap.wait(10) == 0
        finally:
            run_apart(second.stop())
