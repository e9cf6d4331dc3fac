"""The records in an HTTP answer: JSON, GeoJSON, NDJSON, CSV. Bytes in, records and faults out.

Prometheus text is recognised here and read in `qraft.ingest.rest_prometheus`.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import msgspec

from qraft.config.sources import RestSource
from qraft.ingest.base import SourceError
from qraft.ingest.records import MAX_RECORD_BYTES, RecordError, decode_json
from qraft.ingest.rest_prometheus import looks_like_metrics
from qraft.ingest.rows import RowFormat, RowParser
from qraft.model import Event

Kind = Literal["json", "geojson", "ndjson", "csv", "prometheus", "openmetrics"]

ABSENT: Final = object()
"""What `at` gives where nothing stands at a path; null stands there where the answer says null."""

_BOM: Final = b"\xef\xbb\xbf"
_AXES: Final = ("longitude", "latitude", "depth")
_UTF8: Final = frozenset({"utf-8", "ascii"})
_BY_TYPE: Final[Mapping[str, Kind]] = {
    "application/json": "json",
    "text/json": "json",
    "application/geo+json": "geojson",
    "application/vnd.geo+json": "geojson",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/jsonlines": "ndjson",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/openmetrics-text": "openmetrics",
}


class Fault(NamedTuple):
    """A part of an answer that cannot be used: why, and its bytes."""

    reason: str
    original: bytes


@dataclass(slots=True)
class Records:
    """What an answer holds. ``document`` is the whole of it, where it is JSON; ``count`` includes what cannot be used."""

    records: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    document: Any = None

    @property
    def count(self) -> int:
        """Records and faults together."""
        return len(self.records) + len(self.faults)


def at(value: Any, path: str) -> Any:
    """What stands at ``path``, or ``ABSENT``: first as one key, then split at its dots; a number counts into a list."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def as_utf8(raw: bytes, content_type: str) -> bytes:
    """The answer in UTF-8, without a byte-order mark; ``content_type`` may name another encoding.

    Raises:
        RecordError: the encoding is unknown, or the bytes are not in it.
    """
    name = next((p.split("=", 1)[1] for p in _parameters(content_type) if p.lower().startswith("charset=")), "utf-8")
    name = name.strip().strip("\"'")
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        raise RecordError(f"its content type names an unknown encoding, {name[:40]!r}") from None
    if encoding in _UTF8:
        return raw.removeprefix(_BOM)
    try:
        return raw.decode(encoding).encode().removeprefix(_BOM)
    except (UnicodeError, LookupError):  # LookupError: a codec that is not for text
        raise RecordError(f"not {name}, which its content type names as its encoding") from None


def kind_of(raw: bytes, content_type: str, settings: RestSource) -> Kind:
    """The form of an answer: the configured one, else what the content type says, else what it looks like.

    Raises:
        RecordError: it is none that is known.
    """
    media = content_type.split(";", 1)[0].strip().lower()
    if settings.format == "prometheus" and media == "application/openmetrics-text":
        return "openmetrics"
    if settings.format != "auto":
        return settings.format
    if media.endswith("+json") and media not in _BY_TYPE:
        return "json"
    metrics = any(part.startswith("version=0.0.4") for part in _parameters(content_type))
    return _BY_TYPE.get(media) or ("prometheus" if metrics else _looks_like(raw[:4096].lstrip(), settings))


def _looks_like(head: bytes, settings: RestSource) -> Kind:
    if not head:
        raise RecordError("empty")
    if head.startswith((b"{", b"[")):
        return "json"
    if head.startswith(b"<"):
        raise RecordError("a page (HTML or XML), where JSON, NDJSON, CSV or Prometheus text is expected")
    if looks_like_metrics(head):
        return "prometheus"
    if settings.delimiter.encode() in head.split(b"\n", 1)[0]:
        return "csv"
    raise RecordError("neither JSON, NDJSON, CSV nor Prometheus text; set format if it is one of them")


def read_records(raw: bytes, kind: Kind, settings: RestSource) -> Records:
    """The records of an answer in UTF-8 that is not Prometheus text.

    Raises:
        RecordError: the answer as a whole cannot be used.
    """
    if kind in ("csv", "ndjson"):
        return _rows(raw, "csv" if kind == "csv" else "ndjson", settings)
    try:
        document = decode_json(raw)
    except RecordError:
        lines = _as_lines(raw, settings) if settings.format == "auto" else None
        if lines is None:
            raise
        return lines
    found = at(document, settings.record) if settings.record else document
    if found is ABSENT:
        raise RecordError(f'has no "{settings.record}"')
    return _taken_apart(found, document, kind, settings)


def _parameters(content_type: str) -> list[str]:
    return [part.strip() for part in content_type.split(";")[1:]]


def _as_lines(raw: bytes, settings: RestSource) -> Records | None:
    """What calls itself JSON may be one object a line; None where it is not that either."""
    first, _, rest = raw.strip().partition(b"\n")
    if not rest:
        return None
    try:
        decode_json(first)
    except RecordError:
        return None
    return _rows(raw, "ndjson", settings)


def _taken_apart(found: Any, document: Any, kind: Kind, settings: RestSource) -> Records:
    out = Records(document=document)
    if isinstance(found, dict) and found.get("type") in ("FeatureCollection", "Feature") and settings.format != "json":
        features = found.get("features") if found["type"] == "FeatureCollection" else [found]
        if not isinstance(features, list):
            raise RecordError('a FeatureCollection without "features"')
        for feature in features:
            _add(out, _feature(feature), feature, "is no GeoJSON feature")
        return out
    if kind == "geojson":
        raise RecordError("neither a GeoJSON FeatureCollection nor a Feature")
    if isinstance(found, dict):
        if not settings.key:
            out.records.append(found)
        for name, member in found.items() if settings.key else ():
            record = {settings.key: name, **(member if isinstance(member, dict) else {"value": member})}
            _add(
                out,
                record if not isinstance(member, list) else _row(member, settings, name),
                member,
                "is a list; set columns",
            )
        return out
    if found is None:
        return out
    if not isinstance(found, list):
        raise RecordError(f"{settings.record or 'the answer'} is neither an object nor a list")
    for element in found:
        row = _row(element, settings) if isinstance(element, list) else element
        _add(out, row if isinstance(row, dict) else None, element, _misfit(element, settings))
    return out


def _add(out: Records, record: dict[str, Any] | None, element: Any, reason: str) -> None:
    if record is not None:
        out.records.append(record)
    else:
        out.faults.append(Fault(f"a record {reason}", msgspec.json.encode(element)))


def _misfit(element: Any, settings: RestSource) -> str:
    if not isinstance(element, list):
        return "is no JSON object"
    return (
        f"has {len(element)} values where columns names {len(settings.columns)}"
        if settings.columns
        else "is a list; set columns"
    )


def _row(values: list[Any], settings: RestSource, name: str | None = None) -> dict[str, Any] | None:
    """A list of values as an object, by ``columns``; values beyond the last column are left out."""
    if not settings.columns or len(values) < len(settings.columns):
        return None
    row = dict(zip(settings.columns, values, strict=False))
    return row if name is None else {settings.key: name, **row}


def _feature(feature: Any) -> dict[str, Any] | None:
    """A GeoJSON feature (RFC 7946): its properties, its id, and where it is, if it is a point."""
    if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
        return None
    record: dict[str, Any] = dict(feature.get("properties") or {})
    if feature.get("id") is not None:
        record["id"] = feature["id"]
    geometry = feature.get("geometry")
    if isinstance(geometry, dict) and geometry.get("type") == "Point" and isinstance(geometry.get("coordinates"), list):
        record |= dict(zip(_AXES, geometry["coordinates"], strict=False))
    return record


def _rows(raw: bytes, kind: Literal["csv", "ndjson"], settings: RestSource) -> Records:
    parser = RowParser(RowFormat(source="", file="the answer", kind=kind, delimiter=settings.delimiter))
    out = Records()
    try:
        blocks = [parser.feed(raw), parser.finish()]
    except SourceError as error:  # of a file only its owner can mend it; the next answer may be better
        raise RecordError(str(error).removeprefix("the answer: ")) from None
    for block in blocks:
        for row in block.rows:
            if isinstance(row, Event):
                out.records.append(row.payload)
            else:
                out.faults.append(Fault(row.reason.removeprefix("the answer, "), row.original[:MAX_RECORD_BYTES]))
    return out
