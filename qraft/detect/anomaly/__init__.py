"""Anomaly: rows and stretches that the past of the stream does not hold. Pure."""
