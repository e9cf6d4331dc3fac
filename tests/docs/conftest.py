"""The server of the tests of the REST interface, for the programs that its page shows."""

from tests.api.conftest import bus, client, serve, store

__all__ = ["bus", "client", "serve", "store"]
