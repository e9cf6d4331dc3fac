"""Qraft: watches live data streams, finds what changed in them, and says which fields caused it."""

__version__ = "0.1.0"
