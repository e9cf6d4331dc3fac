"""Scenes in an environment that no picture shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.snapshots.scenes import PLAIN_ENVIRONMENT, Scene, build
from tui.language import use
from tui.state import clock
from tui.zone import use_zone


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same environment everywhere, in English and UTC; the pace shown does not depend on the machine."""
    for name in list(os.environ):
        if name.startswith(("LC_", "SSH_", "QRAFT_")) or name in ("NO_COLOR", "LANGUAGE", "TEXTUAL_COLOR_SYSTEM"):
            monkeypatch.delenv(name)
    for name, value in PLAIN_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    monkeypatch.setattr(clock, "SLOW_FRAME_SECONDS", 1e9)
    use("en")
    use_zone("UTC")
    yield
    use("en")
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Scene]:
    """Makes a scene: ``scene("live")``."""

    def make(name: str, **how: Any) -> Scene:
        return build(name, tmp_path, **how)

    return make
