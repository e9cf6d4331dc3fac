"""Copies what an instance keeps on the bus, and puts it back: JetStream's own stream snapshots, over the NATS protocol.

The protocol is that of nats-server's ``$JS.API.STREAM.SNAPSHOT`` and ``$JS.API.STREAM.RESTORE``
(https://docs.nats.io/reference/reference-protocols/nats_api_reference): a snapshot comes in chunks, each acknowledged
where the server asks for it, and ends with an empty one; it is put back the same way, each chunk as a request. Sequences,
times and headers of the messages stay as they are. Consumers are left out: lanes make theirs anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from qraft.bus import subjects
from qraft.bus.client import REQUEST_SECONDS, Bus, translated
from qraft.bus.errors import BusRejected, BusUnavailable
from qraft.bus.streams import IDENTITY, identity

STREAMS: Final = (
    subjects.EVENTS_STREAM,
    subjects.PATTERNS_STREAM,
    f"KV_{subjects.STATE_BUCKET}",
    f"OBJ_{subjects.SNAPSHOTS_BUCKET}",
)
"""All that an instance keeps on the bus; buckets are streams too."""
BUCKETS: Final = STREAMS[2:]
"""Those whose newest message takes the place of an older one."""
STALL_SECONDS: Final = 30.0
"""A server that says nothing for so long in the midst of a copy is given up."""

_LOOK_SECONDS: Final = 0.5
_CHUNK_BYTES: Final = 128 * 1024
_RESTORE_SECONDS: Final = 300.0
"""How long a server may take to make a stream of the chunks it got."""


class StreamCopy(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy must know beside its chunks: the stream's `identity`, its configuration and its state."""

    name: str
    identity: str
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def last(self) -> int:
        """The sequence of the last message it had taken when it was copied."""
        return int(self.state.get("last_seq", 0))

    @property
    def messages(self) -> int:
        """Messages in the stream when it was copied."""
        return int(self.state.get("messages", 0))


class _Answer(msgspec.Struct, frozen=True):
    """An answer of the JetStream API, as far as it is needed here."""

    config: dict[str, Any] = {}
    state: dict[str, Any] = {}
    deliver_subject: str = ""
    error: dict[str, Any] | None = None


async def copy_stream(bus: Bus, name: str, take: Callable[[bytes], Awaitable[None]]) -> StreamCopy:
    """Hands a snapshot of a stream to ``take``, piece by piece; the next is sent once ``take`` has returned.

    What is published meanwhile may be in it or not; nothing may be taken out of the stream meanwhile.

    Raises:
        BusUnavailable: NATS does not answer, or stopped in the midst.
        BusRejected: there is no such stream, or the server cannot copy it.
    """
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    async with translated():
        made = identity(await bus.jetstream().stream_info(name))
    inbox = bus.client.new_inbox()

    async def received(message: Msg) -> None:
        chunks.put_nowait(message)

    async with translated():
        subscription = await bus.client.subscribe(inbox, cb=received)
        try:
            answer = await _ask(
                bus,
                f"$JS.API.STREAM.SNAPSHOT.{name}",
                {"deliver_subject": inbox, "no_consumers": True, "chunk_size": _CHUNK_BYTES},
            )
            while chunk := await _next(bus, chunks, name):
                await take(chunk.data)
                if chunk.reply:
                    await bus.client.publish(chunk.reply, b"")
        finally:
            await subscription.unsubscribe()
    return StreamCopy(name=name, identity=made, config=answer.config, state=answer.state)


async def restore_stream(bus: Bus, copy: StreamCopy, chunks: AsyncIterable[bytes]) -> int:
    """Makes a stream again of what `copy_stream` handed out, in pieces of any size; how many messages it has.

    Raises:
        BusUnavailable: NATS does not answer.
        BusRejected: the stream exists, there is no room for it, or these are not its chunks.
    """
    most = min(_CHUNK_BYTES, bus.client.max_payload // 2)
    config = {**copy.config, "metadata": {**copy.config.get("metadata", {}), IDENTITY: copy.identity}}
    async with translated():
        begun = await _ask(bus, f"$JS.API.STREAM.RESTORE.{copy.name}", {"config": config, "state": copy.state})
        async for piece in chunks:
            for at in range(0, len(piece), most):
                await _ask(bus, begun.deliver_subject, piece[at : at + most])
        made = await _ask(bus, begun.deliver_subject, b"", _RESTORE_SECONDS)
    messages = int(made.state.get("messages", 0))
    if messages < copy.messages:
        raise BusRejected(f"NATS: stream {copy.name} has {messages} messages after the restore, {copy.messages} were copied")
    return messages


async def last_sequence(bus: Bus, name: str) -> int:
    """The sequence of the last message a stream took."""
    async with translated():
        return (await bus.jetstream().stream_info(name)).state.last_seq


async def stream_states(bus: Bus) -> dict[str, tuple[int, int]]:
    """Which of an instance's streams there are: how many messages each has, and how many it ever had."""
    found: dict[str, tuple[int, int]] = {}
    async with translated():
        for name in STREAMS:
            try:
                state = (await bus.jetstream().stream_info(name)).state
            except NotFoundError:
                continue
            found[name] = (state.messages, state.last_seq)
    return found


async def delete_streams(bus: Bus) -> None:
    """Deletes what an instance keeps on the bus, with all that is in it."""
    async with translated():
        for name in STREAMS:
            try:
                await bus.jetstream().delete_stream(name)
            except NotFoundError:
                continue


async def mark_restore(bus: Bus) -> None:
    """Notes that a restore is under way: until `unmark_restore`, `qraft.bus.ensure_streams` refuses to work on this bus."""
    async with translated():
        await bus.jetstream().add_stream(
            StreamConfig(
                name=subjects.RESTORE_STREAM, description="a restore is under way", subjects=[subjects.RESTORE_SUBJECT]
            )
        )


async def unmark_restore(bus: Bus) -> None:
    """Notes that the restore came to its end."""
    async with translated():
        try:
            await bus.jetstream().delete_stream(subjects.RESTORE_STREAM)
        except NotFoundError:
            return


async def engine_answers(bus: Bus) -> bool:
    """Whether an engine works on this bus.

    Raises:
        BusUnavailable: one is connected and does not answer.
    """
    async with translated():
        try:
            await bus.client.request(f"{subjects.CONTROL_PREFIX}.status", b"{}", timeout=REQUEST_SECONDS)
        except NoRespondersError:
            return False
    return True


def server_version(bus: Bus) -> str:
    """The version of the nats-server."""
    version = bus.client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def _next(bus: Bus, chunks: asyncio.Queue[Msg], name: str) -> Msg | None:
    """The next chunk; None after the last."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STALL_SECONDS
    while True:
        try:
            chunk = await asyncio.wait_for(chunks.get(), _LOOK_SECONDS)
            break
        except TimeoutError:
            if not bus.connected or loop.time() > deadline:
                raise BusUnavailable(f"NATS went in the midst of copying stream {name}") from None
    if chunk.data:
        return chunk
    said = chunk.headers or {}
    if said.get("Status", "204") != "204":
        raise BusRejected(f"NATS could not copy stream {name}: {said.get('Description') or said['Status']}")
    return None


async def _ask(bus: Bus, subject: str, payload: dict[str, Any] | bytes, timeout: float = REQUEST_SECONDS) -> _Answer:
    body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    data = (await bus.client.request(subject, body, timeout=timeout)).data
    answer = msgspec.json.decode(data, type=_Answer) if data else _Answer()
    if answer.error is not None:
        raise BusRejected(f"NATS: {answer.error.get('description')} (code {answer.error.get('err_code')})")
    return answer
