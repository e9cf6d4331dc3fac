"""The command line: quick to load, plain in its mistakes, quiet when interrupted."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import qraft
from qraft import cli

ROOT = Path(__file__).parents[1]
HEAVY = (
    *("textual", "river", "polars", "nats", "fastapi", "clickhouse_connect", "pandas", "numpy", "scipy", "chdb", "rich"),
    *("msgspec", "httpx", "uvicorn", "websockets", "psutil", "prometheus_client"),
)
COMMANDS = (
    *("up", "engine", "tui", "api", "demo", "check", "replay"),
    *("ingest", "patterns", "sources", "status", "tap", "feedback", "doctor"),
    *("experiments", "tune", "explain", "test", "web", "keys", "tokens", "backup", "restore", "archive"),
    "alerts",
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["qraft", *arguments])
    return cli.main()


def qraft_process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "qraft.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["replay", "--help"], ["nonsense"]])
def test_nothing_heavy_is_loaded_until_a_command_needs_it(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from qraft.cli import main\n"
        f"sys.argv = ['qraft', *{arguments!r}]\n"
        "main()\n"
        f"print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_help_lists_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "} == set(COMMANDS)


def test_without_arguments_the_help_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 0
    assert capsys.readouterr().out.startswith("Usage: qraft")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_shows_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    assert f"Example: qraft {command}" in capsys.readouterr().out


def test_the_version_is_the_package_s(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"qraft {qraft.__version__}\n"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == qraft.__version__


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "qraft: No such command 'statsu'. Did you mean 'status'?"),
        (["check", "--jsn"], "see `qraft check --help`"),
        (["check", "a", "b"], "see `qraft check --help`"),
        (["replay"], "Missing argument 'INPUT...'"),
        (["api", "--port", "70000"], "Invalid value for '--port'"),
    ],
)
def test_a_mistaken_command_line_is_one_sentence_and_status_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert said in output.err
    assert len(output.err.splitlines()) == 1


def test_every_known_exception_exists() -> None:
    for name in cli.USER_ERRORS:
        module, _, kind = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), kind), Exception)


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, "check")


def test_check_names_each_mistake_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[engine]\npartitons = 1\n[api]\nport = -1\n")
    assert run(monkeypatch, "check", str(path)) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f'qraft: {path}:2: engine.partitons: unknown key; did you mean "partitions"?',
        f"qraft: {path}:4: api.port: expected 0 or more, got -1",
    ]
    assert run(monkeypatch, "check", str(path), "--json") == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [(p["line"], p["key"]) for p in problems] == [(2, "engine.partitons"), (4, "api.port")]


def test_check_shows_the_sources_of_a_valid_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[sources.a]\nadapter = "file"\npath = "a.csv"\nmode = "replay"\n'
        '[sources.b]\nadapter = "websocket"\nurl = "wss://example.org"\nenabled = false\n'
        '[sources.c]\nadapter = "host"\n'
    )
    assert run(monkeypatch, "check", str(path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: ok",
        f"  a: file {tmp_path}/a.csv (replay)",
        "  b: websocket wss://example.org (not enabled)",
        "  c: host every 1 s",
    ]
    assert run(monkeypatch, "check", str(path), "--json") == 0
    assert [s["source"] for s in json.loads(capsys.readouterr().out)["sources"]] == ["a", "b", "c"]


def test_the_default_configuration_is_ok(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert run(monkeypatch, "check") == 0
    assert capsys.readouterr().out == "config.toml: ok\n  host: host every 1 s\n"


def test_check_without_any_file_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "check") == 1
    assert capsys.readouterr().err == f"qraft: there is no config.toml in {tmp_path}; name a file: `qraft check FILE`\n"


def test_without_a_file_the_built_in_configuration_is_that_of_config_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qraft.commands.common import load_settings
    from qraft.config import load

    monkeypatch.chdir(tmp_path)
    assert load_settings(None) == load(ROOT / "config.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        *(["patterns"], ["sources"], ["status"], ["api"]),
        *(["feedback", "3a1ed4dd-2c4b-5f0e-8f5c-5a1f5d0c9e11", "confirmed"],),
    ],
)
def test_where_nothing_runs_a_command_says_how_to_start(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments, "--data-dir", str(tmp_path / "none")) == 1
    assert capsys.readouterr().err == f"qraft: nothing is running under {tmp_path}/none; start it with `qraft up`\n"


@pytest.mark.parametrize("command", ["up", "tui", "demo"])
def test_without_a_terminal_the_interface_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--data-dir", str(tmp_path)) == 1
    assert "needs a terminal" in capsys.readouterr().err


def test_a_password_variable_that_is_not_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[clickhouse]\nurl = "http://127.0.0.1:1"\npassword_env = "QRAFT_TEST_PASSWORD"\n')
    assert run(monkeypatch, "patterns", "--config", str(path)) == 1
    assert "the environment variable QRAFT_TEST_PASSWORD is not set" in capsys.readouterr().err


def test_interrupted_it_is_quiet(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = qraft_process("check", str(pipe))
    with pipe.open("w"):  # opens once the command waits for text
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("sources", [1, 3000])
def test_a_reader_that_went_away_is_no_error(sources: int, tmp_path: Path) -> None:
    """With little to say the pipe breaks at the end, with much on the way."""
    path = tmp_path / "c.toml"
    path.write_text("".join(f'[sources.s{n}]\nadapter = "host"\n' for n in range(sources)))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "qraft.cli", "check", str(path)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
