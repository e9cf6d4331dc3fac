"""Pictures of the terminal interface by size and scene: as SVG with colours, and as text for what text can tell.

``pytest tests/snapshots --snapshot-update`` takes new ones; look at them before they are kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.snapshots.scenes import Scene
from tui.language import use

SIZES = {"120x36": (120, 36), "80x24": (80, 24), "60x20": (60, 20)}
STATES = {"live": "live", "frozen": "frozen", "stale": "stale", "gap": "gap", "empty": "empty", "first-start": "warming"}
PAGES = {"episode": "enter", "history": "H", "feedback": "B", "sources": "O", "pipe": "P"}
TEXTS = Path(__file__).parent / "text"
MakeScene = Callable[..., Scene]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("size", SIZES)
def test_picture(scene: MakeScene, snap_compare: Callable[..., bool], size: str, state: str) -> None:
    made = scene(STATES[state])
    assert snap_compare(made.app, terminal_size=SIZES[size], run_before=made.play)


@pytest.mark.parametrize("page", PAGES)
def test_picture_of_a_page(scene: MakeScene, snap_compare: Callable[..., bool], page: str) -> None:
    made = scene("live", keys=(PAGES[page],))
    assert snap_compare(made.app, terminal_size=SIZES["120x36"], run_before=made.play)


class Case(NamedTuple):
    """One text: the scene, the size, how it is shown, and the keys that are pressed in it, as they name the file."""

    scene: str
    size: str
    how: str = "colour"
    keys: str = ""

    @property
    def name(self) -> str:
        """The name of its file."""
        pressed = "".join(KEY_NAMES.get(key, key) for key in self.keys.split())
        return "-".join(part for part in (self.scene, self.size, self.how, pressed) if part)


KEY_NAMES = {
    "left_square_bracket": "earlier",
    "question_mark": "help",
    "ctrl+p": "palette",
    "slash": "filter",
    "colon": "command",
    "shift+tab": "backtab",
    ":": "",
    ">": "",
    "space": "_",
}
CASES = [
    # every state in ways the pictures do not show
    Case("live", "120x36", "ascii"),
    Case("live", "80x24", "ascii"),
    Case("live", "60x20", "ascii"),
    Case("frozen", "60x20", "ascii"),
    Case("stale", "80x24", "ascii"),
    Case("gap", "80x24", "ascii"),
    Case("live", "120x36", "nocolor"),
    Case("frozen", "80x24", "nocolor"),
    Case("gap", "60x20", "nocolor"),
    Case("live", "120x36", "zh"),
    Case("live", "80x24", "zh"),
    Case("live", "60x20", "zh"),
    Case("stale", "80x24", "zh"),
    Case("warming", "80x24", "zh"),
    # the first start
    Case("connecting", "80x24"),
    Case("unreachable", "80x24"),
    Case("unreachable", "60x20", "zh"),
    Case("warming", "300x90"),
    # what the engine has to tell
    Case("degraded", "120x36"),
    Case("degraded", "60x20", "nocolor", "1"),
    Case("refused", "120x36"),
    Case("refused", "80x24", "ascii"),
    Case("notice", "80x24"),
    Case("notice", "60x20", "zh"),
    Case("pressed", "120x36", "ascii"),
    Case("pressed", "60x20", "nocolor"),
    # the least and the greatest size
    Case("live", "300x90"),
    Case("live", "300x90", "zh", "enter"),
    Case("live", "100x22"),
    Case("live", "99x21"),
    Case("live", "48x8"),
    Case("stale", "48x8"),
    Case("live", "40x6"),
    Case("frozen", "40x6", "ascii"),
    Case("pressed", "40x6", "zh"),
    # panes of the live screen
    Case("live", "80x24", "colour", "1"),
    Case("live", "80x24", "colour", "3"),
    Case("live", "120x36", "colour", "z"),
    # the other screens
    Case("live", "120x36", "ascii", "enter"),
    Case("live", "80x24", "colour", "enter"),
    Case("live", "80x24", "colour", "enter 2"),
    Case("live", "80x24", "zh", "enter 3"),
    Case("live", "60x20", "colour", "enter 4"),
    Case("live", "60x20", "colour", "enter 5"),
    Case("live", "120x36", "zh", "enter"),
    Case("live", "80x24", "colour", "H"),
    Case("live", "60x20", "zh", "H"),
    Case("live", "80x24", "colour", "O"),
    Case("live", "60x20", "colour", "O"),
    Case("live", "120x36", "zh", "O"),
    Case("live", "80x24", "colour", "B"),
    Case("live", "60x20", "zh", "B"),
    Case("live", "80x24", "colour", "P"),
    Case("stale", "60x20", "zh", "P"),
    # the past
    Case("live", "120x36", "colour", "left_square_bracket"),
    Case("live", "60x20", "ascii", "left_square_bracket"),
    Case("live", "80x24", "zh", "left_square_bracket left_square_bracket"),
    # marks, mutes, questions
    Case("live", "120x36", "colour", "v j v v"),
    Case("live", "60x20", "ascii", "v v v"),
    Case("live", "80x24", "colour", "v v c"),
    Case("muted", "80x24"),
    Case("muted", "80x24", "colour", "M"),
    Case("muted", "120x36", "colour", "B"),
    Case("live", "80x24", "colour", "m"),
    Case("live", "60x20", "zh", "m"),
    Case("live", "80x24", "colour", "slash k i n d : a"),
    Case("live", "80x24", "colour", "slash s c o r e > x"),
    Case("live", "80x24", "colour", "colon m u t e space 2"),
    Case("live", "80x24", "colour", "t"),
    Case("live", "120x36", "colour", "question_mark"),
    Case("live", "60x20", "zh", "question_mark"),
    Case("live", "120x36", "colour", "ctrl+p"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_text(scene: MakeScene, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    rows = await text_of(scene, monkeypatch, case)
    path = TEXTS / f"{case.name}.txt"
    if request.config.getoption("--snapshot-update"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert path.exists(), f"{path.name} was never taken; see the head of this file"
    assert rows == path.read_text(encoding="utf-8").split("\n")[:-1]


async def text_of(scene: MakeScene, monkeypatch: pytest.MonkeyPatch, case: Case) -> list[str]:
    """What stands on the screen, without colours."""
    if case.how == "nocolor":
        monkeypatch.setenv("NO_COLOR", "1")
    use("zh" if case.how == "zh" else "en")
    ascii_only = case.how == "ascii"
    theme = "" if case.how == "nocolor" else "dark"
    made = scene(case.scene, keys=tuple(case.keys.split()), ascii_only=ascii_only, theme_name=theme)
    width, height = map(int, case.size.split("x"))
    async with made.app.run_test(size=(width, height)) as pilot:
        await made.play(pilot)
        strips = made.app.screen._compositor.render_strips()
        rows = ["".join(segment.text for segment in strip).rstrip() for strip in strips]
        assert all(strip.cell_length <= width for strip in strips)
    assert len(rows) == height
    if ascii_only:
        assert all(row.isascii() for row in rows)
    return rows


def test_no_text_is_kept_that_no_test_takes() -> None:
    assert {path.stem for path in TEXTS.glob("*.txt")} == {case.name for case in CASES}


@pytest.mark.parametrize("page", ["", "enter", "H"])
async def test_the_machine_is_in_no_picture(
    tmp_path: Path, scene: MakeScene, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    async def taken() -> str:
        made = scene("live", keys=(page,) if page else ())
        async with made.app.run_test(size=(120, 36)) as pilot:
            await made.play(pilot)
            return made.app.export_screenshot()

    here = await taken()
    for name, value in {"TZ": "Asia/Shanghai", "LANG": "zh_CN.UTF-8", "HOME": str(tmp_path), "USER": "x"}.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    assert os.environ["TZ"] != "UTC"
    assert await taken() == here
