"""Compiles the detectors' kernels before the first event needs them: seconds, once after an installation.

``python -m qraft.detect.warm`` does it by hand; `make setup` does too.
"""

from __future__ import annotations

from random import Random
from typing import Final

from qraft.config.detect import DetectSettings
from qraft.detect.entities import EntityTable
from qraft.detect.registry import LINED

_ROWS: Final = 900
_PEERS: Final = 6
_SECOND_US: Final = 1_000_000


def compile_kernels() -> None:
    """Runs every detector over a short stream that has something of everything in it."""
    table = EntityTable(DetectSettings())
    lines = dict.fromkeys(LINED, 0.5)
    draw = Random(1)
    for at in range(_ROWS):
        late = at > _ROWS // 2
        row = {
            "a": draw.gauss(0.0, 1.0) + 12.0 * (late and draw.random() < 0.4),
            "b": draw.gauss(0.0, 1.0 + 3.0 * late),
            "c": float(at % 5),
        }
        table.step("", at * _SECOND_US, row, lines)
        if at % 2:
            for peer in range(_PEERS):
                value = draw.gauss(0.0, 1.0) + 10.0 * (late and peer == 2)
                table.step(str(peer), at * _SECOND_US, {"a": value, "b": value * value}, lines)


if __name__ == "__main__":
    compile_kernels()
