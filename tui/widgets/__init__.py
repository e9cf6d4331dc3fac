"""Widgets of Textual's line API; each repaints only lines that changed."""
