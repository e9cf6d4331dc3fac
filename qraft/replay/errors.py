"""What goes wrong in a replay."""


class ReplayError(Exception):
    """A mistake of the user, a damaged input, or a machine that ran out of something: one plain sentence."""
