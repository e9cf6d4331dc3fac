"""From events as they come to rows that can be judged: time in UTC microseconds, finite numbers, no repeats. Pure."""

from qraft.preprocess.cleaner import Cleaner, Rejected

__all__ = ["Cleaner", "Rejected"]
