"""What is wrong with a target."""

from __future__ import annotations


class TargetError(Exception):
    """A target that cannot be used as it is configured; the text says what to do."""
