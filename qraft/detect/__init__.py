"""What finds patterns: drift, anomaly and cluster change, each with its evidence and the fields behind it. Pure."""

from qraft.detect.base import Detector, Finding, Judgement
from qraft.detect.entities import EntityTable
from qraft.detect.entity import DETECTORS, EntityDetectors
from qraft.detect.state import freeze, seal, thaw, unseal

__all__ = [
    "DETECTORS",
    "Detector",
    "EntityDetectors",
    "EntityTable",
    "Finding",
    "Judgement",
    "freeze",
    "seal",
    "thaw",
    "unseal",
]
