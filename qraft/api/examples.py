"""The examples of the OpenAPI document."""

from __future__ import annotations

from pydantic import JsonValue

PATTERN_ID = "0f6a3f1e-6f0e-5c6b-9d3e-6a1b2c3d4e5f"
FEEDBACK_ID = "7d0c4b9a-1f6e-4f0d-8f0f-2b9f4a6d1c11"
CONTRIBUTOR = {"field": "cpu_percent", "score": 0.8, "before": 12.4, "after": 71.0}
PATTERN = {
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
    "verdict": "confirmed",
    "verdict_user": "ops1",
    "verdict_at": "2026-11-22T14:09:03.000000Z",
    "feedback_id": FEEDBACK_ID,
}
VERDICT = {
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
EVENT = {
    "event_id": "3a1ed4dd-2c4b-5f0e-8f5c-5a1f5d0c9e11",
    "source": "host",
    "entity": "",
    "timestamp": "2026-11-22T14:08:21.000000Z",
    "fields": {"cpu_percent": 71.0},
}
SOURCE = {
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
