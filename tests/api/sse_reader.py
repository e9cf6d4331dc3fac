"""Reads server-sent events as the HTML standard says, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec


@dataclass(slots=True)
class Sent:
    """One block: an event, or what came without one."""

    event: str = ""
    data: str = ""
    id: str = ""
    retry: str = ""
    comment: str = ""

    @property
    def value(self) -> Any:
        """The data as JSON."""
        return msgspec.json.decode(self.data)


async def blocks(answer: httpx.Response) -> AsyncIterator[Sent]:
    """The blocks of an answer, as they come."""
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream", await answer.aread()
    block = Sent()
    async for line in answer.aiter_lines():
        if not line:
            yield block
            block = Sent()
            continue
        name, _, value = line.partition(":")
        name, value = name or "comment", value.removeprefix(" ")
        setattr(block, name, value if name != "data" or not block.data else f"{block.data}\n{value}")


async def take(found: AsyncIterator[Sent], count: int, event: str = "pattern") -> list[Sent]:
    """The next events of a name; what else comes is passed over."""
    taken: list[Sent] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            block = await anext(found)
            if block.event == event:
                taken.append(block)
    return taken
