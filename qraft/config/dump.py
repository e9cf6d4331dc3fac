"""Writes settings as a configuration file."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from qraft.config.settings import Settings


def write_settings(settings: Settings, path: Path) -> Path:
    """Writes ``settings`` as a configuration file, in one step; ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return draft.replace(path)
