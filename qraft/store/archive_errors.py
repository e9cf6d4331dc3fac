"""What can go wrong with the cold archive."""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive cannot be reached, written or read, or holds a damaged file; the text is a sentence for people."""
