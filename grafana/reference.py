"""The reference of the metrics, docs/metrics.md, in each language, from the catalogue that defines them.

English is what the code says; the Chinese of every sentence stands in reference.zh.toml beside this file. A test finds what
is missing there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from qraft.api.meters import API_METRICS
from qraft.metrics.catalogue import SECTIONS, Spec

LANGUAGES: Final = {"en": "docs/metrics.md", "zh": "docs/zh-CN/metrics.md"}
WORDS: Final = Path(__file__).with_name("reference.zh.toml")

_FRAME: Final = {
    "title": "Metrics",
    "introduction": (
        "Every metric of the engine, as Prometheus reads it at `/metrics`. `[metrics]` in config.toml says where; "
        "`run.json` in the data directory has the address as `metrics_url`. Counters count since the engine started. "
        "Metrics and `qraft status` come from the same counts."
    ),
    "formats": "A scraper that asks for OpenMetrics gets it. `process_*` and `python_*` tell of the process, as usual.",
    "generated": "This page is made by `python -m grafana.generate` from `qraft/metrics/catalogue.py`.",
    "metric": "metric",
    "type": "type",
    "unit": "unit",
    "labels": "labels",
    "meaning": "meaning",
    "label": "label",
    "values": "values",
    "buckets": "Buckets up to",
    "Labels": "Labels",
    "bounded": "No label holds an entity, an id or a free text, so that their number stays bounded.",
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "ratio, 0 to 1",
}
_TITLES: Final = {
    "engine": "Engine",
    "stages": "Stages",
    "sources": "Sources",
    "detection": "Detection",
    "bus": "Bus",
    "store": "Store",
    "archive": "Archive",
    "alerts": "Alerts",
    "api": "REST server (its own `/metrics`)",
}
_LABELS: Final = {
    "source": "A source's name. The first thousand have their own series; the counts of the rest are added up as `_other`.",
    "stage": "`ingest`, `preprocess`, `detect`, `publish`, `store`.",
    "state": "Of a source: `starting`, `running`, `retrying`, `paused`, `finished`, `failed`, `external`. Of the engine: "
    "`starting`, `running`, `waiting`, `stopping`.",
    "reason": "Of what is dropped: `dead`, `full`, `sampled`, `leaving`, `late`, `duplicate`, `filtered`, `archived`. "
    "Of dead letters: `unreadable` (no row or message), `refused` (too large for the bus), `payload` (no JSON object), "
    "`time` (no readable time), `no_numbers`, `step` (a step cannot work on it), `fault` (of the program), `other`. "
    "Of refused tokens: `missing`, `unknown`, `expired`, `role`.",
    "type": "`drift`, `anomaly`, `cluster_change`.",
    "detector": "A detector's name; `_other` for one that is not known.",
    "verdict": "`confirmed`, `false_positive`, `expected`, `new_normal`, `mute`, `note`, `undo`.",
    "kind": "One word of the notice: `config`, `level`, `dropping`, `stale`, `gap`, … 64 at most, the rest is `_other`.",
    "result": "Of edits of the configuration: `applied` or `refused`.",
    "stream": "`events` (what waits to be processed) or `patterns` (the latest patterns).",
    "server": "`NATS` or `ClickHouse`.",
    "table": "A table of the database.",
    "disk": "A disk of ClickHouse.",
    "version": "Of Qraft.",
    "rule": "A rule of `[alerts.rules]`.",
    "transition": "What the message tells: `open`, `severity` (it changed), `escalate`, `close`, `digest`, `test`.",
    "target": "A target of `[alerts.targets]`.",
    "outcome": "`delivered`, `failed` (tried again), `refused`, `given up`.",
    "route": "Template of the path; `_other` where none fits.",
    "method": "Method of the request.",
    "status": "Class of the status: `2xx`, `4xx`, `5xx`.",
    "engine": "`engine.name`.",
}


def sections() -> dict[str, tuple[Spec, ...]]:
    """All metrics, by section."""
    return {**SECTIONS, "api": API_METRICS}


def sentences() -> list[str]:
    """Every English text of the page, once; what is nothing but code is the same in every language."""
    return [text for text in dict.fromkeys(_texts()) if re.search("[A-Za-z]", re.sub("`[^`]*`", "", text))]


def _texts() -> Iterator[str]:
    yield from _FRAME.values()
    for name, specs in sections().items():
        yield _TITLES.get(name, name.capitalize())
        for spec in specs:
            yield spec.text
    for label in dict.fromkeys(label for specs in sections().values() for spec in specs for label in spec.labels):
        yield _LABELS.get(label, label)


def words(language: str) -> Mapping[str, str]:
    """What each English text is in a language; empty for English."""
    return tomllib.loads(WORDS.read_text(encoding="utf-8")) if language == "zh" else {}


def reference(language: str) -> str:
    """The page in one language: "en" or "zh". A text without a translation stays English."""
    said = words(language)

    def t(text: str) -> str:
        return said.get(text, text)

    def f(key: str) -> str:
        return t(_FRAME[key])

    lines = [f"# {f('title')}", "", f("introduction"), "", f("formats"), "", f("generated"), ""]
    for name, specs in sections().items():
        lines += [f"## {t(_TITLES.get(name, name.capitalize()))}", ""]
        lines += [f"| {f('metric')} | {f('type')} | {f('unit')} | {f('labels')} | {f('meaning')} |", "|---|---|---|---|---|"]
        for spec in specs:
            labels = ", ".join(f"`{label}`" for label in spec.labels)
            unit = f(spec.unit) if spec.unit else ""
            lines.append(
                f"| `{spec.name}` | {f(spec.kind)} | {unit} | {labels} | {t(spec.text)}{_buckets(spec, f('buckets'))} |"
            )
        lines.append("")
    lines += [f"## {f('Labels')}", "", f("bounded"), "", f"| {f('label')} | {f('values')} |", "|---|---|"]
    used = dict.fromkeys(label for specs in sections().values() for spec in specs for label in spec.labels)
    lines += [f"| `{label}` | {t(_LABELS.get(label, label))} |" for label in used]
    return "\n".join(lines) + "\n"


def _buckets(spec: Spec, word: str) -> str:
    return f" {word}: {', '.join(f'{bound:g}' for bound in spec.buckets)}." if spec.buckets else ""
