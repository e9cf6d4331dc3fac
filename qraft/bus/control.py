"""The engine's control service: a NATS micro service under ``qraft.ctl.*``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from nats.micro import add_service
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service, ServiceConfig

from qraft.bus import subjects
from qraft.bus.client import Bus, translated

Verb = Callable[[dict[str, Any]], Awaitable[Any]]
"""What a verb does; a ValueError it raises is told to who asked, as a plain sentence."""


async def serve_control(bus: Bus, verbs: dict[str, Verb], *, version: str) -> Service:
    """Answers each verb on ``qraft.ctl.<verb>``; `nats micro` lists it. End it with ``await service.stop()``."""
    async with translated():
        service = await add_service(
            bus.client, ServiceConfig(name="qraft", version=version, description="control of a Qraft engine")
        )
        for name, verb in verbs.items():
            await service.add_endpoint(
                EndpointConfig(
                    name=name, subject=f"{subjects.CONTROL_PREFIX}.{name}", handler=_handler(verb), queue_group="q"
                )
            )
    return service


def _handler(verb: Verb) -> Callable[[Request], Awaitable[None]]:
    async def handle(request: Request) -> None:
        try:
            asked = msgspec.json.decode(request.data or b"{}", type=dict[str, Any])
            answer = await verb(asked)
        except (ValueError, msgspec.DecodeError) as error:
            await request.respond_error("400", str(error))
        else:
            await request.respond(msgspec.json.encode(answer))

    return handle
