"""Test cases for detectors, written in TOML: read, run, reported."""

from qraft.replay.cases.model import Case, CaseFile
from qraft.replay.cases.report import junit, lines
from qraft.replay.cases.run import Job, Outcome, find_cases, run_cases

__all__ = ["Case", "CaseFile", "Job", "Outcome", "find_cases", "junit", "lines", "run_cases"]
