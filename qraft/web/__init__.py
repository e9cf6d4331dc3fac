"""The terminal interface in a browser: who may open it, its page, and one `qraft tui` process a tab."""
