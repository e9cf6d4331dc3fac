"""Toned text: the pieces every view is made of, and short forms of numbers and times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, get_args

from rich.cells import cell_len, set_cell_size

from qraft.model import PatternType
from tui.language import N_, t
from tui.zone import zone

Tone = Literal[
    "text",
    "dim",
    "strong",
    "title",
    "rule",
    "key",
    "good",
    "warn",
    "bad",
    "accent",
    "drift",
    "anomaly",
    "cluster",
    "spark",
    "alert",
]
Span = tuple[str, Tone]
Line = tuple[Span, ...]

TONES: Final[tuple[Tone, ...]] = get_args(Tone)
KIND_TONE: Final[dict[PatternType, Tone]] = {"drift": "drift", "anomaly": "anomaly", "cluster_change": "cluster"}
KIND_GLYPH: Final[dict[PatternType, str]] = {"drift": "≈", "anomaly": "▲", "cluster_change": "◆"}
KIND_WORD: Final[dict[PatternType, str]] = {
    "drift": N_("DRIFT"),
    "anomaly": N_("ANOMALY"),
    "cluster_change": N_("CLUSTER"),
}
KIND_SHORT: Final[dict[PatternType, str]] = {"drift": N_("DRIFT"), "anomaly": N_("ANOM"), "cluster_change": N_("CLUST")}
"""Words of a pattern's type, to be shown through ``t``."""

_CLOSING: Final = "，。、；：！？）”’》…·"
_OPENING: Final = "（“‘《"
_ASCII: Final = str.maketrans(
    {
        "≈": "D", "▲": "A", "◆": "C", "●": "*", "○": "o", "◌": "o", "◐": "%", "■": "#", "↻": "r", "‖": "=", "✓": "v",
        "─": "-", "│": "|", "┬": "+", "┴": "+", "├": "+", "┤": "+", "┊": ":", "╌": "-", "▌": ">", "▸": ">", "┄": "-",
        "…": "~", "·": ".", "—": "-", "–": "-", "→": ">", "↑": "^", "↓": "v", "↵": "<", "×": "x", "≥": ">", "µ": "u",
        "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "█": "#", "━": "=", "╸": "-", "σ": "s",
        "»": ">", "«": "<", "±": "~", "┼": "+", "“": '"', "”": '"', "‘": "'", "’": "'", "←": "<",
    }
)  # fmt: skip


def ascii_line(line: Line) -> Line:
    """The line in ASCII, each character as wide as before; what has no likeness becomes ``?``."""
    return tuple((_ascii(text), tone) for text, tone in line)


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text.translate(_ASCII))


def width_of(line: Line) -> int:
    """Cells the line takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def plain(line: Line) -> str:
    """The line without tones."""
    return "".join(text for text, _ in line)


def clean(text: str) -> str:
    """Text from outside, safe to print: what is no printable character becomes ``·``."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Text in exactly ``width`` cells; too long a text ends in ``…``."""
    if width <= 0:
        return ""
    if text.isascii():
        if len(text) <= width:
            return text.rjust(width) if right else text.ljust(width)
        return text[: width - 1] + "…"
    size = cell_len(text)
    if size <= width:
        return " " * (width - size) + text if right else text + " " * (width - size)
    return set_cell_size(text, width - 1) + "…"


def fit_middle(text: str, width: int) -> str:
    """As ``fit``, but a text too long loses its middle: both ends of a name tell it from others."""
    size = len(text) if text.isascii() else cell_len(text)
    if width < 8 or size <= width:
        return fit(text, width)
    tail = text[-((width - 1) // 2) :]
    while (end := cell_len(tail)) > (width - 1) // 2:
        tail = tail[1:]
    return f"{set_cell_size(text, width - 1 - end)}…{tail}"


def clip(line: Iterable[Span], width: int) -> Line:
    """The line cut or padded to exactly ``width`` cells."""
    out: list[Span] = []
    left = width
    for text, tone in line:
        size = len(text) if text.isascii() else cell_len(text)
        if size > left:
            out.append((fit(text, left), tone))
            left = 0
            break
        out.append((text, tone))
        left -= size
    if left:
        out.append((" " * left, "text"))
    return tuple(out)


def spread(left: Iterable[Span], right: Iterable[Span], width: int) -> Line:
    """One part at the left edge and one at the right; the left one gives way."""
    end = tuple(right)
    room = width - width_of(end)
    return clip((*clip(left, room), *end), width) if room > 0 else clip(left, width)


def rule(left: Iterable[Span], right: Iterable[Span], width: int) -> Line:
    """A horizontal rule with a title in its left part and a remark in its right part."""
    start, end = tuple(left), tuple(right)
    room = width - width_of(start) - 2
    end = end if width_of(end) <= room - 2 else ()
    fill = width - width_of(start) - width_of(end) - (4 if end else 2)
    if fill < 0:
        return clip(start, width)
    closing: Line = ((" ", "rule"), *end, (" ─", "rule")) if end else (("─", "rule"),)
    return (("─", "rule"), *start, ("─" * fill, "rule"), *closing)


def centre(text: str, width: int) -> str:
    """Text in the middle of ``width`` cells; a text too long stays as it is."""
    return text.center(width - (cell_len(text) - len(text)))


def wrap(text: str, width: int, lines: int) -> list[str]:
    """Text broken at spaces, and between wide characters, into at most ``lines`` lines of ``width`` cells."""
    out: list[str] = []
    rest = _pieces(text)
    while rest and len(out) < lines:
        if len(out) == lines - 1:
            out.append(fit("".join(rest).lstrip(), width).rstrip())
            break
        row = rest.pop(0).lstrip()
        while rest and cell_len(row) + cell_len(rest[0]) <= width:
            row += rest.pop(0)
        out.append(fit(row, width).rstrip())
    return out


def _pieces(text: str) -> list[str]:
    """What a line may not break, with the space before it. Chinese breaks anywhere but before a closing sign."""
    words = text.split()
    if text.isascii():
        return [f" {word}" for word in words]
    out: list[str] = []
    for word in words:
        out.append(" ")
        wide = True
        for char in word:
            was, wide = wide, cell_len(char) == 2
            joins = char in _CLOSING or cell_len(char) == 0
            if out[-1] == " " or joins or out[-1][-1] in _OPENING or not (was or wide):
                out[-1] += char
            else:
                out.append(char)
    return out


def count(number: int) -> str:
    """An integer with thin groups: 3 120, 1.2M."""
    return f"{number:,}".replace(",", " ") if abs(number) < 10_000_000 else quantity(number)


def quantity(number: float) -> str:
    """A rate or size in at most five characters: 0.3, 20.1, 982, 63.1k, 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            scaled = number / {"G": 1e9, "M": 1e6, "k": 1e3}[unit]
            return f"{scaled:.0f}{unit}" if abs(scaled) >= 100 else f"{scaled:.1f}{unit}"
    return f"{number:.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.1f}"


def value(number: float | None) -> str:  # noqa: PLR0911 - one return a magnitude
    """A field's value: six digits or so, no needless zeros, at most nine characters."""
    if number is None:
        return "—"
    if not math.isfinite(number):
        return str(number)
    size = abs(number)
    if size >= 1e9:
        return f"{number:.3g}"
    if size >= 1e6:
        return f"{_trim(f'{number / 1e6:.3f}')}M"
    if size >= 1000:
        return _trim(f"{number:.1f}")
    if size >= 1:
        return _trim(f"{number:.3f}")
    if size >= 0.001:
        return _trim(f"{number:.4f}")
    return "0" if size == 0 else f"{number:.1e}"


def brief(number: float) -> str:
    """A value in three or four digits, at most seven characters."""
    size = abs(number)
    if not math.isfinite(number) or size >= 1e6 or 0 < size < 0.001:
        return value(number)
    return (
        f"{number:.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3}f}"
        if number != int(number)
        else f"{number:.0f}"
    )


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def change(before: float | None, after: float | None) -> str:
    """What happened to a value: ``+12 %``, ``×8.3``, or the plain difference where a share says nothing."""
    if before is None or after is None or not (math.isfinite(before) and math.isfinite(after)):
        return ""
    difference = after - before
    if difference == 0:
        return t("same")
    sign = "+" if difference >= 0 else ""
    if abs(before) < 1e-12 or before * after < 0:
        return sign + value(difference)
    share = difference / abs(before)
    if after / before >= 3:
        return f"×{quantity(after / before)}"
    return f"{sign}{share * 100:.0f} %" if abs(share) >= 0.095 else f"{sign}{share * 100:.1f} %"


def score(number: float) -> str:
    """A confidence in three characters: .97, or 1.0."""
    return "1.0" if number >= 0.995 else f"{number:.2f}"[1:]


def bar(share: float, width: int) -> str:
    """A horizontal bar of ``width`` cells for a share in [0, 1], in halves of a cell; what is not nothing shows."""
    halves = round(min(1.0, max(0.0, share)) * width * 2)
    halves = max(halves, 1 if share > 0 and width else 0)
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width)


def duration(seconds: float) -> str:
    """A time span in at most six characters: 12ms, 1.2s, 42s, 3m10s, 2h05m, 4d."""
    if seconds < 0.9995:
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d"


def span_seconds(seconds: float) -> str:
    """A time span in whole seconds or longer units."""
    return duration(max(1.0, float(int(seconds)))).replace(".0s", "s")


def moment(time_us: int) -> datetime | None:
    """UTC microseconds as a date in the zone in use; None outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, zone())
    except (ValueError, OverflowError, OSError):
        return None


def clock(time_us: int, now_us: int, width: int = 8) -> str:
    """A moment as short as it can be told: the time today, else the date; ``width`` is 8 or 11."""
    when, now = moment(time_us), moment(now_us)
    if when is None:
        return "—"
    if now is not None and when.date() == now.date():
        return f"{when:%H:%M:%S}"
    if now is not None and when.year == now.year:
        return f"{when:%m-%d %H:%M}" if width >= 11 else when.strftime(t("%d %b"))
    return f"{when:%Y-%m-%d}" if width >= 10 else f"{when:%y-%m-%d}"


def joint(line: Line, column: int, char: str) -> Line:
    """The line with its rule at ``column`` replaced by ``char``, so that it meets another line; text is left alone."""
    at = 0
    out = list(line)
    for i, (text, tone) in enumerate(line):
        size = len(text) if text.isascii() else cell_len(text)
        if at <= column < at + size:
            if len(text) == size and text[column - at] == "─":
                out[i] = (f"{text[: column - at]}{char}{text[column - at + 1 :]}", tone)
            break
        at += size
    return tuple(out)
