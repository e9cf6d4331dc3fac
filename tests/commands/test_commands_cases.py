"""`qraft test` as a user and a build server run it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from qraft import cli

CASES = """
[[case]]
name = "noise is quiet"
quiet = true
stream = { rows = 600 }
detect.line = 0.999999

[[case]]
name = "noise holds a drift"
stream = { rows = 600 }
detect.line = 0.999999
[[case.expect]]
type = "drift"
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.test.toml").write_text(CASES)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", "test", *arguments])
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


def test_one_line_a_case_the_reason_below_and_status_1(run: Run, tmp_path: Path) -> None:
    status, out, err = run("--workers", "1", "--junit", "out/results.xml")
    assert (status, err) == (1, "")
    said = out.splitlines()
    assert said[0] == "tests/a.test.toml"
    assert said[1].split()[:6] == ["PASSED", "noise", "is", "quiet", "600", "rows"]
    assert said[2].startswith("  FAILED  noise holds a drift")
    assert said[3].strip() == "expected a drift, found no pattern at all"
    assert said[-1].startswith("1 failed, 1 passed in ")
    suite = ElementTree.parse(tmp_path / "out" / "results.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")


def test_a_part_of_the_cases_may_be_chosen(run: Run) -> None:
    status, out, _ = run("tests", "-k", "quiet", "--workers", "1")
    assert status == 0
    assert "holds a drift" not in out
    assert run("tests/a.test.toml", "-k", "nothing")[::2] == (
        1,
        'qraft: none of 2 cases has "nothing" in its file or name\n',
    )


def test_json_for_scripts(run: Run) -> None:
    status, out, _ = run("--json", "--workers", "1")
    table = json.loads(out)
    assert (status, table["ok"]) == (1, False)
    assert [(one["name"], one["passed"]) for one in table["cases"]] == [
        ("noise is quiet", True),
        ("noise holds a drift", False),
    ]


def test_a_mistake_names_file_line_and_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tests" / "a.test.toml").write_text(CASES.replace("rows", "row"))
    status, out, err = run()
    assert (status, out) == (1, "")
    assert 'qraft: tests/a.test.toml:5: case[0].stream.row: unknown key; did you mean "rows"?' in err.splitlines()


def test_the_configuration_in_force_is_what_is_tested(run: Run, tmp_path: Path) -> None:
    shift = 'stream = { rows = 900, fault = [{ kind = "shift", row = 600, size = 9.0 }] }'
    (tmp_path / "tests" / "a.test.toml").write_text(f'[[case]]\nname = "x"\nquiet = true\n{shift}\n')
    assert run("--workers", "1")[0] == 1
    (tmp_path / "config.toml").write_text("[detect]\nline = 0.9999999\n")
    assert run("--workers", "1")[0] == 0
