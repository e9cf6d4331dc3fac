"""Where live patterns, statistics and verdicts come from, and where verdicts go. Never imports Textual."""
