"""How extreme a row is in all its fields at once, each against its own past: what ranks rows that no pattern is raised for.

Each field brings minus the logarithm of its two-sided tail share, as far as that exceeds what common values have; the sum
is exact over the fields. After ECOD (Li et al. 2022, arXiv 2201.00382), here online and with quantiles that forget.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qraft.detect.anomaly.tail import Tail
from qraft.detect.compiled import kernel
from qraft.detect.digest import DIGEST, digest_add, digest_shares

Floats = NDArray[np.float64]

SETTLING: Final = 30
"""Rows before the first answer."""
_COMMON: Final = 1.5
"""Nats of a tail share that count for nothing: a value outside the middle half of its past."""
_MOST: Final = 80.0


@kernel
def _extremeness(digests: Floats, x: Floats) -> float:
    """The row's sum, judged before the digests learn it. ``x`` holds NaN for a field that is not in the row."""
    total = 0.0
    for field in range(len(x)):
        value = x[field]
        if math.isnan(value):
            continue
        value = min(max(value, -1e150), 1e150)
        digest = digests[field]
        below, above, count = digest_shares(digest, value)
        rarest = min(below, above)
        total += max(-math.log((rarest + 0.5) / (count + 1.0)) - _COMMON, 0.0)
        digest_add(digest, value)
    return total


class Extremes:
    """The rarity of a row's extremeness against its own past. Bytes a field: 8 times `DIGEST`."""

    def __init__(self) -> None:
        self._digests = np.zeros((0, DIGEST))
        self._tail = Tail(0.0, _MOST, 400)
        self._rows = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"digests": self._digests.tobytes(), "tail": self._tail, "rows": self._rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._digests = np.frombuffer(state["digests"]).reshape(-1, DIGEST).copy()
        self._tail = state["tail"]
        self._rows = state["rows"]

    def weigh(self, x: Floats) -> float:
        """Decades of rarity of the row, in the order of all rows; 0 for the first `SETTLING`.

        Args:
            x: (fields,) values by slot, NaN for those not in the row; slots keep their field.
        """
        missing = len(x) - len(self._digests)
        if missing > 0:
            self._digests = np.concatenate([self._digests, np.zeros((missing, DIGEST))])
        score = _extremeness(self._digests, x)
        self._rows += 1
        self._tail.weigh(min(score, _MOST))
        return self._tail.soft if self._rows > SETTLING else 0.0

    def forget(self, slot: int) -> None:
        """Empties a slot that another field takes."""
        if slot < len(self._digests):
            self._digests[slot] = 0.0
