"""What finds patterns: drift, anomaly and cluster change, each with its evidence and the fields behind it. Pure.

What is imported from here is loaded at its first use, because detectors of other packages import `qraft.detect` for its
interface while `qraft.config` is imported, which everything else here needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from qraft.detect.base import Detector, Finding, Judgement, Named

if TYPE_CHECKING:
    from qraft.detect.entities import EntityTable
    from qraft.detect.entity import EntityDetectors
    from qraft.detect.guest import Complaint
    from qraft.detect.pattern import pattern_of
    from qraft.detect.plugin import DetectorPlugin
    from qraft.detect.registry import DETECTORS, LINED
    from qraft.detect.state import freeze, seal, thaw, unseal
else:
    _PLACES: Final = {
        "DETECTORS": "registry",
        "LINED": "registry",
        "Complaint": "guest",
        "DetectorPlugin": "plugin",
        "EntityDetectors": "entity",
        "EntityTable": "entities",
        "freeze": "state",
        "pattern_of": "pattern",
        "seal": "state",
        "thaw": "state",
        "unseal": "state",
    }

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


__all__ = [
    "DETECTORS",
    "LINED",
    "Complaint",
    "Detector",
    "DetectorPlugin",
    "EntityDetectors",
    "EntityTable",
    "Finding",
    "Judgement",
    "Named",
    "freeze",
    "pattern_of",
    "seal",
    "thaw",
    "unseal",
]
