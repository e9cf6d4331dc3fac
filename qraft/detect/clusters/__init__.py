"""Cluster change: what groups of rows there are, how large and where. Pure."""
