"""Colours of the interface: one file a theme in ``themes/``, read when it is asked for, and the choice among them.

A theme gives each tone of ``tui.views.text`` a Rich style. No theme tells anything by colour alone: views put a glyph or a
word beside it, so that `mono` shows all that the others show.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.errors import StyleSyntaxError
from rich.style import Style

from tui.language import t
from tui.views.text import TONES, Tone

if TYPE_CHECKING:
    from textual.theme import Theme

NAMES: Final = ("dark", "light", "ansi", "deuteranopia", "tritanopia", "mono")
CURSOR: Final = "cursor"
DEFAULT: Final = "dark"

Styles = Mapping[tuple[Tone, bool], Style]


class ThemeError(ValueError):
    """There is no such theme, or its file is wrong; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Palette:
    """A theme as its file says it.

    Attributes:
        name: one of ``NAMES``.
        dark: whether text is lighter than the ground.
        ground: colour behind everything; ``default`` is the terminal's own.
        panel: colour behind what stands in front of the ground.
        tones: what each tone looks like; a tone without a ground of its own stands on ``ground``.
        cursor: what is added to the row the cursor is on.
    """

    name: str
    dark: bool
    ground: str
    panel: str
    tones: Mapping[Tone, Style]
    cursor: Style

    @property
    def native(self) -> bool:
        """Whether the colours are the terminal's own."""
        return self.ground == "default"

    def style(self, tone: Tone, *, cursor: bool = False) -> Style:
        """A tone as it is painted; one with a ground of its own keeps it under the cursor."""
        own = self.tones[tone]
        style = Style(bgcolor=self.ground) + own
        return style + self.cursor if cursor and own.bgcolor is None and not own.reverse else style

    def color(self, tone: Tone) -> str:
        """The colour of a tone in Textual's notation."""
        return _textual_color(self.tones[tone])


def colors_of(environment: Mapping[str, str]) -> int:
    """How many colours the terminal has: 0, 16, 256 or 16,777,216. Told as Rich tells it, which paints them."""
    forced = environment.get("TEXTUAL_COLOR_SYSTEM", "auto")
    known = {"standard": 16, "windows": 16, "256": 256, "truecolor": 1 << 24}
    if forced in known:
        return known[forced]
    term = environment.get("TERM", "").strip().lower()
    if term in ("dumb", "unknown", "vt100", "vt102", "vt220"):
        return 0
    if environment.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return 1 << 24
    return 256 if term.rpartition("-")[2] in ("256color", "kitty") else 16


def choose(option: str, environment: Mapping[str, str], colors: int) -> str:
    """The theme to start with: the one asked for, else the one the terminal needs.

    Args:
        option: ``--theme``, else the configuration's theme, else "".
        environment: NO_COLOR, where set and not empty (https://no-color.org), asks for `mono`.
        colors: what the terminal has, see ``colors_of``.

    Raises:
        ThemeError: there is no theme of that name.
    """
    if option:
        if option not in NAMES:
            from difflib import get_close_matches  # only a mistake needs it, and the first picture waits for every import

            near = get_close_matches(option, NAMES, 1)
            hint = t(" Did you mean {name}?", name=near[0]) if near else ""
            raise ThemeError(t("There is no theme {name}: themes are {names}.", name=option, names=", ".join(NAMES)) + hint)
        return option
    if environment.get("NO_COLOR") or colors < 8:
        return "mono"
    return "ansi" if colors < 256 else DEFAULT


@cache
def load(name: str) -> Palette:
    """A theme from its file.

    Raises:
        ThemeError: there is no such theme, or the file is wrong.
    """
    path = Path(__file__).parent / "themes" / f"{name}.toml"
    try:
        return parse(name, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ThemeError(t("The theme {name} cannot be read: {error}", name=name, error=error)) from error


def parse(name: str, text: str) -> Palette:
    """A theme from the text of its file.

    Raises:
        ThemeError: the text is no TOML, a key is missing, unknown or of the wrong kind, or a style is not understood.
    """
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ThemeError(t("Theme {name}: {error}", name=name, error=error)) from error
    _check(name, "", values, {"dark": bool, "ground": str, "panel": str, "tones": dict})
    tones = values["tones"]
    _check(name, "tones.", tones, dict.fromkeys((*TONES, CURSOR), str))
    styles = {key: _style(name, f"tones.{key}", said) for key, said in tones.items()}
    for key in ("ground", "panel"):
        _style(name, key, f"on {values[key]}")
    for tone in TONES:
        if styles[tone].color is None:
            raise ThemeError(t("Theme {name}: {key} names no colour.", name=name, key=f"tones.{tone}"))
    return Palette(
        name=name,
        dark=values["dark"],
        ground=values["ground"],
        panel=values["panel"],
        tones={tone: styles[tone] for tone in TONES},
        cursor=styles[CURSOR],
    )


@cache
def styles(name: str) -> Styles:
    """Every tone of a theme as it is painted, without and with the cursor; an unknown name gives the default theme."""
    palette = load(name if name in NAMES else DEFAULT)
    return {(tone, cursor): palette.style(tone, cursor=cursor) for tone in TONES for cursor in (False, True)}


def textual_theme(palette: Palette) -> Theme:
    """The theme for what Textual draws itself: ground, input line, command palette."""
    from textual.theme import Theme

    text, accent = palette.color("text"), palette.color("accent")
    ground, panel = (_textual_name(color) for color in (palette.ground, palette.panel))
    native = {
        "ansi-background": ground,
        "ansi-foreground": text,
        "block-cursor-text-style": "reverse",
        "block-cursor-foreground": text,
        "block-cursor-background": ground,
        "block-hover-background": ground,
        "border": text,
        "border-blurred": text,
        "input-cursor-background": ground,
        "input-cursor-foreground": text,
        "input-selection-background": ground,
        "input-selection-foreground": accent,
    }
    return Theme(
        name=palette.name,
        primary=accent,
        secondary=palette.color("drift"),
        accent=accent,
        foreground=text,
        background=ground,
        surface=ground,
        panel=panel,
        success=palette.color("good"),
        warning=palette.color("warn"),
        error=palette.color("bad"),
        dark=palette.dark,
        ansi=palette.native,
        variables=native if palette.native else {},
    )


def _check(name: str, prefix: str, values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    words = {bool: "true or false", str: "a text", dict: "a table"}
    for key in values:
        if key not in kinds:
            raise ThemeError(t("Theme {name}: there is no key {key}.", name=name, key=prefix + key))
    for key, kind in kinds.items():
        if key not in values:
            raise ThemeError(t("Theme {name}: {key} is missing.", name=name, key=prefix + key))
        if not isinstance(values[key], kind):
            raise ThemeError(t("Theme {name}: {key} must be {kind}.", name=name, key=prefix + key, kind=words[kind]))


def _style(name: str, key: str, said: str) -> Style:
    try:
        return Style.parse(said)
    except StyleSyntaxError as error:
        raise ThemeError(t("Theme {name}: {key} is no style: {error}", name=name, key=key, error=error)) from error


def _textual_color(style: Style) -> str:
    return _textual_name(style.color.name) if style.color is not None else "ansi_default"


def _textual_name(color: str) -> str:
    return color if color.startswith("#") else f"ansi_{color}"
