"""The pictures of the documentation, from the scenes of the tests; ``python -m tests.snapshots.pictures`` draws them."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from rich.cells import cell_len

from tests.snapshots.scenes import PLAIN_ENVIRONMENT, build
from tui.language import Language, use
from tui.state import clock
from tui.zone import use_zone

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
SIZE: Final = 120, 36
CELL: Final = 12.2
"""Width of a cell in a picture."""
FONTS: Final = '"Fira Code", "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace'


class Picture(NamedTuple):
    """A scene with the keys pressed in it, the language and the theme; ``tells`` is text that stands in it."""

    scene: str
    tells: tuple[str, ...]
    keys: tuple[str, ...] = ()
    language: Language = "en"
    theme: str = "dark"


PICTURES: Final[dict[str, Picture]] = {
    "live": Picture("live", ("LIVE", "market/BTC-USD", "orders-eu/checkout", "CONFIRMED")),
    "episode": Picture("live", ("EPISODE", "price: mean 91240", "reference", "LIKE THIS"), ("enter",)),
    "history": Picture(
        "live",
        ("HISTORY", "score>.75"),
        ("H", "slash", *"score>.75", "enter", "down", "down"),
    ),
    "sources": Picture("live", ("SOURCES", "sensors-hall-3", "FIELD"), ("O",)),
    "feedback": Picture("muted", ("FEEDBACK", "release night", "@ann"), ("B",)),
    "pipe": Picture("live", ("PIPE", "THIS TERMINAL", "preprocess"), ("P",)),
    "time-travel": Picture("live", ("10:00:00", "market"), ("t", *"10:00/+1h", "enter", "down")),
    "chinese": Picture("live", ("market/BTC-USD",), (), "zh"),
    "light": Picture("live", ("EPISODE", "price"), ("enter", "5", "down"), "en", "light"),
}


async def draw(name: str) -> str:
    """One of them as SVG; the environment is to be plain."""
    picture = PICTURES[name]
    use(picture.language)
    with tempfile.TemporaryDirectory() as folder:
        scene = build(picture.scene, Path(folder), keys=picture.keys, theme_name=picture.theme)
        async with scene.app.run_test(size=SIZE) as pilot:
            await scene.play(pilot)
            svg = scene.app.export_screenshot(title=f"qraft tui · {name}", simplify=True)
    use("en")
    return portable(svg)


def portable(svg: str) -> str:
    """Without fonts from elsewhere, which a picture in a page may not load, and with names that stay the same."""
    svg = re.sub(r"\s*<!--.*?-->", "", svg)
    svg = re.sub(r"\s*@font-face \{[^}]*\}", "", svg)
    svg = re.sub(r"font-family: Fira Code, monospace", f"font-family: {FONTS}", svg)
    svg = re.sub(r"<text ([^>]*)>([^<]*)</text>", _placed, svg)
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    return "\n".join(line.rstrip() for line in svg.strip().splitlines()) + "\n"


def _placed(found: re.Match[str]) -> str:
    """A text in which every wide character, and all between two of them, has a place of its own.

    Fonts differ in how wide a Chinese character is; what stands beside it must not be moved by that.
    """
    attributes, text = found[1], html.unescape(found[2]).replace("\xa0", " ")
    place = re.search(r'\bx="([\d.]+)"', attributes)
    length = re.search(r'\btextLength="([\d.]+)"', attributes)
    if place is None or length is None or cell_len(text) == len(text):
        return found[0]
    x, out = float(place[1]), []
    for run in re.findall(r"[\u2e80-\uffef]|[^\u2e80-\uffef]+", text):
        width = CELL * cell_len(run)
        own = attributes.replace(place[0], f'x="{x:.1f}"').replace(length[0], f'textLength="{width:.1f}"')
        if cell_len(run) > len(run):
            own = own.replace(f'textLength="{width:.1f}"', "").rstrip()
        x += width
        written = html.escape(run).replace(" ", "&#160;")
        out.append(f"<text {own}>{written}</text>")
    return "".join(out)


def text_of(svg: str) -> str:
    """The words of a picture."""
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", svg, flags=re.DOTALL)
    return words.replace("&#160;", " ").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")


def main() -> int:
    """Draws all of them."""
    for key in [k for k in os.environ if k.startswith(("LC_", "SSH_")) or k in ("NO_COLOR", "LANGUAGE")]:
        del os.environ[key]
    os.environ.update(PLAIN_ENVIRONMENT)
    time.tzset()
    use_zone("UTC")
    clock.SLOW_FRAME_SECONDS = 1e9
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(asyncio.run(draw(name)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
