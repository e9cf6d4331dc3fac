"""What can go wrong on the bus.

BusError
├── BusUnavailable   no connection, no answer in time, no stream: the same call may go through later
└── BusRejected      the server refused for a reason that waiting does not mend
"""

from __future__ import annotations


class BusError(Exception):
    """Base of what the bus raises."""


class BusUnavailable(BusError):
    """No connection or no answer in time; the same call may go through later."""


class BusRejected(BusError):
    """The server refused for a reason that waiting does not mend."""
