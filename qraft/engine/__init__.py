"""The daemon: ingest → bus → pipeline → store."""
