"""A hold: all lanes stand still at a barrier, for the moment in which somebody copies what they stand on.

It is a lease: whoever asked for it renews it, and when he dies the lanes go on by themselves. While it lasts sources go on
publishing; nothing is judged, stored, acknowledged or noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Protocol

import msgspec

from qraft.model import Struct

MOST_SECONDS: Final = 60.0
"""How long a lease may be."""
WAITS: Final = "a backup that is being made"

_PART: Final = "hold"


class HoldRequest(Struct, frozen=True):
    """Asks for a hold of ``seconds`` from now; with ``renew``, to go on with the one that ``client`` has."""

    client: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MOST_SECONDS)] = 10.0
    renew: bool = False


class Halt:
    """One stop of all lanes."""

    def __init__(self, lanes: int) -> None:
        self._coming = lanes
        self._over = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether every lane stands."""
        return self._coming == 0

    async def stand(self) -> None:
        """Called by each lane once all it processed is stored; returns when the stop is over."""
        self._coming -= 1
        await self._over.wait()

    def end(self) -> None:
        """Lets the lanes go on."""
        self._over.set()


class Holds(Protocol):
    """A lane, as far as a hold needs it."""

    def hold(self, halt: Halt) -> None:
        """Stands at the next barrier until the halt is over."""


class Hold:
    """The hold of one engine, if there is one, and the verbs ``hold`` and ``release`` of its control service.

    Everything here runs on the event loop.
    """

    def __init__(self, lanes: Sequence[Holds], tell: Callable[[str, str], None]) -> None:
        """A hold that nobody has yet.

        Args:
            lanes: what is held.
            tell: told the part's name and why it waits; "" when it goes on.
        """
        self._lanes, self._tell = lanes, tell
        self._halt: Halt | None = None
        self._client = ""
        self._expiry: asyncio.TimerHandle | None = None

    async def take(self, asked: dict[str, Any]) -> Any:
        """Begins a hold or renews it; ``held`` says whether all lanes stand by now.

        Raises:
            ValueError: it is no such request, somebody else has a hold, or the one to be renewed has ended.
        """
        request = _request(asked)
        if self._halt is not None and request.client != self._client:
            raise ValueError("another backup of this instance is under way; wait until it is done")
        if self._halt is None:
            if request.renew:
                raise ValueError("the hold has ended")
            self._client, self._halt = request.client, Halt(len(self._lanes))
            self._tell(_PART, WAITS)
            for lane in self._lanes:
                lane.hold(self._halt)
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(request.seconds, self.end)
        return {"held": self._halt.complete}

    async def release(self, asked: dict[str, Any]) -> Any:
        """Ends a hold; ``held`` says whether all lanes stood.

        Raises:
            ValueError: it is no such request, or the hold had ended already.
        """
        request = _request(asked)
        if self._halt is None or request.client != self._client:
            raise ValueError("the hold has ended")
        complete = self._halt.complete
        self.end()
        return {"held": complete}

    def end(self) -> None:
        """Lets the lanes go on; no mistake when none is held."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._halt is not None:
            self._halt.end()
            self._halt = None
            self._tell(_PART, "")


def _request(asked: dict[str, Any]) -> HoldRequest:
    try:
        return msgspec.convert(asked, HoldRequest)
    except msgspec.ValidationError as error:
        raise ValueError(f"this is no request for a hold: {error}") from None
