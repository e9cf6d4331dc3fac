"""State drawn as lines of toned text: pure functions from values to lines, without Textual."""
