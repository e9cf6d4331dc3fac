"""`qraft alerts` and what `qraft check` says of alerts; tests/e2e/test_alerts.py has the commands on a running instance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qraft import cli
from tests.alerts.receiver import SECRET, receiving


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["qraft", *arguments])
    return cli.main()


def written(folder: Path, text: str) -> str:
    path = folder / "c.toml"
    path.write_text(text)
    return str(path)


def test_each_target_is_tried_and_told_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.delenv("NOT_THERE", raising=False)
    with receiving() as hook:
        (tmp_path / "url").write_text(f"json://{hook.url.removeprefix('http://')}\n")
        path = written(
            tmp_path,
            f'[alerts.targets.hook]\nkind = "webhook"\nurl = "{hook.url}"\nsecret_env = "HOOK_SECRET"\n'
            '[alerts.targets.ops]\nurl_file = "url"\n[alerts.targets.gone]\nurl_env = "NOT_THERE"\n',
        )
        assert run(monkeypatch, "alerts", "test", "--config", path) == 1
        said = capsys.readouterr()
        assert said.out.splitlines()[:2] == ["hook: ok", "ops: ok"]
        assert said.out.splitlines()[2].startswith(
            "gone: not delivered: alerts.targets.gone.url_env: the environment variable"
        )
        assert sorted("webhook-id" in one.headers for one in hook.received) == [False, True]
        assert run(monkeypatch, "alerts", "test", "ops", "--config", path, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "ok": True,
            "targets": [{"target": "ops", "ok": True, "status": 0, "error": ""}],
        }


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", ["test"], "no target is configured; describe one below [alerts.targets]"),
        ("", ["test", "ops"], 'there is no target "ops"; known: none; describe one below [alerts.targets]'),
        ('[alerts.targets.ops]\nurl_env = "X"\n', ["test", "op"], 'there is no target "op"; known: ops'),
        ("", ["replay"], "no rule is in force; describe one below [alerts.rules]"),
        (
            '[clickhouse]\nurl = "http://127.0.0.1:9"\n[alerts.targets.o]\nurl_env = "X"\n[alerts.rules.r]\nto = ["o"]\n',
            ["replay", "--since", "yesterday"],
            '--since: "yesterday" is neither a length of time such as 15m, 24h or 7d nor an ISO 8601 time',
        ),
        ("", ["list"], "nothing is running under "),
    ],
)
def test_a_mistake_is_one_sentence(text: str, arguments: list[str], said: str, tmp_path: Path) -> None:
    options = ["--config", written(tmp_path, text), "--data-dir", str(tmp_path / "none")]
    command = [sys.executable, "-m", "qraft.cli", "alerts", *arguments, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"qraft: {said}")


def test_check_shows_rules_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    path = written(
        tmp_path,
        '[alerts.targets.ops]\nurl_env = "NOT_THERE"\n[alerts.rules.r]\nto = ["ops"]\n'
        '[alerts.rules.s]\nto = ["ops"]\nenabled = false\n',
    )
    assert run(monkeypatch, "check", path) == 0
    said = capsys.readouterr().out.splitlines()
    warning = "alerts.targets.ops.url_env: the environment variable NOT_THERE is not set here; set it where the engine runs"
    assert said[-3:] == ["  alert r: to ops", "  alert s: to ops (not enabled)", f"  warning: {warning}"]
    assert run(monkeypatch, "check", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [warning]
