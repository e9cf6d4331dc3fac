"""Plain search in lists that are no episodes: words that all must stand somewhere in a row, ``!`` turns one round."""

from __future__ import annotations


def found(text: str, row: str) -> bool:
    """Whether a row holds every word of ``text``, in capitals or not."""
    small = row.lower()
    return all(
        (word[1:] not in small) if len(word) > 1 and word[0] == "!" else word in small for word in text.lower().split()
    )
