"""The settings of the detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, create_model

from qraft.config.base import Probability, Section
from qraft.config.detectors import load_plugins, sections


class DriftSettings(Section):
    """Drift of each field: Bayesian change points (Adams & MacKay 2007) over the errors of a one-step predictor."""

    enabled: bool = True
    """Whether this detector runs."""
    min_effect: Annotated[float, Field(ge=0)] = 1.0
    """Least change of a mean, in spreads of the error, that is worth a pattern."""
    min_ratio: Annotated[float, Field(ge=1)] = 1.4
    """Least growth or fall of a spread, as a ratio, that is worth a pattern."""
    warmup: Annotated[int, Field(ge=10)] = 12
    """Rows of a field before it may raise a pattern."""


class AdwinSettings(Section):
    """Drift of each field: ADWIN (Bifet & Gavaldà 2007) over the error of a one-step predictor."""

    enabled: bool = False
    """Whether this detector runs; `drift` finds what it finds, sooner, so both would tell a change twice."""
    delta: Probability = 0.002
    """ADWIN's significance: smaller is slower and surer."""
    min_effect: Annotated[float, Field(ge=0)] = 0.5
    """Least change of the mean, in spreads of the time before, that is worth a pattern."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""


class DdmSettings(Section):
    """Drift of predictability: DDM (Gama et al. 2004) over a one-step predictor's misses."""

    enabled: bool = False
    """Whether this detector runs; `drift` finds what it finds, sooner, so both would tell a change twice."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""
    drift_threshold: Annotated[float, Field(gt=0)] = 3.0
    """How many standard deviations above its best the miss rate must stand."""


class NoveltySettings(Section):
    """Anomaly of each field by itself: windows unlike any remembered, values unlike this time of day."""

    enabled: bool = True
    """Whether this detector runs."""
    warmup: Annotated[int, Field(ge=100)] = 150
    """Rows of an entity before it may raise a pattern; its tails need the first 100."""


class ForestSettings(Section):
    """Anomaly: all fields of an entity together: the row, the recent rows, and Half-Space Trees (Tan, Ting & Liu 2011).

    It speaks from row 200 on; the trees join after a window and 200 rows. An abnormal stretch becomes the normal after 1000
    rows, or as many as came before it (200 at least), or a week.
    """

    enabled: bool = True
    """Whether this detector runs."""
    trees: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of trees."""
    height: Annotated[int, Field(ge=2, le=12)] = 8
    """Depth of each tree."""
    window: Annotated[int, Field(ge=20, le=100_000)] = 250
    """Rows of the window the trees compare with."""
    seed: int = 42
    """Seed of the trees."""


class ClusterSettings(Section):
    """Cluster change: the groups of rows over all fields; births, deaths, merges, splits, moves, changed shares."""

    enabled: bool = True
    """Whether this detector runs."""
    clusters: Annotated[int, Field(ge=2, le=20)] = 8
    """Most groups; how many there are, the rows say."""
    window: Annotated[int, Field(ge=50, le=100_000)] = 200
    """Rows of the current window; the warm-up takes two; the reference holds up to four."""
    significance: Probability = 0.0001
    """Chance of a finding on a stream that does not change, a window."""


class PeersSettings(Section):
    """Cluster change: the entities of a source among each other; who left its group."""

    enabled: bool = True
    """Whether this detector runs."""
    window_seconds: Annotated[float, Field(ge=0.0)] = 0.0
    """Event time that entities are compared over; 0 takes as long as it takes for some twenty rows of each."""
    min_entities: Annotated[int, Field(ge=4)] = 4
    """Entities from which on they are compared."""


class SilenceSettings(Section):
    """Silence: rows that stay away longer than their own rhythm allows, fields that are missing; and their return."""

    enabled: bool = True
    """Whether this detector runs."""
    tick_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 5.0
    """While a live source brings nothing, time passes for it in steps of so many seconds."""


class FlatSettings(Section):
    """Flat line: a field that used to move stays at one value for much longer than it ever did; and its return."""

    enabled: bool = True
    """Whether this detector runs."""
    warmup: Annotated[int, Field(ge=20)] = 50
    """Moves of a field before it may be told to stand still."""


class BuiltInDetectors(Section):
    """The detectors that every source gets."""

    line: Probability = 0.5
    """Confidence from which a pattern is raised, before any verdict."""
    max_entities: Annotated[int, Field(ge=1)] = 1000
    """Entities of one source that are judged; the least recently seen gives way."""
    drift: DriftSettings = DriftSettings()
    adwin: AdwinSettings = AdwinSettings()
    ddm: DdmSettings = DdmSettings()
    novelty: NoveltySettings = NoveltySettings()
    forest: ForestSettings = ForestSettings()
    clusters: ClusterSettings = ClusterSettings()
    peers: PeersSettings = PeersSettings()
    silence: SilenceSettings = SilenceSettings()
    flat: FlatSettings = FlatSettings()


PLUGINS, RESTING = load_plugins(BuiltInDetectors.model_fields)
"""The detectors of other installed packages by name, and the names of those that cannot be used."""

if TYPE_CHECKING:
    DetectSettings = BuiltInDetectors
else:
    DetectSettings = create_model(
        "DetectSettings",
        __base__=BuiltInDetectors,
        __doc__=BuiltInDetectors.__doc__,
        __module__=__name__,
        **sections(PLUGINS, RESTING),
    )
