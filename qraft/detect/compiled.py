"""The decorator of compiled kernels: numba without fast maths, so that every run and every cut gives the same numbers.

Kernels are compiled once and kept beside the module (``cache=True``): the first import after an installation takes
seconds, each later one milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """The function, compiled at its first call, typed as it was written."""
    compiled: Callable[P, R] = njit(cache=True, fastmath=False, nogil=True)(function)
    return compiled
