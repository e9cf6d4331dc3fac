"""One connection to NATS that comes back by itself, and what observers need of it: watch, send a verdict, ask the engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Self, TypeVar

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import (
    ConnectionClosedError,
    Error,
    NoRespondersError,
    NoServersError,
    OutboundBufferLimitError,
    TimeoutError as NatsTimeoutError,
)
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from qraft.bus import subjects
from qraft.bus.errors import BusRejected, BusUnavailable
from qraft.bus.login import Door
from qraft.config import NatsAddress
from qraft.model import EngineStats, Feedback, Pattern, Struct, encode, feedback_fault

log = logging.getLogger(__name__)
T = TypeVar("T", bound=Struct)

REQUEST_SECONDS = 5.0


@contextlib.asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turns what nats-py raises into this package's errors.

    A cancellation that comes in the same moment as an answer is lost in `asyncio.wait_for` before Python 3.12 (CPython issue
    86296), which nats-py waits by; it is raised here, else whoever cancelled would wait for ever.
    """
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    try:
        yield
        if task is not None and task.cancelling() > cancelled:
            raise asyncio.CancelledError
    except NoStreamResponseError as error:
        raise BusUnavailable("NATS has no stream for this subject; is the engine's stream set up?") from error
    except APIError as error:
        if error.code == 503:
            raise BusUnavailable(f"NATS: {error.description}") from error
        raise BusRejected(f"NATS: {error.description} (code {error.err_code})") from error
    except NoRespondersError as error:
        raise BusUnavailable("nobody answers on this subject; is the engine running?") from error
    except (NatsTimeoutError, TimeoutError) as error:
        raise BusUnavailable("no answer from NATS in time") from error
    except (ConnectionClosedError, NoServersError, OutboundBufferLimitError, OSError) as error:
        raise BusUnavailable(f"no connection to NATS: {error}") from error
    except Error as error:
        raise BusUnavailable(f"NATS: {error}") from error


class Bus:
    """A connection to NATS. It reconnects for ever by itself; watchers survive that."""

    def __init__(self, door: Door, url: str) -> None:
        self._door = door
        self._client = door.client
        self._listeners: list[Callable[[bool], None]] = []
        self.url = url
        self.reconnects = 0

    @classmethod
    async def connect(
        cls,
        address: NatsAddress,
        *,
        name: str,
        on_change: Callable[[bool], None] | None = None,
        timeout: float = REQUEST_SECONDS,
    ) -> Self:
        """Connects to the server at ``address``, or to one of its servers.

        Args:
            address: where it is and who connects; `NatsSettings.address` makes it.
            name: shown in the server's own monitoring.
            on_change: told, on the event loop, each time the connection goes (False) and comes back (True).
            timeout: seconds until the first connect is given up.

        Raises:
            BusUnavailable: no server answers there.
            BusRejected: the server refuses the login, its certificate is not accepted, or a file cannot be used.
        """
        door = Door(address)
        bus = cls(door, address.url)
        if on_change is not None:
            bus.listen(on_change)
        try:
            async with translated():
                # Reconnecting for ever also makes the first connect try for ever, so its time is bounded here.
                await asyncio.wait_for(
                    door.open(name, disconnected=bus._disconnected, reconnected=bus._reconnected), timeout
                )
        except BusUnavailable as error:
            await door.close()
            raise BusUnavailable(f"no NATS server answers at {address.url}") from error
        except BaseException:
            await door.close()
            raise
        return bus

    def listen(self, on_change: Callable[[bool], None]) -> None:
        """Also tells ``on_change`` when the connection goes and comes."""
        self._listeners.append(on_change)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached at this moment."""
        return self._client.is_connected

    @property
    def client(self) -> Client:
        """The connection itself, for the other modules of this package."""
        return self._client

    def jetstream(self, timeout: float = REQUEST_SECONDS) -> JetStreamContext:
        """A JetStream context of this connection, for the other modules of this package."""
        return self._client.jetstream(timeout=timeout)

    async def close(self) -> None:
        """Sends what is buffered and closes; it is no mistake when the server is gone."""
        with contextlib.suppress(Error, TimeoutError, OSError):
            if self._client.is_connected:
                await self._client.flush(timeout=1)
        await self._door.close()

    async def watch_patterns(self, handle: Callable[[list[Pattern]], None]) -> None:
        """Hands every pattern published from now on to ``handle``, on the event loop."""
        decoder = msgspec.json.Decoder(Pattern)

        async def received(message: Msg) -> None:
            handle([p for line in message.data.splitlines() if (p := _decoded(decoder, line, message.subject)) is not None])

        await self._subscribe(subjects.pattern_subject("*", "*"), received)

    async def watch_stats(self, handle: Callable[[EngineStats], None]) -> None:
        """Hands every engine's statistics, once a second each, to ``handle``."""
        await self._watch(subjects.stats_subject("*"), EngineStats, handle)

    async def watch_feedback(self, handle: Callable[[Feedback], None]) -> None:
        """Hands every operator's verdicts to ``handle`` as they are given."""
        await self._watch(subjects.feedback_subject("*"), Feedback, handle)

    async def watch_messages(self, subject: str, handle: Callable[[bytes], None]) -> None:
        """Hands the bytes of every message published on ``subject`` from now on to ``handle``, on the event loop."""

        async def received(message: Msg) -> None:
            handle(message.data)

        await self._subscribe(subject, received)

    async def send_feedback(self, feedback: Feedback) -> None:
        """Returns once JetStream has stored the verdict; the same ``feedback_id`` is stored once.

        Raises:
            BusUnavailable: not stored, or not known to be; sending it again does no harm.
            BusRejected: the verdict names no source, breaks the contract (`feedback_fault`), or the server refuses it.
        """
        if not feedback.source:
            raise BusRejected("a verdict needs the source of its pattern")
        if fault := feedback_fault(feedback):
            raise BusRejected(fault)
        async with self._asking():
            await self.jetstream().publish(
                subjects.feedback_subject(feedback.source), encode(feedback), headers={"Nats-Msg-Id": feedback.feedback_id}
            )

    async def pending_feedback(self, source: str) -> list[Feedback]:
        """What operators said on patterns of ``source`` that stands in the stream and is not stored yet, oldest first."""
        found: list[Feedback] = []
        decoder = msgspec.json.Decoder(Feedback)
        async with self._asking():
            jetstream, sequence = self.jetstream(), 0
            while True:
                try:
                    message = await jetstream.get_msg(
                        subjects.EVENTS_STREAM,
                        seq=sequence + 1,
                        subject=f"qraft.lane.*.{subjects.FEEDBACK}.{source}",
                        direct=True,
                        next=True,
                    )
                except NotFoundError:
                    return found
                assert message.seq is not None, "a stored message has its sequence"
                sequence = message.seq
                if (said := _decoded(decoder, message.data or b"", message.subject or "")) is not None:
                    found.append(said)

    async def publish_stats(self, stats: EngineStats) -> None:
        """Publishes an engine's statistics; whoever does not listen misses them."""
        async with translated():
            await self._client.publish(subjects.stats_subject(stats.engine), encode(stats))

    async def request(self, verb: str, payload: dict[str, Any] | None = None, timeout: float = REQUEST_SECONDS) -> Any:
        """Asks the engine's control service, for example ``pause`` with ``{"source": "host"}``.

        Raises:
            BusUnavailable: no engine answers.
            BusRejected: the engine refuses, in its own words.
        """
        async with self._asking():
            answer = await self._client.request(
                f"{subjects.CONTROL_PREFIX}.{verb}", msgspec.json.encode(payload or {}), timeout=timeout
            )
        headers = answer.headers or {}
        if "Nats-Service-Error" in headers:
            raise BusRejected(headers["Nats-Service-Error"])
        return msgspec.json.decode(answer.data)

    async def _watch(self, subject: str, kind: type[T], handle: Callable[[T], None]) -> None:
        decoder = msgspec.json.Decoder(kind)

        async def received(message: Msg) -> None:
            if (value := _decoded(decoder, message.data, message.subject)) is not None:
                handle(value)

        await self._subscribe(subject, received)

    async def _subscribe(self, subject: str, received: Any) -> None:
        async with self._asking():
            await self._client.subscribe(subject, cb=received)
            for _ in range(2):  # nats-py's first PING overtakes what it has still to write
                await self._client.flush(timeout=int(REQUEST_SECONDS))

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """As `translated`; silence after the server has refused a subject is no absence: the refusal is told."""
        before = self._door.denials
        try:
            async with translated():
                yield
        except BusUnavailable:
            if self._door.denials == before:
                raise
        if self._door.denials > before:
            raise BusRejected(f"NATS: {self._door.denied}; this login lacks the permission")

    async def _disconnected(self) -> None:
        self._tell(connected=False)

    async def _reconnected(self) -> None:
        self.reconnects += 1
        self._tell(connected=True)

    def _tell(self, *, connected: bool) -> None:
        for listener in self._listeners:
            listener(connected)


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes, subject: str) -> T | None:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("unreadable message on %s: %s", subject, error)
        return None
