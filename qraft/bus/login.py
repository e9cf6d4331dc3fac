"""nats-py's client as Qraft needs it: logged in, over TLS where that was asked for, and back after every refusal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error, SlowConsumerError

from qraft.bus.errors import BusRejected
from qraft.config import LoginError, NatsAddress
from qraft.config.nats_login import TlsOnly

log = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 0.5
REFUSED_SECONDS: Final = 5.0
"""Pause between attempts while a login is refused or a certificate not accepted: nobody mends that in less."""
CLOSE_SECONDS: Final = 1.0

_DENIED: Final = "permissions violation"

Told = Callable[[], Awaitable[None]]


class BusClient(Client):
    """A client that also comes back where a server ends the connection with an error.

    Of itself nats-py closes for good when a login is revoked or expires while it is connected; what takes its place, a new
    JWT or a password set back, would never be tried.
    """

    async def _process_err(self, err_msg: str) -> None:
        if _DENIED in err_msg.lower():
            await super()._process_err(err_msg)
        else:
            error = Error(f"nats: {err_msg.strip(chr(39))}")
            await self._error_cb(error)
            await self._process_op_err(error)

    async def _process_connect_init(self) -> None:
        """After a failed TLS handshake nats-py waits for an end of the connection that never comes: it is left behind."""
        try:
            await super()._process_connect_init()
        except OSError:
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # has no annotations
                self._transport = None
            raise

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Beyond a tunnel, the other servers of a cluster are not where they say."""
        if "tls_hostname" in self.options:
            info = {key: value for key, value in info.items() if key != "connect_urls"}
        await super()._process_info(info, initial_connection)


class _SecureBusClient(TlsOnly, BusClient):
    """The same, over TLS only."""


class Door:
    """One client and what is told of its connection.

    Attributes:
        client: the connection.
        denials: how often the server has refused a subject so far.
        denied: which it refused last, in its words.
    """

    def __init__(self, address: NatsAddress) -> None:
        self.client: Client = _SecureBusClient() if address.secure else BusClient()
        self.denials = 0
        self.denied = ""
        self._address = address
        self._told: set[str] = set()
        self._errors = 0
        self._fault = ""
        self._open = False

    async def open(self, name: str, *, disconnected: Told, reconnected: Told) -> None:
        """Connects; from then on the client comes back by itself, for ever.

        Every server is tried once before a fault that will not mend itself ends the attempt; one that is only away is tried
        until the caller gives up.

        Raises:
            BusRejected: the login is refused, a certificate is not accepted, or a file of either cannot be used.
        """

        async def back() -> None:
            self._fault = ""
            self.client.options["reconnect_time_wait"] = RECONNECT_SECONDS
            await reconnected()

        try:
            await self.client.connect(
                self._address.servers,
                name=f"qraft-{name}",
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # typed int, used as seconds
                ping_interval=10,
                disconnected_cb=disconnected,
                reconnected_cb=back,
                error_cb=self._on_error,
                **self._address.options(),
            )
        except LoginError as error:
            raise BusRejected(str(error)) from None
        except Exception as error:
            # What nats-py does not pass on, such as a key that cannot be used.
            if fault := self._address.fault(error):
                raise BusRejected(fault) from None
            raise
        self._open, self._fault = True, ""

    async def close(self) -> None:
        """Ends the connection; it is no mistake when there is none."""
        # It asserts that there was a connection where a key could not be used.
        with contextlib.suppress(TimeoutError, Error, OSError, AssertionError):
            await asyncio.wait_for(self.client.close(), CLOSE_SECONDS)

    async def _on_error(self, error: Exception) -> None:
        """Told by nats-py of what goes wrong beside a call."""
        said = str(error).removeprefix("nats: ")
        if isinstance(error, SlowConsumerError):
            log.error("messages on %s were dropped: this program reads too slowly", error.subject)
        elif _DENIED in said.lower():
            self.denials, self.denied = self.denials + 1, said
            if said not in self._told:
                self._told.add(said)
                log.warning("NATS: %s; give this login the permission (deploy/nats has examples)", said)
        elif fault := self._address.fault(error):
            self._refused(fault)
        else:
            log.debug("NATS connection: %s", said or type(error).__name__)
        self._errors += 1
        if self._fault and not self._open and self._errors >= len(self._address.servers):
            raise BusRejected(self._fault)

    def _refused(self, fault: str) -> None:
        """Once the connection stood, it is tried again ever so often: what is refused may be mended over there."""
        if self._open and fault != self._fault:
            log.error("NATS: %s; trying again every %.0f s", fault, REFUSED_SECONDS)
        if self._open:
            self.client.options["reconnect_time_wait"] = REFUSED_SECONDS
        self._fault = fault
