"""What can go wrong on the way to another machine."""

from __future__ import annotations


class RemoteError(Exception):
    """The other machine, or the instance there, cannot be reached; the text is a sentence for people."""
