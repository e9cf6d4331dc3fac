"""From events as they come to rows that can be judged: time in UTC microseconds, finite numbers, no repeats. Pure.

A source without steps is made into rows by `Cleaner`; one with steps by `qraft.preprocess.preprocessor.Preprocessor`, which
is not imported here because it needs polars.
"""

from qraft.preprocess.cleaner import Cleaner, Rejected
from qraft.preprocess.outcome import Outcome, cleaner_state, steps_digest

__all__ = ["Cleaner", "Outcome", "Rejected", "cleaner_state", "steps_digest"]
