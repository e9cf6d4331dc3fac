"""``python -m tests.bench detect``: how well the default configuration finds what there is to find."""

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.detection.table import Table

CALIBRATION = "calibration"
NAMES = ("nab", "skab", "tcpd", "shuttle", "quiet", "injected", "cost")


def main(arguments: list[str]) -> None:
    """Parses the arguments after ``detect`` and prints a table a benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench detect", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; all of these by default; or {CALIBRATION}"
    )
    parser.add_argument("--quick", action="store_true", help="smaller samples of what is generated")
    parser.add_argument("--json", action="store_true", help="one JSON line a benchmark")
    parser.add_argument("--out", type=Path, help="folder in which to keep the scores, and the plots of calibration")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - {*NAMES, CALIBRATION}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*NAMES, CALIBRATION))}")
    with tempfile.TemporaryDirectory() as scratch:
        out = chosen.out or Path(scratch)
        for name in chosen.names or NAMES:
            begun = time.perf_counter()
            tables = _run(name, out, chosen.out, quick=chosen.quick)
            tables[-1].notes.append(f"{time.perf_counter() - begun:.1f} s")
            for table in tables:
                print(table.json() if chosen.json else f"{table.text()}\n", flush=True)


def _run(name: str, out: Path, kept: Path | None, *, quick: bool) -> list[Table]:
    if name == CALIBRATION:
        from tests.bench.detection.calibration import calibration

        with tempfile.TemporaryDirectory() as scratch:
            return calibration(Path(scratch), kept)
    return [_one(name, out / name, quick=quick)]


def _one(name: str, out: Path, *, quick: bool) -> Table:
    if name in ("nab", "skab", "tcpd"):
        from tests.bench.detection import benchmarks

        return {"nab": benchmarks.nab, "skab": benchmarks.skab, "tcpd": benchmarks.tcpd}[name](out)
    if name == "shuttle":
        from tests.bench.detection.shuttle import shuttle

        return shuttle(quick=quick)
    if name == "cost":
        from tests.bench.detection.cost import cost

        return cost(quick=quick)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        if name == "quiet":
            from tests.bench.detection.quiet import quiet

            return quiet(pool, quick=quick)
        from tests.bench.detection.injected import injected

        return injected(pool, quick=quick)
