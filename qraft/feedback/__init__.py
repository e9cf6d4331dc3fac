"""What an operator's verdicts change. Pure."""

from qraft.feedback.lines import AlertLines, moved_line

__all__ = ["AlertLines", "moved_line"]
