"""A line of block characters for a short series."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
MISSING = "·"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """``values`` in ``width`` cells, each the mean of its share; 0 is the lowest block, the highest value the tallest.

    Cells without a value show ``·``; so a pause of the engine is not a rate of 0.
    """
    if width <= 0:
        return ""
    cells: list[float | None] = []
    for i in range(width):
        part = values[i * len(values) // width : max((i + 1) * len(values) // width, i * len(values) // width + 1)]
        known = [v for v in part if v is not None]
        cells.append(sum(known) / len(known) if known else None)
    top = max((v for v in cells if v is not None), default=0.0)
    if top <= 0:
        return "".join(MISSING if v is None else BLOCKS[0] for v in cells)
    return "".join(MISSING if v is None else BLOCKS[min(7, max(0, int(v / top * 7.999)))] for v in cells)
