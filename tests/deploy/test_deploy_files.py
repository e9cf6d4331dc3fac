"""The image's recipe, its locks, and the units of systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def pins(name: str) -> dict[str, str]:
    """Package → what it is pinned to, markers included, each with hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    found = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)[^\n]*\\\n\s+--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    return dict(found)


def test_the_image_installs_versions_that_were_tested() -> None:
    every = pins("requirements.lock")
    for name in ("requirements-run.lock", "requirements-build.lock"):
        assert pins(name).items() <= every.items()
    assert not {"pytest", "mypy", "ruff", "moto", "hatchling"} & set(pins("requirements-run.lock"))


def test_the_lock_holds_what_the_product_imports() -> None:
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9._-]", one)[0].lower() for one in wanted}
    assert names <= set(pins("requirements-run.lock"))


def test_the_image_is_small_and_runs_without_rights() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    assert [name for _, name in stages] == ["build", ""]
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" in last
    assert "pip install" not in last
    assert DOCKERFILE.count("--require-hashes") == 2


def test_what_is_copied_into_the_image_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert set(copied) == let_in
    for name in copied:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_understood_and_sandboxed(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    here = tmp_path / unit.name
    here.write_text(text.replace("/opt/qraft/bin/qraft", sys.executable), encoding="utf-8")
    checked = subprocess.run([program, "verify", str(here)], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    rated = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", "--threshold=20", str(here)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout


def test_the_units_run_the_commands_there_are() -> None:
    from qraft.cli import app

    known = {one.callback.__name__ for one in app.registered_commands if one.callback is not None}
    assert [unit.name for unit in UNITS] == ["qraft-api.service", "qraft-engine.service"]
    for unit in UNITS:
        found = re.search(r"^ExecStart=/opt/qraft/bin/qraft (\w+) ", unit.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        assert found[1] in known
