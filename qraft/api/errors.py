"""What stops the REST server from being started."""

from __future__ import annotations


class ApiError(Exception):
    """A mistake of the user in where or how to listen; the text is a sentence for people."""
