"""Reads Prometheus' text format and OpenMetrics, line by line, so that a bad line costs itself and not the scrape.

`prometheus_client.parser` reads the same, but raises at the first bad line and then gives nothing of what follows; the
tests hold this reader against it on real scrapes. References: "Exposition formats" of the Prometheus documentation (text
format 0.0.4, with quoted UTF-8 names) and the OpenMetrics specification 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from qraft.ingest.records import RecordError, decode_text

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_SAMPLE: Final = re.compile(
    rf'(?P<name>{_NAME})?[ \t]*(?:\{{(?P<labels>(?:[^"}}]|{_QUOTED})*)\}}[ \t]*|(?<=[ \t]))'
    r"(?P<value>[^ \t#]+)(?:[ \t]+(?P<time>[^ \t#]+))?[ \t]*(?:#.*)?",
    re.DOTALL,
)
_LABEL: Final = re.compile(rf"[ \t]*(?P<name>{_NAME}|{_QUOTED})[ \t]*(?:=[ \t]*(?P<value>{_QUOTED}))?[ \t]*(?:,|$)")
_COMMENT: Final = re.compile(rf"#[ \t]*(TYPE|HELP|UNIT)[ \t]+({_NAME}|{_QUOTED})[ \t]*(.*)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", '"': '"', "\\": "\\"}
_FIRST_LINE: Final = re.compile(
    rf"# (?:TYPE|HELP|EOF)|{_NAME}(?:\{{[^\n]*\}})?[ \t]+[-+]?(?:[0-9.][0-9.eE+-]*|Inf|NaN)(?:[ \t]+-?\d+)?[ \t]*$"
)
_TYPES: Final = frozenset(
    {"counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram"}
)


class Sample(NamedTuple):
    """One value of one series; ``time_us`` where the exporter gave it a time of its own (UTC microseconds since 1970)."""

    name: str
    labels: Labels
    value: float
    time_us: int | None = None


class BadLine(NamedTuple):
    """A line that cannot be used; ``number`` counts from 1."""

    number: int
    reason: str
    text: str


@dataclass(slots=True)
class Exposition:
    """What an exporter said: the samples in its order, the type of each metric it gave one, and the bad lines."""

    samples: list[Sample] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    bad: list[BadLine] = field(default_factory=list)


def looks_like_metrics(head: bytes) -> bool:
    """Whether an answer that begins so is Prometheus text."""
    return _FIRST_LINE.match(head.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r")) is not None


def read_exposition(raw: bytes, *, openmetrics: bool = False) -> Exposition:
    """The samples in a scrape.

    A last line without a line feed is bad: the format demands one, and a number may be cut short. So is the second of two
    samples of one series. ``openmetrics`` has times in seconds, not milliseconds, and ends with ``# EOF``.

    Raises:
        RecordError: not UTF-8, or OpenMetrics whose end is missing.
    """
    out = Exposition()
    lines = decode_text(raw).split("\n")
    last = lines.pop()
    seen: set[tuple[str, Labels]] = set()
    ended = False
    for number, line in enumerate(lines, 1):
        text = line.strip(" \t\r")
        if text == "# EOF":
            ended = True
            break
        try:
            if text.startswith("#"):
                _comment(text, out)
            elif text:
                sample = _sample(text, 1_000_000 if openmetrics else 1000)
                if sample[:2] in seen:
                    raise RecordError("a second value of the same series")
                seen.add(sample[:2])
                out.samples.append(sample)
        except RecordError as error:
            out.bad.append(BadLine(number, str(error), line))
    if not ended:
        if openmetrics and last.strip() != "# EOF":
            raise RecordError("truncated: OpenMetrics ends with # EOF, this does not")
        if last.strip() and last.strip() != "# EOF":
            out.bad.append(BadLine(len(lines) + 1, "truncated: it has no line feed", last))
    return out


def _comment(text: str, out: Exposition) -> None:
    found = _COMMENT.fullmatch(text)
    if found is None or found[1] != "TYPE":
        return
    name, kind = _unquoted(found[2]), found[3].strip()
    if kind not in _TYPES:
        raise RecordError(f"no type of metric: {kind[:40]!r}")
    if out.types.setdefault(name, kind) != kind:
        raise RecordError("a second, other type of the same metric")


def _sample(text: str, time_scale: int) -> Sample:
    found = _SAMPLE.fullmatch(text)
    if found is None:
        raise RecordError("not a sample: NAME{LABELS} VALUE [TIME] is expected")
    quoted, labels = _labels(found["labels"] or "")
    name = found["name"]
    if (name is None) == (quoted is None):
        raise RecordError("has no name" if name is None else "has two names")
    value = _number(found["value"])
    if value is None:
        raise RecordError(f"not a number: {found['value'][:40]!r}")
    time_us = None
    if found["time"] is not None:
        moment = _number(found["time"])
        if moment is None or not abs(moment) < 1e18 / time_scale:
            raise RecordError(f"not a time: {found['time'][:40]!r}")
        time_us = round(moment * time_scale)
    return Sample(name or quoted or "", labels, value, time_us)


def _labels(text: str) -> tuple[str | None, Labels]:
    """The name that may stand quoted among the labels, and the labels."""
    name, labels, position = None, {}, 0
    while position < len(text) and text[position:].strip(" \t"):
        found = _LABEL.match(text, position)
        if found is None:
            raise RecordError("bad labels")
        key = _unquoted(found["name"])
        if found["value"] is None:
            if position or not found["name"].startswith('"'):
                raise RecordError("bad labels")
            name = key
        elif key in labels:
            raise RecordError(f"the label {key} twice")
        else:
            labels[key] = _unquoted(found["value"])
        position = found.end()
    return name, tuple(sorted(labels.items()))


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1])


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
