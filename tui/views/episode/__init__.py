"""The EPISODE screen, pane by pane: pure functions from state to lines."""
