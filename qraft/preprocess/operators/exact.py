"""Sums of floats without rounding, so that they do not depend on the order or the grouping of what was added.

A float is a whole number divided by a power of two, so sums of floats, of their squares and of products are too, and
Python's whole numbers hold them exactly. What is read off is rounded once. Values can be taken away again, which leaves
no trace of them.
"""

from __future__ import annotations

import math
from typing import Any


class Moments:
    """Count, sum and sum of squares of some values.

    The sums are ``total / 2**shift`` and ``squares / 4**shift``.
    """

    __slots__ = ("count", "shift", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.squares = 0
        self.shift = 0

    def add(self, value: float) -> None:
        """Adds one finite value."""
        whole = self._scaled(value)
        self.count += 1
        self.total += whole
        self.squares += whole * whole

    def remove(self, value: float) -> None:
        """Takes away a value that was added."""
        whole = self._scaled(value)
        self.count -= 1
        self.total -= whole
        self.squares -= whole * whole

    def merge(self, other: Moments) -> None:
        """Adds all that was added to another."""
        if other.shift > self.shift:
            self._refine(other.shift)
        by = self.shift - other.shift
        self.count += other.count
        self.total += other.total << by
        self.squares += other.squares << 2 * by

    def sum(self) -> float:
        """The sum, correctly rounded."""
        return self.total / (1 << self.shift)

    def mean(self) -> float:
        """The mean, correctly rounded. There must be a value."""
        return self.total / (self.count << self.shift)

    def std(self) -> float | None:
        """The standard deviation of a sample (ddof 1), within one unit of the last place; None below two values."""
        count = self.count
        if count < 2:
            return None
        return math.sqrt((count * self.squares - self.total * self.total) / (count * (count - 1) << 2 * self.shift))

    def state(self) -> list[Any]:
        """The sums as plain values."""
        return [self.count, self.shift, whole_to_bytes(self.total), whole_to_bytes(self.squares)]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        self.count, self.shift = state[0], state[1]
        self.total, self.squares = whole_from_bytes(state[2]), whole_from_bytes(state[3])

    def _scaled(self, value: float) -> int:
        numerator, denominator = value.as_integer_ratio()
        needed = denominator.bit_length() - 1
        if needed > self.shift:
            self._refine(needed)
        return numerator << self.shift - needed

    def _refine(self, shift: int) -> None:
        by = shift - self.shift
        self.total <<= by
        self.squares <<= 2 * by
        self.shift = shift


class WeightedMean:
    """The mean of values, each with a weight: the sum of value times weight over the sum of the weights.

    The sums are ``products / 2**product_shift`` and ``weights / 2**weight_shift``.
    """

    __slots__ = ("product_shift", "products", "weight_shift", "weights")

    def __init__(self) -> None:
        self.products = self.product_shift = self.weights = self.weight_shift = 0

    def add(self, value: float, weight: float) -> None:
        """Adds one finite value and its weight."""
        numerator, denominator = value.as_integer_ratio()
        share, parts = weight.as_integer_ratio()
        shift = parts.bit_length() - 1
        self._add_weight(share, shift)
        self._add_product(numerator * share, denominator.bit_length() - 1 + shift)

    def merge(self, other: WeightedMean) -> None:
        """Adds all that was added to another."""
        self._add_weight(other.weights, other.weight_shift)
        self._add_product(other.products, other.product_shift)

    def mean(self) -> float | None:
        """The mean, correctly rounded; None unless the weights add up to more than nothing, or where it is no float."""
        if self.weights <= 0:
            return None
        try:
            return (self.products << self.weight_shift) / (self.weights << self.product_shift)
        except OverflowError:
            return None

    def state(self) -> list[Any]:
        """The sums as plain values."""
        return [self.product_shift, whole_to_bytes(self.products), self.weight_shift, whole_to_bytes(self.weights)]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        self.product_shift, self.products = state[0], whole_from_bytes(state[1])
        self.weight_shift, self.weights = state[2], whole_from_bytes(state[3])

    def _add_weight(self, weight: int, shift: int) -> None:
        if shift > self.weight_shift:
            self.weights <<= shift - self.weight_shift
            self.weight_shift = shift
        self.weights += weight << self.weight_shift - shift

    def _add_product(self, product: int, shift: int) -> None:
        if shift > self.product_shift:
            self.products <<= shift - self.product_shift
            self.product_shift = shift
        self.products += product << self.product_shift - shift


def quantile(ordered: list[float], share: float) -> float:
    """The value below which a share of the values lies, interpolated between the two nearest (numpy's "linear").

    Args:
        ordered: at least one value, in ascending order.
        share: 0 to 1.
    """
    place = (len(ordered) - 1) * share
    below = int(place)
    low = ordered[below]
    if below == place:
        return low
    return low + (place - below) * (ordered[below + 1] - low)


def whole_to_bytes(number: int) -> bytes:
    """A whole number of any size as bytes, for a snapshot."""
    return number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)


def whole_from_bytes(data: bytes) -> int:
    """The number that `whole_to_bytes` was given."""
    return int.from_bytes(data, "little", signed=True)
