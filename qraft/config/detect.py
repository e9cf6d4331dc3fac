"""The settings of the detectors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from qraft.config.base import Probability, Section


class AdwinSettings(Section):
    """Drift of each field: ADWIN (Bifet & Gavaldà 2007) over the error of a one-step predictor."""

    enabled: bool = True
    """Whether this detector runs."""
    delta: Probability = 0.002
    """ADWIN's significance: smaller is slower and surer."""
    min_effect: Annotated[float, Field(ge=0)] = 0.5
    """Least change of the mean, in spreads of the time before, that is worth a pattern."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""


class DdmSettings(Section):
    """Drift of predictability: DDM (Gama et al. 2004) over a one-step predictor's misses."""

    enabled: bool = True
    """Whether this detector runs."""
    warmup: Annotated[int, Field(ge=10)] = 200
    """Rows of a field before it may raise a pattern."""
    drift_threshold: Annotated[float, Field(gt=0)] = 3.0
    """How many standard deviations above its best the miss rate must stand."""


class ForestSettings(Section):
    """Anomaly: Half-Space Trees (Tan, Ting & Liu 2011) over all fields together, scaled inside."""

    enabled: bool = True
    """Whether this detector runs."""
    trees: Annotated[int, Field(ge=1, le=100)] = 10
    """Number of trees."""
    height: Annotated[int, Field(ge=2, le=12)] = 8
    """Depth of each tree."""
    window: Annotated[int, Field(ge=20, le=100_000)] = 250
    """Rows of the window the trees compare with; the warm-up takes 150 more."""
    seed: int = 42
    """Seed of the trees."""


class ClusterSettings(Section):
    """Cluster change: online k-means over all fields; occupancy, centres, births and deaths between two windows."""

    enabled: bool = True
    """Whether this detector runs."""
    clusters: Annotated[int, Field(ge=2, le=20)] = 4
    """Number of centres."""
    window: Annotated[int, Field(ge=50, le=100_000)] = 200
    """Rows of the current window; the warm-up takes two; the reference holds up to five."""
    significance: Probability = 0.0001
    """Chance of a finding on a stream that does not change, a window."""
    seed: int = 42
    """Seed of the first centres."""


class DetectSettings(Section):
    """The detectors that every source gets."""

    line: Probability = 0.5
    """Confidence from which a pattern is raised, before any verdict."""
    max_entities: Annotated[int, Field(ge=1)] = 1000
    """Entities of one source that are judged; the least recently seen gives way."""
    adwin: AdwinSettings = AdwinSettings()
    ddm: DdmSettings = DdmSettings()
    forest: ForestSettings = ForestSettings()
    clusters: ClusterSettings = ClusterSettings()
