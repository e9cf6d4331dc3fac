"""What an entity is among its peers: robust features of its rows in a window of time. Kernels over flat arrays."""

from __future__ import annotations

from typing import Final

import numpy as np

from qraft.detect.clusters.groups import Floats, Ints
from qraft.detect.compiled import kernel

KEPT: Final = 16
"""Values that are kept of a field and window: the last ones."""
_LEAST: Final = 3


@kernel
def features_of(values: Floats, seen: Ints, rows: Ints) -> Floats:
    """Features [entities, 2 * fields + 1]: each field's median, the log of its spread, and the log of the rows; NaN where a
    field had fewer than three values.

    values: [entities, fields, KEPT], a ring each; seen: how many came; rows: rows of the window.
    """
    entities, fields = seen.shape
    out = np.full((entities, 2 * fields + 1), np.nan)
    kept = np.empty(KEPT)
    for entity in range(entities):
        if rows[entity] < _LEAST:
            continue
        out[entity, 2 * fields] = np.log(rows[entity])
        for field in range(fields):
            number = min(seen[entity, field], KEPT)
            if number < _LEAST:
                continue
            for at in range(number):  # insertion sort: few values
                value = values[entity, field, at]
                place = at
                while place > 0 and kept[place - 1] > value:
                    kept[place] = kept[place - 1]
                    place -= 1
                kept[place] = value
            out[entity, field] = 0.5 * kept[(number - 1) // 2] + 0.5 * kept[number // 2]
            low, high = kept[number // 4], kept[number - 1 - number // 4]
            if high > low:
                out[entity, fields + field] = np.log(high - low)
    return out


@kernel
def middles(vectors: Floats, labels: Ints, number: int) -> tuple[Floats, Floats]:
    """Median and median absolute deviation, as a standard deviation, of each group's vectors by feature; NaN for none."""
    features = vectors.shape[1]
    middle, spread = np.full((number, features), np.nan), np.full((number, features), np.nan)
    for group in range(number):
        members = np.nonzero(labels == group)[0]
        for feature in range(features):
            column = vectors[members, feature]
            column = column[~np.isnan(column)]
            if len(column):
                middle[group, feature] = np.median(column)
                spread[group, feature] = 1.4826 * np.median(np.abs(column - middle[group, feature]))
    return middle, spread
