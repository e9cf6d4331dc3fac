"""SVG to PNG by a program that is installed: Qraft itself draws SVG only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from qraft.replay.errors import ReplayError

_PROGRAMS: Final = ("rsvg-convert", "resvg", "inkscape", "chromium", "chromium-browser", "google-chrome")
_SECONDS: Final = 60


def find_converter() -> Path:
    """A program that makes PNG of SVG.

    Raises:
        ReplayError: none is installed.
    """
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    raise ReplayError(f"--png needs one of {', '.join(_PROGRAMS)} on the PATH; install one, or keep the SVG files")


def to_png(converter: Path, svg: Path, png: Path, size: tuple[int, int]) -> None:
    """Makes a PNG of ``size`` pixels of an SVG file, on white.

    Raises:
        ReplayError: the program failed.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = _command(converter, svg.absolute(), png.absolute(), size, profile)
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise ReplayError(f"{converter}: cannot make {png.name}: {error}") from None
    if not png.is_file():
        raise ReplayError(f"{converter}: made no {png.name}")


def _command(converter: Path, svg: Path, png: Path, size: tuple[int, int], profile: str) -> list[str]:
    if converter.name == "rsvg-convert":
        return [str(converter), "--background-color", "white", "-o", str(png), str(svg)]
    if converter.name == "resvg":
        return [str(converter), "--background", "white", str(svg), str(png)]
    if converter.name == "inkscape":
        return [str(converter), "--export-background=white", f"--export-filename={png}", str(svg)]
    return [
        str(converter),
        *("--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses to start for root otherwise
        f"--window-size={size[0]},{size[1]}",
        f"--screenshot={png}",
        svg.as_uri(),
    ]
