"""A detector of another package among ours: it is held to the interface, and its faults are its own."""

from __future__ import annotations

import hashlib
import math
import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import msgspec

from qraft.config.base import Section
from qraft.config.detect import PLUGINS
from qraft.config.detectors import Plugin
from qraft.config.plugins import Loaded
from qraft.detect.base import Finding, Judgement
from qraft.detect.kinds import KINDS
from qraft.detect.plugin import Steps
from qraft.detect.report import QUIET
from qraft.detect.state import freeze, thaw
from qraft.model import Contributor, PatternType


class Origin(NamedTuple):
    """What the state of a guest depends on: the package, its version, and a digest of the settings."""

    package: str
    version: str
    settings: str


class Complaint(NamedTuple):
    """What an operator should be told of a guest.

    Attributes:
        detector: its name.
        cause: "failed", "unkept" (its state cannot be stored), "unread" (nor taken up again), "version" or "gone".
    """

    detector: str
    cause: str
    text: str


def _origin(loaded: Loaded[Plugin], settings: Section) -> Origin:
    return Origin(loaded.package, loaded.version, hashlib.sha256(settings.model_dump_json().encode()).hexdigest())


class Guest:
    """Runs one detector of a package for one entity.

    One that raises, or says what no detector may say, rests from then on for this entity: it is quiet, and `complaints`
    tells of it once. Its state is a pickle of its own, which may hold objects of its own package; where that is not
    installed, has another version or cannot read it, the state is dropped and the rest of a snapshot stays.

    Attributes:
        origin: what its state depends on.
        lost: whether its state was dropped, so that it has to be made anew.
    """

    def __init__(self, name: str, loaded: Loaded[Plugin], settings: Section) -> None:
        self.name = name
        self.type: PatternType = loaded.part.type
        self.origin = _origin(loaded, settings)
        self.lost = False
        self._resting = False
        self._detector: Steps | None = None
        self._complaints: list[Complaint] = []
        try:
            self._detector = loaded.part.make(settings)
        except (Exception, SystemExit) as error:  # a package's fault must stop neither the engine nor other detectors
            self._rest(error)

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row, then learns it; quiet while it rests."""
        if self._detector is None:
            return QUIET
        try:
            return _checked(self._detector.step(time_us, dict(row), line), self.type, line)
        except (Exception, SystemExit) as error:  # as above
            self._rest(error)
            return QUIET

    def fits(self, settings: Section) -> bool:
        """Whether it goes on under these settings, with the package as it is installed."""
        loaded = PLUGINS.get(self.name)
        return not self.lost and loaded is not None and self.origin == _origin(loaded, settings)

    def complaints(self) -> list[Complaint]:
        """What is to be told; each once."""
        if not self._complaints:
            return _NONE
        told, self._complaints = self._complaints, []
        return told

    def __getstate__(self) -> tuple[str, PatternType, Origin, bool, bytes]:
        state = b""
        if self._detector is not None:
            try:
                state = freeze(self._detector)
            except Exception as error:  # as above
                self._complain("unkept", f"its state cannot be stored, so it starts anew whenever the engine does: {error}")
        return self.name, self.type, self.origin, self._resting, state

    def __setstate__(self, state: tuple[str, PatternType, Origin, bool, bytes]) -> None:
        self.name, self.type, self.origin, self._resting, data = state
        self._detector = None
        self._complaints = []
        loaded = PLUGINS.get(self.name)
        self.lost = True
        if loaded is None or loaded.package != self.origin.package:
            self._complain("gone", "it is not there any more; its state is dropped, the others' stay")
        elif loaded.version != self.origin.version:
            self._complain("version", f"its version is {loaded.version}, that of its state another; it starts anew")
        elif self._resting:
            self.lost = False
        elif data:
            try:
                self._detector = thaw(data, packages=(loaded.module.partition(".")[0],))
                self.lost = False
            except (ValueError, SystemExit) as error:
                self._complain("unread", f"it starts anew: {error}")

    def _rest(self, error: BaseException) -> None:
        self._detector, self._resting = None, True
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self._complain("failed", f"it rests, the others go on: {said}{place}")

    def _complain(self, cause: str, text: str) -> None:
        text = f"detector {self.name} of package {self.origin.package} {self.origin.version}: {text}"
        self._complaints.append(Complaint(self.name, cause, text))


_NONE: Final[list[Complaint]] = []


def _checked(said: Judgement, kind: PatternType, line: float) -> Judgement:
    """What a guest said, in plain values of our own.

    Raises:
        TypeError, ValueError: it is no judgement.
    """
    if said is QUIET:  # nearly always
        return said
    onset, state, warm = (float(value) for value in said[:3])
    finding = said[3]
    if not all(0.0 <= value <= 1.0 for value in (onset, state, warm)):
        raise ValueError(f"onset, state and warm are in [0, 1], got {onset}, {state}, {warm}")
    if warm < 1.0 and (onset or state):
        raise ValueError("onset and state are 0 until warm is 1")
    if (finding is None) != (onset < line):
        raise ValueError(f"a finding is given exactly where onset >= line; onset {onset}, line {line}, finding {finding!r}")
    return Judgement(onset, state, warm, _plain(finding, kind) if finding is not None else None)


def _plain(finding: Finding, kind: PatternType) -> Finding:
    if finding.kind and KINDS.get(finding.kind) != kind:
        listed = ", ".join(name for name, owner in KINDS.items() if owner == kind)
        raise ValueError(f"kind is empty or one of {listed}, got {finding.kind!r}")
    if not (isinstance(finding.summary, str) and finding.summary):
        raise ValueError("the summary is a sentence")
    return Finding(
        prev_state=_copy(finding.prev_state, dict[str, Any]),
        new_state=_copy(finding.new_state, dict[str, Any]),
        contributors=tuple(_copy(list(finding.contributors), list[Contributor])),
        summary=finding.summary,
        metrics={str(name): _finite(value) for name, value in finding.metrics.items()},
        kind=finding.kind,
        began_us=None if finding.began_us is None else int(finding.began_us),
    )


def _copy(value: Any, kind: Any) -> Any:
    """The value as it goes on the wire and comes back, so that it can be sent, and nobody changes it before that."""
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"metrics are finite numbers, got {number}")
    return number
