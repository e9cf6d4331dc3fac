"""The engine's Prometheus metrics.

`catalogue` names every one of them, once; `tally` holds what is counted beside the statistics; `collector` makes samples of
both at each scrape; `server` answers scrapes.

A metric that another part of the engine counts takes two lines: a `Spec` in the catalogue, and a call of the engine's
tally, ``meters.tally.count("qraft_…_total", label, …)``.
"""

from qraft.metrics.catalogue import CATALOGUE, OTHER, Spec
from qraft.metrics.collector import EngineCollector, Reading
from qraft.metrics.server import MetricsServer
from qraft.metrics.tally import Tally

__all__ = ["CATALOGUE", "OTHER", "EngineCollector", "MetricsServer", "Reading", "Spec", "Tally"]
