"""The figures of the terminal: `qraft tui` in a real pseudo-terminal under 1000 patterns a second of 100 sources."""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.measure import figure, interleaved, percentile, seconds
from tests.bench.terminal_calibration import LOOP, calibration
from tests.bench.terminal_feed import now_us
from tests.bench.terminal_load import MEGABYTE, Load, Servers, load, servers
from tests.bench.terminal_pty import ROOT, SHOWN, terminal
from tests.bench.terminal_rows import EPISODES, changed_filter_and_order, filled, live_frames

SIZE = (120, 36)
OTHER_SIZES = ((80, 24), (300, 90))
OTHER_SECONDS = 30.0
WARM_SECONDS, QUICK_WARM_SECONDS = 20.0, 10.0
"""The figures of the process itself look back ten seconds, which must not reach into its start."""


class Row(NamedTuple):
    """One figure beside what it should be."""

    name: str
    unit: str
    target: float | None
    measured: float | None


def terminal_figures(*, quick: bool, minutes: float | None = None) -> None:
    """Prints every figure as a line of JSON, then all of them beside their targets.

    Args:
        quick: one size, short windows.
        minutes: how long the load at 120x36 lasts; RSS is printed every minute.
    """
    rows = _imports(3 if quick else 7)
    rows += _frames(1 if quick else 10)
    rows += asyncio.run(_shown(quick=quick, window=minutes * 60 if minutes else 8.0 if quick else 60.0))
    _print(rows)


# --- the process in a terminal


async def _shown(*, quick: bool, window: float) -> list[Row]:
    async with servers() as found:
        rows = await asyncio.to_thread(_first_paint, found, 3 if quick else 7)
        warm = QUICK_WARM_SECONDS if quick else WARM_SECONDS
        for size in (SIZE,) if quick else (SIZE, *OTHER_SIZES):
            seconds_long = window if size == SIZE else min(window, OTHER_SECONDS)
            rows += _told(await asyncio.to_thread(load, found, size, warm, seconds_long), size)
    return rows


def _first_paint(servers: Servers, runs: int) -> list[Row]:
    """From the start of the process until the first frame with its name in it has arrived in whole."""
    _paint_once(servers)  # the first run writes byte code
    bare, textual, painted = [], [], []
    for _ in range(runs):
        bare.append(_run("pass"))
        textual.append(_run("import textual.app"))
        painted.append(_paint_once(servers))
    figure("terminal_first_paint", painted, "s", reference=bare, of="python -c pass")
    figure("terminal_import_textual", textual, "s", reference=bare, of="python -c pass")
    return [
        Row("first paint after process start", "s", 1.5, statistics.median(painted)),
        Row("  python -c pass", "s", None, statistics.median(bare)),
        Row("  python -c 'import textual.app'", "s", None, statistics.median(textual)),
    ]


def _paint_once(servers: Servers) -> float:
    columns, rows = SIZE
    with terminal(*servers, columns=columns, rows=rows) as shown:
        return shown.until((SHOWN, f"\x1b[{rows};1H"))


def _told(taken: Load, size: tuple[int, int]) -> list[Row]:
    """The figures of one window; those of the main size beside their targets."""
    name = f"terminal_{size[0]}x{size[1]}"
    main = size == SIZE
    loop = statistics.median(taken.loops)
    figure(f"{name}_cpu", [taken.cpu * 100], "% of a core")
    figure(f"{name}_cpu_in_calibration_loops", [taken.cpu / loop], "loops/s")
    figure(f"{name}_calibration_loop", taken.loops, "s")
    figure(f"{name}_to_terminal", [taken.kilobytes], "kB/s")
    figure(f"{name}_offered", [taken.offered], "patterns/s")
    figure(f"{name}_machine_idle", [taken.idle * 100], "%")
    figure(f"{name}_rss", [one / MEGABYTE for one in taken.rss], "MB")
    idle_lag = percentile(taken.late, 0.99) * 1e3
    figure(f"{name}_idle_thread_lag_p99", [idle_lag], "ms", samples=len(taken.late))
    lags = [one.lag_ms_p99 for one in taken.own]
    if lags:
        figure(f"{name}_loop_lag_p99", lags, "ms", samples=len(lags))
        figure(f"{name}_frame", [one.frame_ms for one in taken.own], "ms")
        figure(f"{name}_frame_p99", [one.frame_ms_p99 for one in taken.own], "ms")
        figure(f"{name}_pace", [one.hertz for one in taken.own], "Hz")
    where = f"{size[0]}x{size[1]}"
    return [
        Row(f"{where} CPU at {taken.offered:.0f} patterns/s", "% of a core", 10.0 if main else None, taken.cpu * 100),
        Row(f"  one calibration loop of {LOOP:,} turns", "CPU s", None, loop),
        Row("  the same CPU in calibration loops", "loops/s", None, taken.cpu / loop),
        Row("  idle share of the machine meanwhile", "%", None, taken.idle * 100),
        Row(f"{where} to the terminal", "kB/s", 60.0 if main else None, taken.kilobytes),
        Row(
            f"{where} loop lag p99 in 10 s, median", "ms", 100.0 if main else None, statistics.median(lags) if lags else None
        ),
        Row(f"{where} loop lag p99 in 10 s, worst", "ms", None, max(lags) if lags else None),
        Row("  lag p99 of a thread that does nothing", "ms", None, idle_lag),
        Row(f"{where} RSS at the first paint", "MB", None, taken.rss[0] / MEGABYTE),
        Row(f"{where} RSS after {taken.seconds / 60:.2g} minutes", "MB", 120.0 if main else None, taken.rss[-1] / MEGABYTE),
    ]


# --- parts of it, in this process and in small ones


def _imports(runs: int) -> list[Row]:
    """`import qraft.cli` beside an interpreter that does nothing; it loads no Textual."""
    code = "import sys, qraft.cli; sys.exit(any(name.split('.')[0] == 'textual' for name in sys.modules))"
    _run(code)
    ours, bare = interleaved(lambda: _run(code), lambda: _run("pass"), runs)
    figure("terminal_import_cli", ours, "s", reference=bare, of="python -c pass")
    return [Row("import qraft.cli, which loads no Textual", "s", None, statistics.median(ours))]


def _run(code: str) -> float:
    command = [sys.executable, "-c", code]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT))


def _frames(rounds: int) -> list[Row]:
    """Filtering and sorting 10,000 episodes, in this process; CPU time, so that others on the machine do not count."""
    now = now_us()
    session = filled(now)
    loop = statistics.median(calibration() for _ in range(3))
    changes = list(changed_filter_and_order(session, now, rounds))
    took = [one * 1e3 for _, _, one in changes]
    for text in dict.fromkeys(text for text, _, _ in changes):
        values = [one * 1e3 for other, _, one in changes if other == text]
        figure(f"terminal_filter_{text or 'none'}", [statistics.median(values)], "ms", samples=len(values))
    for order in dict.fromkeys(order for _, order, _ in changes):
        values = [one * 1e3 for _, other, one in changes if other == order]
        figure(f"terminal_sort_{order}", [statistics.median(values)], "ms", samples=len(values))
    figure("terminal_filter_and_sort_p99", [percentile(took, 0.99)], "ms", samples=len(took))
    frames = list(live_frames(session, now, 20 * rounds))
    folds, finds = ([one[at] * 1e3 for one in frames] for at in (0, 1))
    figure("terminal_fold_500", [statistics.median(folds)], "ms", samples=len(folds))
    figure("terminal_live_frame_p99", [percentile(finds, 0.99)], "ms", samples=len(finds))
    return [
        Row(f"{EPISODES:,} episodes filtered and sorted, median", "ms", 50.0, statistics.median(took)),
        Row(f"{EPISODES:,} episodes filtered and sorted, p99", "ms", 50.0, percentile(took, 0.99)),
        Row("  one calibration loop", "ms", None, loop * 1e3),
        Row("  a frame after 500 patterns, filtered, by score", "ms", None, statistics.median(finds)),
        Row("  500 patterns folded", "ms", None, statistics.median(folds)),
    ]


def _print(rows: Sequence[Row]) -> None:
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  {'target':>8}  {'measured':>8}")
    for row in rows:
        target = "" if row.target is None else f"< {row.target:g}"
        measured = "-" if row.measured is None else f"{row.measured:.3g}" if row.measured < 100 else f"{row.measured:.0f}"
        missed = row.target is not None and row.measured is not None and row.measured >= row.target
        print(f"{row.name:{width}}  {target:>8}  {measured:>8}  {row.unit}{'  MISSED' if missed else ''}", flush=True)
