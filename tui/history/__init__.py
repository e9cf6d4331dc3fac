"""Where past patterns and the events around a pattern come from. Never imports Textual."""
