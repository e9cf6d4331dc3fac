"""What a finding can be, more closely than its type: the word in a pattern's ``kind``."""

from __future__ import annotations

from typing import Final

from qraft.model import PatternType

KINDS: Final[dict[str, PatternType]] = {
    "mean": "drift",
    "trend": "drift",
    "variance": "drift",
    "distribution": "drift",
    "predictability": "drift",
    "novelty": "anomaly",
    "joint": "anomaly",
    "silence": "anomaly",
    "return": "anomaly",
    "flat": "anomaly",
    "birth": "cluster_change",
    "death": "cluster_change",
    "merge": "cluster_change",
    "split": "cluster_change",
    "moved": "cluster_change",
    "occupancy": "cluster_change",
    "member": "cluster_change",
}
"""Each kind and the pattern type it belongs to."""
