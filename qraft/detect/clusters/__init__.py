"""Cluster change: the groups of an entity's rows, and of a source's entities; what became of them. Pure."""
