"""Replays, kept: recorded, listed, compared."""

from qraft.replay.experiments.book import Book
from qraft.replay.experiments.compare import BASIC, CHIEF, Comparison, Difference, best, compare, less_is_better, scores
from qraft.replay.experiments.record import SHOWN_LETTERS, Experiment, detectors_of, experiment_of

__all__ = [
    "BASIC",
    "CHIEF",
    "SHOWN_LETTERS",
    "Book",
    "Comparison",
    "Difference",
    "Experiment",
    "best",
    "compare",
    "detectors_of",
    "experiment_of",
    "less_is_better",
    "scores",
]
