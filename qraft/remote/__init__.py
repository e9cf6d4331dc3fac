"""The engine on another machine: its run.json and its servers, reached through the system's ssh."""

from qraft.remote.destination import Destination
from qraft.remote.errors import RemoteError
from qraft.remote.tunnel import Tunnel
from qraft.remote.wanted import Wanted

__all__ = ["Destination", "RemoteError", "Tunnel", "Wanted"]
