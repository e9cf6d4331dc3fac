"""`qraft keys`: the keys in force, in every form; and a wrong `[tui.keys]`, told by it and by `qraft check`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from qraft import cli
from tui.actions import ACTIONS
from tui.keymap import resolve, shown


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """English, and no configuration but what a test writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("LANGUAGE", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["qraft", *arguments])
    return cli.main()


def listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> dict[str, dict[str, Any]]:
    assert run(monkeypatch, "keys", "--json", *arguments) == 0
    return {row["action"]: row for row in json.loads(capsys.readouterr().out)}


def test_every_action_is_listed_once_with_its_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = listed(monkeypatch, capsys)
    assert set(known) == {a.name for a in ACTIONS}
    for action in ACTIONS:
        row = known[action.name]
        assert row["keys"] == row["default"] == [shown(key) for key in action.keys]
        assert row["commands"] == [action.name, *action.aliases]
        assert len(row["screens"]) == len(action.pages)
        assert row["help"] == action.help
    assert run(monkeypatch, "keys") == 0
    lines = capsys.readouterr().out.splitlines()
    for action in ACTIONS:
        assert sum(f" :{action.name} " in line for line in lines) == 1


def test_what_is_listed_can_be_written_into_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = {name: row["keys"] for name, row in listed(monkeypatch, capsys).items()}
    assert resolve(written) == resolve({})


def test_the_keys_are_those_the_configuration_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[tui.keys]\nconfirm = "|"\nhelp = ["f5", "`"]\nzoom = []\n')
    known = listed(monkeypatch, capsys, "--config", str(path))
    assert [known[name]["keys"] for name in ("confirm", "help", "zoom", "undo")] == [["|"], ["f5", "`"], [], ["u"]]
    assert run(monkeypatch, "keys", "--config", str(path)) == 0
    lines = capsys.readouterr().out.splitlines()
    confirm, zoom = (next(line for line in lines if f":{name} " in line) for name in ("confirm", "zoom"))
    assert confirm.split()[0] == "|"
    assert confirm.endswith("(by default c)")
    assert zoom.split()[0] == "none"
    assert run(monkeypatch, "keys", "--config", str(path), "--markdown") == 0
    page = capsys.readouterr().out
    assert "\n| `\\|` | `:confirm` |" in page
    assert "\n| `f5` `` ` `` | `:help` |" in page
    assert "\n| none | `:zoom` |" in page


def test_columns_stand_under_their_heads_in_chinese_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "keys", "--lang", "zh") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    edge = cell_len(head[: head.index("命令")])
    commands = [line for line in lines if line.startswith("  ")]
    assert len(commands) == len(ACTIONS)
    for line in commands:
        at = re.search(r":[a-z]", line)
        assert at is not None
        assert cell_len(line[: at.start()]) == edge


def test_the_language_is_that_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[tui]\nlanguage = "zh"\n')
    assert listed(monkeypatch, capsys)["confirm"]["label"] == "确认"
    assert listed(monkeypatch, capsys, "--lang", "en")["confirm"]["label"] == "confirm"


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        ('[tui.keys]\nconfrm = "z"\n', 1, 'tui.keys: unknown action "confrm"; did you mean "confirm"?'),
        ('[tui]\nzone = "UTC"\n[tui.keys]\nzoom = ""\nconfirm = "nokey"\n', 5, 'tui.keys.confirm: "nokey" is no key; write'),
        ('[tui.keys]\nconfirm = "x"\n', 1, 'tui.keys: "x" is given to both'),
        ("[tui.keys]\nquit = []\n", 2, "tui.keys.quit: needs a key"),
    ],
)
def test_wrong_keys_are_one_sentence_here_and_in_check(  # noqa: PLR0917 half of them are fixtures
    written: str, line: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(written)
    sentences = []
    for command in (["keys", "--config", str(path)], ["check", str(path)]):
        assert run(monkeypatch, *command) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith(f"qraft: {path}:{line}: {said}")
        sentences.append(output.err)
    assert sentences[0] == sentences[1]
    assert len(sentences[0].splitlines()) == 1
    assert run(monkeypatch, "check", "--json", str(path)) == 1
    problem = json.loads(capsys.readouterr().out)["problems"][0]
    assert (problem["line"], said.startswith(problem["key"])) == (line, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lang", "de"], 'qraft: --lang: no language "de"; there are en, zh\n'),
        (["--json", "--markdown"], "qraft: --markdown and --json exclude each other\n"),
    ],
)
def test_a_mistaken_option_is_told(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "keys", *arguments) == 1
    assert capsys.readouterr().err == said
