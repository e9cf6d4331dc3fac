"""Holds the lanes of a running engine for as long as a copy takes; see `qraft.engine.hold` for the engine's side."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from types import TracebackType
from typing import Final, Self

from qraft.bus.client import Bus
from qraft.bus.errors import BusError, BusUnavailable

LEASE_SECONDS: Final = 10.0
"""How long the engine stands still after whoever held it has died."""
RENEW_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 60.0
"""How long the lanes may take to come to a barrier."""

_LOOK_SECONDS: Final = 0.05


class Holding:
    """A hold, begun on entering the context, renewed within it; `release` ends it and says that it never broke.

    Leaving the context in any other way ends it too.
    """

    def __init__(self, bus: Bus, *, lease: float = LEASE_SECONDS, patience: float = PATIENCE_SECONDS) -> None:
        self._bus, self._lease, self._patience = bus, lease, patience
        self._client = uuid.uuid4().hex
        self._renewing: asyncio.Task[None] | None = None
        self._released = False

    async def __aenter__(self) -> Self:
        """Returns once every lane stands.

        Raises:
            BusUnavailable: no engine answers, or it did not come to a barrier in time.
            BusRejected: another hold is on.
        """
        try:
            await self._stand()
        except BaseException:
            await self._give_up()
            raise
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end_renewing()
        if not self._released:
            await self._give_up()

    async def release(self) -> None:
        """Lets the lanes go on.

        Raises:
            BusError: the hold did not last: the engine ended or was too busy to be heard.
        """
        await self._end_renewing()
        self._released = True
        answer = await self._bus.request("release", {"client": self._client})
        if not answer["held"]:
            raise BusUnavailable("the engine did not stand still")

    async def _stand(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, renew = loop.time() + self._patience, False
        while not (await self._ask(renew=renew))["held"]:
            renew = True
            if loop.time() > deadline:
                raise BusUnavailable(
                    f"it did not come to a barrier within {self._patience:.0f} s; `qraft status` says what it waits for"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _renew(self) -> None:
        """Until it is cancelled; a hold that is lost is found out by `release`."""
        while True:
            await asyncio.sleep(min(RENEW_SECONDS, self._lease / 4))
            with contextlib.suppress(BusError):
                await self._ask(renew=True)

    async def _end_renewing(self) -> None:
        task, self._renewing = self._renewing, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _give_up(self) -> None:
        with contextlib.suppress(BusError):
            await self._bus.request("release", {"client": self._client}, timeout=1.0)

    async def _ask(self, *, renew: bool) -> dict[str, bool]:
        asked = {"client": self._client, "seconds": self._lease, "renew": renew}
        answer: dict[str, bool] = await self._bus.request("hold", asked)
        return answer
