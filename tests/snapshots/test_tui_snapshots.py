"""Pictures of the terminal interface by size and state: as SVG with colours, and as text for what text can tell.

``pytest tests/snapshots --snapshot-update`` takes new ones; look at them before they are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui.state import clock

SIZES = {"120x36": (120, 36), "80x24": (80, 24), "60x20": (60, 20)}
STATES = ("live", "frozen", "stale", "empty", "degraded", "refused", "notice")
TEXTS = Path(__file__).parent / "text"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(clock, "SLOW_FRAME_SECONDS", 1e9)  # the pace shown must not depend on the machine


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("size", SIZES)
def test_picture(scene: Callable[..., Any], snap_compare: Callable[..., bool], size: str, state: str) -> None:
    assert snap_compare(scene(state).app, terminal_size=SIZES[size])


def rows_of(app: Any) -> list[str]:
    """What stands on the screen, without colours."""
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def name_of(case: tuple[str, ...]) -> str:
    """Name of a case's file."""
    return "-".join(part.replace(" ", "").replace(":", "") for part in case if part)


CASES = [
    ("live", "120x36", "ascii", ""),
    ("live", "60x20", "ascii", ""),
    ("stale", "80x24", "ascii", ""),
    ("live", "120x36", "nocolor", ""),
    ("frozen", "80x24", "nocolor", ""),
    ("warming", "120x36", "colour", ""),
    ("warming", "60x20", "colour", ""),
    ("unreachable", "80x24", "colour", ""),
    ("live", "120x36", "colour", "enter"),
    ("live", "80x24", "colour", "3"),
    ("live", "80x24", "colour", "1"),
    ("live", "80x24", "colour", "slash k i n d : a"),
    ("live", "120x36", "colour", "question_mark"),
    ("live", "60x20", "colour", "question_mark"),
    ("live", "40x6", "colour", ""),
    ("degraded", "80x24", "colour", "1"),
    ("degraded", "60x20", "nocolor", "1"),
    ("pressed", "120x36", "ascii", ""),
    ("pressed", "60x20", "nocolor", ""),
    ("pressed", "40x6", "colour", ""),
    ("refused", "80x24", "ascii", ""),
    ("notice", "60x20", "ascii", ""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(part for part in case if part))
async def test_text(
    scene: Callable[..., Any], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, case: tuple[str, ...]
) -> None:
    state, size, mode, keys = case
    if mode == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")
    made = scene(state, ascii_only=mode == "ascii")
    width, height = map(int, size.split("x"))
    async with made.app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        if keys:
            await pilot.press(*keys.split())
        await pilot.pause()
        await pilot.pause()
        rows = rows_of(made.app)
    if mode == "ascii":
        assert all(row.isascii() for row in rows)
    path = TEXTS / f"{name_of(case)}.txt"
    if request.config.getoption("--snapshot-update"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert path.exists(), f"{path.name} was never taken; see the head of this file"
    assert rows == path.read_text(encoding="utf-8").split("\n")[:-1]


def test_no_picture_is_kept_that_no_test_takes() -> None:
    assert {path.stem for path in TEXTS.glob("*.txt")} == {name_of(case) for case in CASES}
