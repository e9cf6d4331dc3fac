"""The commands that talk to a running instance, over a real NATS and a real ClickHouse."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from qraft import cli
from qraft.bus import Bus, ensure_streams
from qraft.config import ClickHouseAddress, NatsAddress, RunInfo, read_run, write_run
from qraft.config.store import StoreSettings
from qraft.model import (
    Details,
    EngineStats,
    Feedback,
    Pattern,
    Scope,
    SourceStats,
    iso_from_us,
    us_from_iso,
)
from qraft.store import Block, Store

START_US = 1_795_000_000_000_000
IDS = [f"00000000-0000-5000-8000-00000000000{n}" for n in range(3)]
Run = Callable[..., tuple[int, str, str]]
AWAY = "127.0.0.1:1"


def make_pattern(n: int) -> Pattern:
    return Pattern(
        pattern_id=IDS[n],
        type=("drift", "anomaly", "cluster_change")[n],
        timestamp=iso_from_us(START_US + n * 60_000_000),
        source=("host", "market", "host")[n],
        entity=("", "BTC", "")[n],
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.6 + n / 10),
        contributors=[],
        detector="test",
        summary=f"something happened ({n})" + "\x1b]0;title\x07" * (n == 0),
    )


async def prepare(nats_url: str, clickhouse_url: str, database: str) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
    await bus.close()
    verdict = Feedback(
        feedback_id="fb-1",
        pattern_id=IDS[1],
        verdict="confirmed",
        timestamp=iso_from_us(START_US),
        source="market",
        user="ops1",
    )
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
        await store.write(
            Block(token="t:0:1-9:x", ingested_at=START_US, patterns=[make_pattern(n) for n in range(3)], feedback=[verdict])
        )


@pytest.fixture
def data_dir(tmp_path: Path, nats_url: str, clickhouse_url: str, database: str) -> Path:
    """A data directory whose run.json names real servers, as if this process were the engine."""
    asyncio.run(prepare(nats_url, clickhouse_url, database))
    info = RunInfo(pids={"engine": os.getpid()}, nats_url=nats_url, clickhouse_url=clickhouse_url, database=database)
    write_run(tmp_path / "data", info)
    return tmp_path / "data"


@pytest.fixture
def run_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command against a data directory: exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qraft.commands.servers.HEAR_SECONDS", 1.0)

    def command(data_dir: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", *arguments, "--data-dir", str(data_dir)])
        capsys.readouterr()
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


@pytest.fixture
def run(run_in: Run, data_dir: Path) -> Run:
    """Runs a command against the data directory with real servers."""
    return functools.partial(run_in, data_dir)


@pytest.fixture
def run_away(run_in: Run, tmp_path: Path) -> Run:
    """Runs a command against a data directory whose servers are gone."""
    folder = tmp_path / "away"
    write_run(folder, RunInfo(pids={"engine": os.getpid()}, nats_url=f"nats://{AWAY}", clickhouse_url=f"http://{AWAY}"))
    return functools.partial(run_in, folder)


@contextmanager
def speaking(nats_url: str, stats: EngineStats) -> Iterator[None]:
    """An engine's voice: the same statistics again and again."""
    done = threading.Event()

    async def speak() -> None:
        bus = await Bus.connect(NatsAddress(nats_url), name="engine")
        while not done.is_set():
            await bus.publish_stats(stats)
            await asyncio.sleep(0.05)
        await bus.close()

    thread = threading.Thread(target=lambda: asyncio.run(speak()))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def engine(**said: object) -> EngineStats:
    host = SourceStats(source="host", adapter="host", state="running", rate=1.0, lag_seconds=0.25)
    return EngineStats(**{"engine": "main", "timestamp": "", "state": "running", "sources": [host], **said})  # type: ignore[arg-type]


async def stored_verdicts(nats_url: str) -> list[Feedback]:
    import msgspec

    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    stream = bus.jetstream()
    state = (await stream.stream_info("QRAFT_EVENTS")).state
    raw = [await stream.get_msg("QRAFT_EVENTS", n) for n in range(state.first_seq, state.last_seq + 1)]
    await bus.close()
    return [msgspec.json.decode(message.data or b"", type=Feedback) for message in raw]


def test_patterns_as_people_and_as_scripts_read_them(run: Run) -> None:
    status, out, err = run("patterns")
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        f"2026-11-18 11:08:40  cluster_change  0.80  host  {IDS[2]}",
        f"2026-11-18 11:07:40  anomaly         0.70  market/BTC  {IDS[1]}  [confirmed by ops1]",
        f"2026-11-18 11:06:40  drift           0.60  host  {IDS[0]}",
    ]
    assert "    something happened (2)" in out
    assert "\x1b" not in out  # what a terminal would obey came from a stream
    status, out, _ = run("patterns", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [(p["pattern_id"], p["verdict"]) for p in found] == [(IDS[2], None), (IDS[1], "confirmed"), (IDS[0], None)]
    assert found[0]["details"]["confidence"] == 0.8


def test_patterns_are_narrowed(run: Run) -> None:
    def ids(*options: str) -> list[str]:
        status, out, err = run("patterns", "--json", *options)
        assert (status, err) == (0, "")
        return [json.loads(line)["pattern_id"] for line in out.splitlines()]

    assert ids("--source", "host") == [IDS[2], IDS[0]]
    assert ids("--type", "drift", "--type", "anomaly") == [IDS[1], IDS[0]]
    assert ids("--min-confidence", "0.65") == [IDS[2], IDS[1]]
    assert ids("--limit", "1") == [IDS[2]]
    assert ids("--since", "2026-11-18T11:07:00Z") == [IDS[2], IDS[1]]
    assert ids("--since", "99999d") == [IDS[2], IDS[1], IDS[0]]
    assert run("patterns", "--source", "nobody")[1] == "no patterns\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--since", "yesterday"],
            '--since: "yesterday" is neither a length of time such as 15m, 2h or 7d nor an ISO 8601 time',
        ),
        (["--since", "999999d"], "--since"),
        (["--type", "drifft"], '--type: "drifft" is none of drift, anomaly, cluster_change'),
    ],
)
def test_a_filter_that_cannot_be_used_is_named(run_away: Run, options: list[str], said: str) -> None:
    status, out, err = run_away("patterns", *options)
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert said in err


def test_sources_show_what_is_stored_and_what_the_engine_says(run: Run, nats_url: str) -> None:
    with speaking(nats_url, engine()):
        status, out, err = run("sources")
        assert (status, err) == (0, "")
        assert [line.split() for line in out.splitlines()] == [
            ["SOURCE", "ADAPTER", "STATE", "EVENTS/S", "LAG", "EVENTS", "PATTERNS", "LAST", "EVENT"],
            ["host", "host", "running", "1.0", "0.2", "s", "0", "2", "-"],
            ["market", "-", "-", "-", "-", "0", "1", "-"],
        ]
        found = json.loads(run("sources", "--json")[1])
        assert [(s["source"], s["state"], s["patterns"]) for s in found] == [("host", "running", 2), ("market", "", 1)]


def test_sources_without_an_engine_show_what_is_stored(run: Run) -> None:
    status, out, err = run("sources")
    assert (status, err) == (0, "qraft: no engine speaks; only what is stored is shown\n")
    assert "market" in out


def test_status_is_0_when_all_is_well(run: Run, nats_url: str) -> None:
    with speaking(nats_url, engine(rate=12.5, uptime_seconds=3700.0, pending=7)):
        status, out, err = run("status")
        assert (status, err) == (0, "")
        assert out.startswith("engine main: running, up 1 h 1 min, 12.5 events/s, lag 0.0 s, 7 messages waiting")
        assert any(line.split() == ["pattern_events", "3"] for line in out.splitlines())
        said = json.loads(run("status", "--json")[1])
    assert (said["ok"], said["wrong"], said["rows"]["pattern_events"]) == (True, [], 3)
    assert said["engines"][0]["sources"][0]["source"] == "host"


def test_status_is_1_and_says_what_is_wrong(run: Run, nats_url: str) -> None:
    status, _, err = run("status")
    assert (status, err) == (1, "qraft: no engine speaks; start one with `qraft engine`\n")
    with speaking(nats_url, engine(state="starting")):
        assert run("status")[0::2] == (1, "qraft: engine main is starting\n")
    with speaking(nats_url, engine(state="waiting", detail="ClickHouse")):
        status, out, err = run("status")
        assert (status, err) == (1, "qraft: engine main waits: ClickHouse\n")
        assert "engine main: waiting for ClickHouse" in out
        assert (run("status", "--json")[0], json.loads(run("status", "--json")[1])["ok"]) == (1, False)


def test_a_verdict_is_on_the_stream_when_its_id_is_printed(run: Run, nats_url: str) -> None:
    status, out, err = run("feedback", IDS[0], "false_positive", "--note", "nightly", "--user", "ops1")
    assert (status, err) == (0, "")
    (given,) = asyncio.run(stored_verdicts(nats_url))
    assert out == f"{given.feedback_id}\n"
    assert (given.pattern_id, given.verdict, given.source, given.detector) == (IDS[0], "false_positive", "host", "test")
    assert (given.note, given.user) == ("nightly", "ops1")


def test_an_undo_takes_back_the_operators_verdict_in_force(run: Run, nats_url: str) -> None:
    status, out, _ = run("feedback", IDS[1], "undo", "--user", "ops1", "--json")
    assert (status, json.loads(out)["undoes"]) == (0, "fb-1")
    (given,) = asyncio.run(stored_verdicts(nats_url))
    assert (given.verdict, given.undoes) == ("undo", "fb-1")
    status, out, err = run("feedback", IDS[1], "undo", "--user", "ops2")
    assert (status, out, err) == (1, "", f'qraft: no verdict of "ops2" is in force on pattern {IDS[1]}\n')


def test_a_mute_covers_what_its_keys_say_and_ends(run: Run, nats_url: str) -> None:
    assert run("feedback", IDS[1], "mute", "--for", "2h", "--scope", "entity", "--user", "ops1")[0] == 0
    assert run("feedback", IDS[1], "mute", "--scope", "source, detector")[0] == 0
    assert run("feedback", IDS[1], "mute")[0] == 0
    assert run("feedback", IDS[1], "note", "--note", "backup")[0] == 0
    narrow, wide, same, note = asyncio.run(stored_verdicts(nats_url))
    one = make_pattern(1)
    assert narrow.scope == Scope(source=one.source, entity="BTC")
    assert wide.scope == Scope(source=one.source, detector="test")
    assert same.scope == Scope(source=one.source, entity="BTC", type=one.type, detector="test")
    lengths = [us_from_iso(mute.until) - us_from_iso(mute.timestamp) for mute in (narrow, wide, same)]
    assert lengths == [7_200_000_000, 3_600_000_000, 3_600_000_000]
    assert (note.verdict, note.note, note.scope, note.until) == ("note", "backup", None, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["mute", "--for", "soon"], '--for: "soon" is no length of time; write 90m, 2h or 1d'),
        (["mute", "--for", "31d"], "--for: a mute ends after 30 days at the latest"),
        (["mute", "--scope", "sorce"], '"sorce" is none of source, entity, type, detector; did you mean "source"?'),
        (["confirmed", "--for", "2h"], "--for is for a mute, not for confirmed"),
        (["note", "--note", "x", "--scope", "source"], "--scope is for a mute, not for note"),
        (["note"], "a note needs its text: --note TEXT"),
    ],
)
def test_a_mistaken_mute_or_note_is_one_sentence(run_away: Run, arguments: list[str], reason: str) -> None:
    status, out, err = run_away("feedback", IDS[0], *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("qraft: ")
    assert err.endswith(f"{reason}\n")


def test_a_mistaken_verdict_names_the_nearest(run: Run) -> None:
    status, _, err = run("feedback", IDS[0], "confirm")
    assert (status, err.endswith('; did you mean "confirmed"?\n')) == (1, True)
    status, _, err = run("feedback", "unknown", "confirmed")
    assert (status, err) == (1, "qraft: no pattern unknown is stored; `qraft patterns` lists them\n")


@pytest.mark.parametrize("command", [["patterns"], ["sources"], ["feedback", IDS[0], "confirmed"], ["status"]])
def test_servers_that_are_away_are_one_sentence(run_away: Run, command: list[str]) -> None:
    status, _, err = run_away(*command)
    assert status == 1
    assert AWAY in err
    assert "Traceback" not in err
    assert all(line.startswith("qraft: ") for line in err.splitlines())


def test_a_database_without_tables_is_one_sentence(run: Run, data_dir: Path, nats_url: str, clickhouse_url: str) -> None:
    write_run(
        data_dir,
        RunInfo(pids={"engine": os.getpid()}, nats_url=nats_url, clickhouse_url=clickhouse_url, database="nothing_here"),
    )
    status, _, err = run("patterns")
    assert (status, 'the database "nothing_here"' in err, "when it starts" in err) == (1, True, True)


def test_a_configuration_names_servers_where_no_run_json_does(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = read_run(data_dir)
    assert there is not None
    path = tmp_path / "c.toml"
    servers = f'[clickhouse]\nurl = "{there.clickhouse_url}"\ndatabase = "{there.database}"\n'
    path.write_text(f'{servers}[engine]\ndata_dir = "elsewhere"\n')
    monkeypatch.setattr(sys, "argv", ["qraft", "patterns", "--config", str(path), "--json"])
    assert cli.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_doctor_is_well_over_running_servers(run: Run) -> None:
    status, out, err = run("doctor", "--json")
    said = json.loads(out)
    assert (status, err, said["ok"]) == (0, "", True), out
    states = {check["name"]: check["state"] for check in said["checks"]}
    assert {"configuration", "packages", "data directory", "disk", "NATS", "ClickHouse", "clock"} <= set(states)
    clock = next(check for check in said["checks"] if check["name"] == "clock")
    assert clock["detail"].endswith("s from ClickHouse's")


def test_doctor_says_how_to_mend_each(run_away: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.toml").write_text(f"[api]\nport = {port}\n")
        status, out, err = run_away("doctor")
        assert (status, err) == (1, "qraft: not well: port of api, NATS, ClickHouse\n")
        assert f"fail  port of api: {port} on 127.0.0.1: Address already in use" in out
        assert out.count("to mend:") == 3
    (tmp_path / "config.toml").write_text("[api]\nprt = 1\n")
    status, out, err = run_away("doctor", "--json")
    first = json.loads(out)["checks"][0]
    assert (status, first["state"], first["detail"]) == (
        1,
        "fail",
        'config.toml:2: api.prt: unknown key; did you mean "port"?',
    )


def test_doctor_names_a_data_directory_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setattr(sys, "argv", ["qraft", "doctor", "--data-dir", str(folder)])
        assert cli.main() == 1
        output = capsys.readouterr()
        assert output.err == "qraft: not well: data directory\n"


@pytest.fixture
def api(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """`qraft api` as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "qraft.cli", "api", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=data_dir,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_the_rest_server_writes_where_it_is_and_ends_in_order(api: subprocess.Popen[str], data_dir: Path) -> None:
    assert api.stdout is not None
    url = api.stdout.readline().split()[3].rstrip(",")
    answer = httpx.get(f"{url}/api/patterns", timeout=30)
    assert [p["pattern_id"] for p in answer.json()["patterns"]] == IDS[::-1]
    present = read_run(data_dir)
    assert present is not None
    assert (present.api_url, present.pids) == (url, {"engine": os.getpid(), "api": api.pid})
    api.send_signal(signal.SIGINT)
    _, err = api.communicate(timeout=30)
    assert (api.returncode, err) == (130, "")
    present = read_run(data_dir)
    assert present is not None
    assert (present.api_url, present.pids) == ("", {"engine": os.getpid()})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_the_rest_server_refuses_other_machines(run_away: Run, host: str) -> None:
    status, out, err = run_away("api", "--host", host)
    assert (status, out) == (1, "")
    assert err.startswith(f"qraft: api.host: {host} can be reached from other machines")
    assert len(err.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence(run_away: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = run_away("api", "--port", str(port))
    assert (status, out) == (1, "")
    assert err == f"qraft: api.port: 127.0.0.1:{port} cannot be had: Address already in use; choose another with --port\n"


def test_a_relative_time_counts_from_now() -> None:
    from datetime import UTC, datetime, timedelta

    from qraft.commands.patterns import _moment

    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert now - _moment("90m", now) == timedelta(minutes=90)
    assert _moment("2026-11-22T12:00:00", now) == now
