"""The examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

PATTERN_ID = "0f6a3f1e-6f0e-5c6b-9d3e-6a1b2c3d4e5f"
FEEDBACK_ID = "7d0c4b9a-1f6e-4f0d-8f0f-2b9f4a6d1c11"
CONTRIBUTOR = {"field": "cpu_percent", "score": 0.8, "before": 12.4, "after": 71.0}
PATTERN: dict[str, Any] = {
    "pattern_id": PATTERN_ID,
    "type": "drift",
    "timestamp": "2026-11-22T14:08:21.000000Z",
    "source": "host",
    "details": {
        "prev_state": {"mean": 12.4},
        "new_state": {"mean": 71.0},
        "metrics": {"effect": 4.1},
        "confidence": 0.97,
    },
    "contributors": [CONTRIBUTOR],
    "detector": "drift",
    "event_id": "3a1ed4dd-2c4b-5f0e-8f5c-5a1f5d0c9e11",
    "entity": "",
    "line": 0.5,
    "summary": "cpu_percent: mean 71.0, was 12.4",
    "kind": "mean",
    "began": "2026-11-22T14:07:51.000000Z",
    "verdict": "confirmed",
    "verdict_user": "ops1",
    "verdict_at": "2026-11-22T14:09:03.000000Z",
    "feedback_id": FEEDBACK_ID,
}
VERDICT: dict[str, Any] = {
    "feedback_id": FEEDBACK_ID,
    "pattern_id": PATTERN_ID,
    "verdict": "confirmed",
    "timestamp": "2026-11-22T14:09:03.000000Z",
    "source": "host",
    "detector": "drift",
    "note": "backup job",
    "user": "ops1",
    "undoes": "",
    "scope": None,
    "until": "",
}
SCOPE: dict[str, JsonValue] = {"source": "host", "entity": "", "type": "drift", "detector": "drift"}
EVENT: dict[str, Any] = {
    "event_id": "3a1ed4dd-2c4b-5f0e-8f5c-5a1f5d0c9e11",
    "source": "host",
    "entity": "",
    "timestamp": "2026-11-22T14:08:21.000000Z",
    "fields": {"cpu_percent": 71.0},
}
RAW_EVENT: dict[str, Any] = {
    "event_id": "3a1ed4dd-2c4b-5f0e-8f5c-5a1f5d0c9e11",
    "source": "host",
    "timestamp": "2026-11-22T14:08:21.000000Z",
    "type": "sample",
    "payload": {"cpu_percent": 71.0, "host": "db-1"},
    "meta": {"version": "1.0"},
}
SOURCE: dict[str, Any] = {
    "source": "host",
    "events": 86400,
    "patterns": 12,
    "last_event": "2026-11-22T14:09:03.000000Z",
    "engine": "main",
    "adapter": "host",
    "state": "running",
    "detail": "",
    "rate": 1.0,
    "lag_seconds": 0.2,
}
ENGINE: dict[str, Any] = {
    "engine": "main",
    "timestamp": "2026-11-22T14:09:03.000000Z",
    "state": "running",
    "detail": "",
    "nats": True,
    "clickhouse": True,
    "uptime_seconds": 3600.0,
    "rate": 1.0,
    "lag_seconds": 0.2,
    "pending": 0,
    "rss_bytes": 412_000_000,
    "level": "full",
    "sources": [{"source": "host", "adapter": "host", "state": "running", "rate": 1.0, "read": 3600, "processed": 3600}],
    "stages": [{"stage": "detect", "received": 3600, "sent": 12, "seconds": 1.5}],
}
STATS: dict[str, Any] = {
    "engines": [ENGINE],
    "parts": {
        "nats": True,
        "clickhouse": True,
        "streams": [
            {
                "stream": "QRAFT_EVENTS",
                "messages": 3,
                "bytes": 1820,
                "max_bytes": 1_073_741_824,
                "first_sequence": 86_398,
                "last_sequence": 86_400,
            }
        ],
    },
}
INGESTED: dict[str, Any] = {"accepted": 2, "rejected": [{"line": 3, "reason": "not a JSON object"}], "rejected_total": 1}
STREAM = (
    "retry: 2000\nid: 64e1b2f3a4c5d-41\n\n"
    "event: pattern\n"
    'data: {"pattern_id":"0f6a3f1e-6f0e-5c6b-9d3e-6a1b2c3d4e5f","type":"drift","timestamp":"2026-11-22T14:08:21.000000Z",'
    '"source":"host","details":{"prev_state":{"mean":12.4},"new_state":{"mean":71.0},"metrics":{"effect":4.1},'
    '"confidence":0.97},"contributors":[{"field":"cpu_percent","score":1.0}],"detector":"drift"}\n'
    "id: 64e1b2f3a4c5d-42\n\n"
)
NOT_ALL: dict[str, Any] = {
    "type": "about:blank",
    "title": "Service Unavailable",
    "status": 503,
    "detail": "the event stream is full; sources wait; 500 of 900 events are stored, send all of them again",
    "instance": "urn:uuid:5b8c4f0e-3a52-4f5e-9a53-6d1f1f0f7c11",
    "accepted": 500,
    "rejected": [],
    "rejected_total": 0,
}
