"""What every figure shares: interleaved runs, medians, one JSON line a figure."""

import json
import statistics
import time
from collections.abc import Callable, Sequence


def figure(
    name: str, values: Sequence[float], unit: str, *, reference: Sequence[float] = (), of: str = "", samples: int = 0
) -> None:
    """Prints the median of ``values``; with ``reference``, measured in the same run, its median and the median ratio.

    ``of`` says what the reference is, ``samples`` how many measurements stand behind a percentile. ``runs`` holds every
    single value, so that the spread can be seen.
    """
    line: dict[str, object] = {"figure": name, "value": _round(statistics.median(values)), "unit": unit}
    if reference:
        line["reference"] = _round(statistics.median(reference))
        line["reference_is"] = of
        line["ratio"] = _round(statistics.median(a / b for a, b in zip(values, reference, strict=True)))
    if samples:
        line["samples"] = samples
    line["runs"] = [_round(value) for value in values]
    print(json.dumps(line), flush=True)


def seconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes, in seconds of the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(first: Callable[[], float], second: Callable[[], float], runs: int) -> tuple[list[float], list[float]]:
    """``runs`` values of each, taken in turns so that a disturbance of the machine meets both."""
    pairs = [(first(), second()) if n % 2 == 0 else (second(), first())[::-1] for n in range(runs)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def _round(value: float) -> float:
    return float(f"{value:.4g}")
