"""The line in the list of episodes at a time from which live patterns may be missing."""

from __future__ import annotations

from rich.cells import cell_len

from tui.language import t, tn
from tui.state.gaps import Gap
from tui.views.text import Line, clip, count, moment, span_seconds


def gap_row(gap: Gap, now_us: int, width: int) -> Line:
    """From when to when nothing was heard, and how much of it the database gave back."""
    since, until = moment(gap.since_us), moment(gap.until_us)
    lasted = span_seconds(((gap.until_us or now_us) - gap.since_us) / 1e6)
    start = f"{since:%H:%M:%S}" if since else "—"
    if not gap.until_us:
        words = t("gap since {start} · NATS lost for {span}", start=start, span=lasted)
    else:
        end = f"{until:%H:%M:%S}" if until else "—"
        words = t("gap {start}–{end} · NATS lost {span}", start=start, end=end, span=lasted) + " · "
        words += (
            tn(
                "{n} pattern filled in from ClickHouse",
                "{n} patterns filled in from ClickHouse",
                gap.filled,
                n=count(gap.filled),
            )
            if gap.filled
            else t("nothing was missed")
        )
    text = f"── {words} "
    return clip([(text, "warn"), ("─" * max(0, width - cell_len(text)), "rule")], width)
