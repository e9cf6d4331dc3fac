"""Windows and moments in words."""

from __future__ import annotations

from tui.language import t
from tui.state.window import Window
from tui.views.text import moment, span_seconds
from tui.zone import zone_word


def window_text(window: Window, now_us: int) -> str:
    """A window as ``14:00:00–14:15:00 UTC (15m00s)``, with dates where it is not of today."""
    since, until, now = moment(window.since_us), moment(window.until_us), moment(now_us)
    if since is None or until is None or now is None:
        return "—"
    length = span_seconds(window.length_us / 1e6)
    start = f"{since:%H:%M:%S}" if since.date() == now.date() else f"{since:%Y-%m-%d %H:%M}"
    end = f"{until:%H:%M:%S}" if until.date() == since.date() else f"{until:%Y-%m-%d %H:%M}"
    return f"{start}–{end} {zone_word()} ({length})"


def until(time_us: int, now_us: int) -> str:
    """A moment to come: ``15:08 (59m)``, with its date where that is another day."""
    when, now = moment(time_us), moment(now_us)
    if when is None or now is None:
        return "—"
    clock = f"{when:%H:%M}" if when.date() == now.date() else f"{when:%m-%d %H:%M}"
    return t("{clock} ({span})", clock=clock, span=span_seconds(max(0, time_us - now_us) / 1e6))
