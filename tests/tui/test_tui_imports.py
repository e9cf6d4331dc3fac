from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import qraft.store
import tui

ROOT = Path(tui.__file__).parent
PURE = [path for folder in ("state", "feed", "history", "views") for path in sorted((ROOT / folder).glob("*.py"))]
ALLOWED = ("qraft.model", "qraft.filter", "qraft.config", "qraft.bus", "qraft.store")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"qraft.{alias.name}" for alias in node.names} if module == "qraft" else {module}
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_not_a_widget_or_a_screen_never_names_textual(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] == "textual"]


def test_nor_does_it_load_textual_through_others() -> None:
    modules = [f"tui.{path.parent.name}.{path.stem}" for path in PURE if path.stem != "__init__"] + [
        "tui.actions",
        "tui.keymap",
        "tui.wiring",
    ]
    code = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nprint('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_of_qraft_only_the_allowed_parts_are_used(path: Path) -> None:
    names = [name for name in imported(path) if name.split(".")[0] == "qraft"]
    assert all(name.startswith(ALLOWED) for name in names), names


def test_the_state_does_no_input_or_output_but_that_of_its_two_kinds_of_files() -> None:
    for path in (ROOT / "state").glob("*.py"):
        banned = {"asyncio", "socket", "time", "subprocess", "qraft.bus"}
        if path.stem not in ("journal", "saved"):
            banned |= {"os", "pathlib"}
        assert not imported(path) & banned, path


def test_of_the_store_the_state_takes_values_only() -> None:
    for path in (ROOT / "state").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "qraft.store":
                made = [getattr(qraft.store, alias.name) for alias in node.names]
                assert all(dataclasses.is_dataclass(one) for one in made), (path, made)
