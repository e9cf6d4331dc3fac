from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style

from tui import theme
from tui.theme import NAMES, ThemeError, choose, colors_of, load, parse, styles, textual_theme
from tui.views.text import TONES, Tone

COLOURED = ("dark", "light", "deuteranopia", "tritanopia")
"""Themes that say the colours themselves, so that contrasts can be computed."""
TRIPLES: tuple[tuple[Tone, Tone, Tone], ...] = (("drift", "anomaly", "cluster"), ("good", "warn", "bad"))
LEAST_DIFFERENCE = 30.0
"""Distance in CIE L*a*b* (CIE76); 2.3 is just noticeable."""

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

# Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color vision deficiency (2009), severity 1.0,
# for linear sRGB.
MACHADO: dict[str, Matrix] = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TO_XYZ: Matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE: Vector = (0.9505, 1.0, 1.089)


def linear(color: Color) -> Vector:
    r, g, b = (c / 255 for c in color.get_truecolor())
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (r, g, b))  # type: ignore[return-value]


def times(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio of WCAG 2.2."""
    lights = sorted(times(TO_XYZ, linear(color))[1] for color in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(color: Color, deficiency: str) -> Vector:
    seen = [min(1.0, max(0.0, c)) for c in times(MACHADO[deficiency], linear(color))]
    x, y, z = (
        math.cbrt(c / w) if c / w > 0.008856 else 7.787 * c / w + 16 / 116
        for c, w in zip(times(TO_XYZ, seen), WHITE, strict=True)
    )
    return (116 * y - 16, 500 * (x - y), 200 * (y - z))


def colors(style: Style) -> tuple[Color, Color]:
    assert style.color is not None
    assert style.bgcolor is not None
    return style.color, style.bgcolor


def test_the_formulas_give_known_values() -> None:
    black, white, red = (Color.parse(c) for c in ("#000000", "#ffffff", "#ff0000"))
    assert contrast(black, white) == pytest.approx(21.0)
    assert lab(white, "none") == pytest.approx((100, 0, 0), abs=0.1)
    assert lab(red, "none") == pytest.approx((53.24, 80.09, 67.20), abs=0.1)
    assert math.dist(lab(red, "none"), lab(Color.parse("#00ff00"), "none")) == pytest.approx(170.6, abs=0.5)


def test_every_theme_loads_and_has_a_file_of_its_own() -> None:
    folder = Path(theme.__file__).parent / "themes"
    assert {path.stem for path in folder.glob("*.toml")} == set(NAMES)
    for name in NAMES:
        assert set(load(name).tones) == set(TONES)


@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT])
@pytest.mark.parametrize("name", COLOURED)
def test_text_stands_out_from_its_ground_with_and_without_the_cursor(name: str, system: ColorSystem) -> None:
    poor = {}
    for (tone, cursor), style in styles(name).items():
        if tone == "rule" and cursor:
            continue  # a rule is no row
        front, ground = (color.downgrade(system) for color in colors(style))
        ratio = contrast(front, ground)
        if ratio < (3.0 if tone in ("rule", "spark") else 4.5):
            poor[tone, cursor] = round(ratio, 2)
    assert not poor


@pytest.mark.parametrize(
    ("name", "deficiency"),
    [("deuteranopia", "deuteranopia"), ("deuteranopia", "protanopia"), ("tritanopia", "tritanopia")],
)
def test_kinds_and_states_differ_for_the_eyes_a_theme_is_made_for(name: str, deficiency: str) -> None:
    tones = load(name).tones
    for triple in TRIPLES:
        for one, other in itertools.combinations(triple, 2):
            for eyes in ("none", deficiency):
                seen = []
                for tone in (one, other):
                    color = tones[tone].color
                    assert color is not None
                    seen.append(lab(color, eyes))
                assert math.dist(*seen) >= LEAST_DIFFERENCE, (one, other, eyes)


def test_the_dark_theme_would_not_do_for_them() -> None:
    color, other = (load("dark").tones[tone].color for tone in ("drift", "cluster"))
    assert color is not None
    assert other is not None
    assert math.dist(lab(color, "protanopia"), lab(other, "protanopia")) < LEAST_DIFFERENCE


@pytest.mark.parametrize("name", ["ansi", "mono"])
def test_native_themes_name_no_colour_of_their_own(name: str) -> None:
    for style in styles(name).values():
        for color in colors(style):
            assert color.is_default or color.is_system_defined


def test_mono_has_no_hue_and_what_needs_attention_differs_in_weight_or_line() -> None:
    painted = styles("mono")
    assert all(color.is_default for style in painted.values() for color in colors(style))
    tones: tuple[Tone, ...] = ("good", "warn", "bad", "dim", "strong", "alert")
    assert len({str(painted[tone, False]) for tone in tones}) == len(tones)
    assert all(style.reverse for (_, cursor), style in painted.items() if cursor)


def test_a_tone_with_a_ground_of_its_own_keeps_it_under_the_cursor() -> None:
    for name in NAMES:
        assert styles(name)["alert", True] == styles(name)["alert", False]


def test_an_unknown_name_is_painted_in_the_default_theme() -> None:
    assert styles("textual-dark") == styles("dark")


@pytest.mark.parametrize("name", NAMES)
def test_textual_understands_every_theme(name: str) -> None:
    made = textual_theme(load(name))
    variables = made.to_color_system().generate()
    assert made.ansi == (name in ("ansi", "mono"))
    assert variables["background"].lower() == ("ansi_default" if made.ansi else load(name).ground)


# --- the choice


@pytest.mark.parametrize(
    ("option", "environment", "colors", "expected"),
    [
        ("", {}, 1 << 24, "dark"),
        ("", {}, 256, "dark"),
        ("", {}, 16, "ansi"),
        ("", {}, 0, "mono"),
        ("", {"NO_COLOR": "1"}, 1 << 24, "mono"),
        ("", {"NO_COLOR": ""}, 1 << 24, "dark"),
        ("light", {"NO_COLOR": "1"}, 16, "light"),
        ("tritanopia", {}, 0, "tritanopia"),
    ],
)
def test_choice(option: str, environment: dict[str, str], colors: int, expected: str) -> None:
    assert choose(option, environment, colors) == expected


def test_a_wrong_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(ThemeError) as raised:
        choose("deuteranopa", {}, 256)
    assert "Did you mean deuteranopia?" in str(raised.value)
    assert "tritanopia, mono" in str(raised.value)


@pytest.mark.parametrize("colorterm", ["", "truecolor", "24bit"])
@pytest.mark.parametrize(
    "term", ["linux", "xterm", "screen", "screen-256color", "tmux-256color", "xterm-kitty", "xterm-256color", "dumb"]
)
def test_colours_are_counted_as_rich_does(term: str, colorterm: str) -> None:
    environment = {"TERM": term, "COLORTERM": colorterm}
    console = Console(_environ=environment, force_terminal=True, legacy_windows=False)
    expected = {None: 0, "standard": 16, "256": 256, "truecolor": 1 << 24}[console.color_system]
    assert colors_of(environment) == expected


def test_the_colour_system_textual_is_told_wins() -> None:
    assert colors_of({"TEXTUAL_COLOR_SYSTEM": "256", "TERM": "xterm"}) == 256
    assert colors_of({"TEXTUAL_COLOR_SYSTEM": "auto", "TERM": "xterm"}) == 16


# --- mistakes in a file

GOOD = (Path(theme.__file__).parent / "themes" / "dark.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dark = true", "dark = 1", "dark must be true or false"),
        ("dark = true", "", "dark is missing"),
        ("dark = true", "dark = true\nblink = true", "there is no key blink"),
        ('good = "#7fd99a"', 'good = "sort of green"', "tones.good is no style"),
        ('good = "#7fd99a"', 'good = "bold"', "tones.good names no colour"),
        ('good = "#7fd99a"', "good = 3", "tones.good must be a text"),
        ('good = "#7fd99a"', "", "tones.good is missing"),
        ('ground = "#10141a"', 'ground = "blackish"', "ground is no style"),
        ("[tones]", "[tones", "Theme mine"),
    ],
)
def test_a_mistake_names_its_key(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ThemeError) as raised:
        parse("mine", GOOD.replace(old, new, 1))
    assert said in str(raised.value)


def test_themes_are_read_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "themes").mkdir()
    shutil.copy(Path(theme.__file__).parent / "themes" / "light.toml", tmp_path / "themes")
    monkeypatch.setattr(theme, "__file__", str(tmp_path / "theme.py"))
    load.cache_clear()
    try:
        assert load("light").name == "light"
        with pytest.raises(ThemeError, match="dark cannot be read"):
            load("dark")
    finally:
        load.cache_clear()
