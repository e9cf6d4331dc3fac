"""The endpoints, one module a subject. `qraft.api.app` says which role each needs."""
