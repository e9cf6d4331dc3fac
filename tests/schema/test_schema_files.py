"""The schemas checked in are current, accept what Qraft writes and refuse what it refuses."""

import copy
import json
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qraft.model import Contributor, Details, Event, Feedback, Pattern

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "schema"

EVENT = Event(event_id="e", source="s", type="row", timestamp="2026-01-01T00:00:00Z", payload={"a": 1.5, "b": "text"})
PATTERN = Pattern(
    pattern_id="p",
    type="drift",
    timestamp="2026-01-01T00:00:00Z",
    source="s",
    details=Details(prev_state={"mean": 1.0}, new_state={"mean": 2.0}, metrics={"effect": 3.0}, confidence=0.9),
    contributors=[Contributor(field="a", score=0.75, before=1.0, after=2.0), Contributor(field="b", score=0.25)],
)
VERDICT = Feedback(feedback_id="f", pattern_id="p", verdict="confirmed", timestamp="2026-01-01T00:00:00Z")
CONFIG = """
[engine]
partitions = 4
[nats]
max_bytes = "512 MiB"
[detect]
line = 0.6
[detect.adwin]
delta = 0.01
[sources.shuttle]
adapter = "file"
path = "shuttle.csv"
fields = ["v1", "v2"]
[sources.market]
adapter = "websocket"
url = "ws://127.0.0.1:9/ws"
[sources.here]
adapter = "host"
interval_seconds = 2.0
"""

KINDS: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """What is wrong with ``value``, by the keywords of JSON Schema that these schemas use."""
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    for union in ("anyOf", "oneOf"):
        if union in schema and not any(not problems(value, option, root, at) for option in schema[union]):
            return [f"{at}: none of {union}"]
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return [f"{at}: not a {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: not in enum")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not the constant")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: does not match")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", -float("inf")), schema.get("maximum", float("inf"))
        over, under = schema.get("exclusiveMinimum", -float("inf")), schema.get("exclusiveMaximum", float("inf"))
        if not (low <= value <= high and over < value < under):
            found.append(f"{at}: out of bounds")
    if isinstance(value, list) and "items" in schema:
        found += [p for n, item in enumerate(value) for p in problems(item, schema["items"], root, f"{at}[{n}]")]
    if isinstance(value, dict):
        found += problems_inside(value, schema, root, at)
    return found


def problems_inside(table: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    """What is wrong with the keys of an object."""
    found = [f"{at}.{key}: missing" for key in schema.get("required", []) if key not in table]
    for key, item in table.items():
        matching = [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        if key in schema.get("properties", {}):
            matching.append(schema["properties"][key])
        if not matching and schema.get("additionalProperties") is False:
            found.append(f"{at}.{key}: unknown key")
        found += [p for s in matching for p in problems(item, s, root, f"{at}.{key}")]
    return found


def check(name: str, value: Any) -> list[str]:
    schema = json.loads((SCHEMA / f"{name}.schema.json").read_text())
    return problems(value, schema, schema)


def test_files_are_current() -> None:
    current = runpy.run_path(str(SCHEMA / "generate.py"))["schemas"]()
    for name, text in current.items():
        assert (SCHEMA / name).read_text(encoding="utf-8") == text, f"schema/{name} is old: run python schema/generate.py"
    assert {path.name for path in SCHEMA.glob("*.json")} == set(current)


@pytest.mark.parametrize(("name", "value"), [("event", EVENT), ("pattern", PATTERN), ("feedback", VERDICT)])
def test_what_qraft_writes_is_valid(name: str, value: msgspec.Struct) -> None:
    assert check(name, json.loads(msgspec.json.encode(value))) == []


def test_later_keys_are_valid() -> None:
    assert check("pattern", {**json.loads(msgspec.json.encode(PATTERN)), "incident_id": "i"}) == []


@pytest.mark.parametrize(
    ("name", "value", "path", "bad"),
    [
        ("event", EVENT, ("payload",), [1]),
        ("event", EVENT, ("event_id",), 7),
        ("pattern", PATTERN, ("type",), "trend"),
        ("pattern", PATTERN, ("details", "confidence"), "high"),
        ("pattern", PATTERN, ("contributors", 0, "score"), None),
        ("feedback", VERDICT, ("verdict",), "maybe"),
    ],
)
def test_wrong_values_are_refused(name: str, value: msgspec.Struct, path: tuple[str | int, ...], bad: object) -> None:
    table = json.loads(msgspec.json.encode(value))
    node = table
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = bad
    assert len(check(name, table)) == 1


@pytest.mark.parametrize(("name", "value"), [("event", EVENT), ("pattern", PATTERN), ("feedback", VERDICT)])
def test_required_keys_are_required(name: str, value: msgspec.Struct) -> None:
    whole = json.loads(msgspec.json.encode(value))
    schema = json.loads((SCHEMA / f"{name}.schema.json").read_text())
    required = schema["$defs"][type(value).__name__]["required"]
    assert "source" in required or name == "feedback"
    for key in required:
        without = copy.deepcopy(whole)
        del without[key]
        assert check(name, without) == [f"$.{key}: missing"]


def test_a_config_is_valid() -> None:
    assert check("config", tomllib.loads(CONFIG)) == []


def test_the_default_config_is_valid() -> None:
    assert check("config", tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("partitions = 4", "partition = 4"),
        ("partitions = 4", "partitions = 1000"),
        ("line = 0.6", 'line = "0.6"'),
        ("line = 0.6", "line = 1.0"),
        ('"512 MiB"', '"512 parsecs"'),
        ('"512 MiB"', "0"),
        ('adapter = "host"', 'adapter = "hosts"'),
        ('path = "shuttle.csv"', ""),
        ("ws://127.0.0.1:9/ws", "file:///ws"),
    ],
)
def test_config_mistakes_are_refused(before: str, after: str) -> None:
    assert before in CONFIG
    assert check("config", tomllib.loads(CONFIG.replace(before, after))) != []
