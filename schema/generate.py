"""Writes the JSON schemas of the wire contract and of config.toml from the types that define them.

``python schema/generate.py`` writes event, pattern, feedback and config.schema.json beside this file; a test holds that
they are current. They are for other people's editors and publishers: Qraft itself checks with the types.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from qraft.config import Settings
from qraft.model import Event, Feedback, Pattern

FOLDER = Path(__file__).resolve().parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """File name → text of each schema."""
    tables: dict[str, dict[str, Any]] = {
        f"{kind.__name__.lower()}.schema.json": {"$schema": DIALECT, **msgspec.json.schema(kind)}
        for kind in (Event, Pattern, Feedback)
    }
    tables["config.schema.json"] = {"$schema": DIALECT, **Settings.model_json_schema()}
    for table in tables.values():
        _clean(table)
    return {name: json.dumps(table, indent=2, ensure_ascii=False) + "\n" for name, table in tables.items()}


def _clean(node: Any) -> None:
    """Takes the indentation of the source out of each description."""
    if isinstance(node, dict):
        if isinstance(said := node.get("description"), str):
            node["description"] = inspect.cleandoc(said)
        for below in node.values():
            _clean(below)
    elif isinstance(node, list):
        for below in node:
            _clean(below)


def main() -> None:
    """Writes each schema beside this file."""
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
