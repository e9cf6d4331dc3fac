"""What the terminal knows and shows, as plain values and pure functions: no Textual, no I/O but the journal's files."""
