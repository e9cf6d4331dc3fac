"""Drift: what a field is predicted from has moved, in its level or in its predictability. Pure."""
