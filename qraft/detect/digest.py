"""Quantiles of a stream in bounded space: a t-digest that forgets slowly, as compiled arithmetic over one flat array.

Source: T. Dunning & O. Ertl, "Computing extremely accurate quantiles using t-digests" (2019), the merging digest with the
scale function k1. Beyond it, all weights are halved whenever they add up to `FORGET`, so the distant past fades.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qraft.detect.compiled import kernel

Floats = NDArray[np.float64]

_SIZE: Final = 200
"""The digest's compression; it never holds more centroids."""
_BUFFER: Final = 32
FORGET: Final = 16384.0
_CENTROIDS, _WEIGHT, _WAITING, _SMALLEST, _LARGEST = 0, 1, 2, 3, 4
_MEANS: Final = 5
_ROOM: Final = _SIZE + _BUFFER + 2
_WEIGHTS: Final = _MEANS + _ROOM
_HELD: Final = _WEIGHTS + _ROOM
DIGEST: Final = _HELD + _BUFFER
"""Numbers of a digest; zeros are an empty one."""


@kernel
def _merge(digest: Floats) -> None:
    """Takes in what waits: all centroids in order, joined as far as k1 allows."""
    waiting = int(digest[_WAITING])
    count = int(digest[_CENTROIDS])
    for at in range(waiting):  # insertion into the sorted centroids, from the back
        value = digest[_HELD + at]
        into = count
        while into > 0 and digest[_MEANS + into - 1] > value:
            digest[_MEANS + into] = digest[_MEANS + into - 1]
            digest[_WEIGHTS + into] = digest[_WEIGHTS + into - 1]
            into -= 1
        digest[_MEANS + into] = value
        digest[_WEIGHTS + into] = 1.0
        count += 1
    total = digest[_WEIGHT]
    digest[_WAITING] = 0.0
    if count > _SIZE // 2:
        per_k = _SIZE / (2.0 * math.pi)
        joined = 0
        before = 0.0
        reach = 0.5 * (math.sin(min((math.asin(-1.0) * per_k + 1.0) / per_k, 0.5 * math.pi)) + 1.0) * total
        for at in range(1, count):
            weight = digest[_WEIGHTS + at]
            if before + digest[_WEIGHTS + joined] + weight <= reach:
                digest[_WEIGHTS + joined] += weight
                step = (digest[_MEANS + at] - digest[_MEANS + joined]) * weight / digest[_WEIGHTS + joined]
                digest[_MEANS + joined] += step
            else:
                before += digest[_WEIGHTS + joined]
                angle = math.asin(min(max(2.0 * before / total - 1.0, -1.0), 1.0)) + 1.0 / per_k
                reach = 0.5 * (math.sin(min(angle, 0.5 * math.pi)) + 1.0) * total
                joined += 1
                digest[_MEANS + joined] = digest[_MEANS + at]
                digest[_WEIGHTS + joined] = weight
        count = joined + 1
    digest[_CENTROIDS] = count
    if total >= FORGET:
        for at in range(count):
            digest[_WEIGHTS + at] *= 0.5
        digest[_WEIGHT] = 0.5 * total


@kernel
def digest_add(digest: Floats, value: float) -> bool:
    """Takes one finite value; whether the quantiles have changed: at first with each value, then every 32."""
    if digest[_WEIGHT] == 0.0:
        digest[_SMALLEST] = digest[_LARGEST] = value
    digest[_SMALLEST] = min(digest[_SMALLEST], value)
    digest[_LARGEST] = max(digest[_LARGEST], value)
    digest[_HELD + int(digest[_WAITING])] = value
    digest[_WAITING] += 1.0
    digest[_WEIGHT] += 1.0
    if digest[_WAITING] >= _BUFFER or digest[_WEIGHT] <= 8.0 * _BUFFER:
        _merge(digest)
        return True
    return False


@kernel
def digest_shares(digest: Floats, value: float) -> tuple[float, float, float]:
    """How many values merged so far are at most, how many are at least ``value``, and how many there are."""
    at_most = 0.0
    at_least = 0.0
    total = 0.0
    for at in range(int(digest[_CENTROIDS])):
        weight = digest[_WEIGHTS + at]
        total += weight
        if digest[_MEANS + at] <= value:
            at_most += weight
        if digest[_MEANS + at] >= value:
            at_least += weight
    return at_most, at_least, total


@kernel
def digest_quantile(digest: Floats, share: float) -> float:
    """The quantile of the values merged so far; 0 of none. Between centroids it is interpolated."""
    count = int(digest[_CENTROIDS])
    if count == 0:
        return 0.0
    total = 0.0
    for at in range(count):
        total += digest[_WEIGHTS + at]
    wanted = share * total
    run = 0.0
    left = digest[_SMALLEST]
    left_at = 0.0
    for at in range(count):
        weight = digest[_WEIGHTS + at]
        middle = run + 0.5 * weight
        if middle >= wanted:
            span = middle - left_at
            if span <= 0.0:
                return float(digest[_MEANS + at])
            return float(left + (digest[_MEANS + at] - left) * (wanted - left_at) / span)
        left = digest[_MEANS + at]
        left_at = middle
        run += weight
    span = total - left_at
    if span <= 0.0:
        return float(digest[_LARGEST])
    return float(left + (digest[_LARGEST] - left) * (wanted - left_at) / span)
