"""What can be wrong with how the interface is to be served."""

from __future__ import annotations


class WebError(Exception):
    """A user's mistake in where or how to serve; the text is a sentence for people."""
