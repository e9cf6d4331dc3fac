"""Where a field's numbers stand in its state: a row of `SIZE` floats on each of two scales."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ORDER: Final = 32
"""Most values that a prediction is made from, and one less than lags kept."""

KEPT: Final = 256
"""Values kept, a power of two."""

WINDOW: Final = 64
"""Most rows since a change that is still looked for, a power of two."""

MEMORY: Final = 1000.0
"""Rows that a regime's mean and spread are remembered for, and the memory of the usual error."""

COARSE: Final = 4
"""Rows whose mean is one row of the coarse scale."""

ROWS: Final = 0
"""Rows so far."""
FIRST, MEAN, STEP = 1, 2, 3
"""The first value, from which all are counted; the mean of values and of steps that predictions start from."""
ORDERS, LOSSES, USUAL = 4, 6, 8
"""Of each predictor: order, decaying sum of absolute errors, usual error as a standard deviation."""
STEPS: Final = 10
"""1 where the predictor of steps is in use."""
SINCE: Final = 11
"""Row at which the regime began."""
FITS: Final = 12
"""Fits so far that went into the covariances, of each predictor."""
HELD: Final = 14
"""Errors of the regime among those kept."""
OLD_ROWS, OLD_MEAN, OLD_SQUARES = 15, 16, 17
"""The regime's errors before those kept: number, mean, sum of squared deviations."""
BLOCKS, BLOCK_MEAN, BLOCK_SQUARES, BLOCK_SUM, BLOCK_SUM2, BLOCK_ROWS = 18, 19, 20, 21, 22, 23
"""Log variances of past blocks: number, mean, sum of squared deviations; the block being filled: sum, squares, rows."""
MEAN_DECADES, MEAN_ROWS, MEAN_EFFECT = 24, 25, 26
"""Of this row, for a new mean: evidence, rows since, difference in spreads."""
SPREAD_DECADES, SPREAD_ROWS, SPREAD_EFFECT = 27, 28, 29
"""Of this row, for a new spread: evidence, rows since, logarithm of the ratio."""
FILL, FILL_SUM = 30, 31
"""Rows and sum of the coarse row being filled."""
MEAN_LEVEL: Final = 32
"""1 where the new mean is a level that the values jumped to at once; 0 where the errors have a new mean."""
JUMPED: Final = 33
"""1 where the regime began with such a jump, and the values before it are held as if they had stood at the new level."""
VALUES: Final = 34
"""The last `KEPT` values from the first, a ring by row number."""
ERRORS: Final = VALUES + KEPT
"""The last `WINDOW` normalised errors, a ring by row number."""
RAW: Final = ERRORS + WINDOW
"""The same errors in units of the usual one, cut but not normalised: a spread shows in them more clearly."""
COEFFICIENTS: Final = RAW + WINDOW
COVARIANCES: Final = COEFFICIENTS + 2 * ORDER
"""Of each predictor."""
SIZE: Final = COVARIANCES + 2 * (ORDER + 1)
"""Floats of a field's state on one scale."""
