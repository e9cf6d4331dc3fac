"""The same pipeline driven from files."""

from qraft.replay.errors import ReplayError
from qraft.replay.run import replay
from qraft.replay.summary import InputSummary, Summary

__all__ = ["InputSummary", "ReplayError", "Summary", "replay"]
