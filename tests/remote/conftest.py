"""What the tests of remote machines share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.farhost import FarHost, running_host


@pytest.fixture
def far(tmp_path: Path) -> Iterator[FarHost]:
    """A host named "far", reached through a real sshd on loopback."""
    with running_host(tmp_path / "ssh") as host:
        yield host
