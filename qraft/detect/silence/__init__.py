"""Silence and return: rows that do not come, fields that are missing, values that stand still."""
