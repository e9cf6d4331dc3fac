"""Writes what follows from the code: the dashboards here, and docs/metrics.md in both languages.

Run ``python -m grafana.generate`` from the repository's root; tests/grafana says when that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.health import health
from grafana.overview import overview
from grafana.quality import quality
from grafana.reference import LANGUAGES, reference
from grafana.source import source

ROOT: Final = Path(__file__).resolve().parent.parent
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {
    "overview": overview,
    "source": source,
    "detector-quality": quality,
    "pipeline-health": health,
}


def files() -> dict[Path, str]:
    """Every generated file with its text."""
    made = {
        ROOT / "grafana" / "dashboards" / f"{name}.json": JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
        for name, make in DASHBOARDS.items()
    }
    return made | {ROOT / path: reference(language) for language, path in LANGUAGES.items()}


def main() -> None:
    """Writes them."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
