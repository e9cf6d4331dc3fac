"""One partition: reads its messages in order, drives one pipeline, publishes what it finds, and commits at barriers.

A barrier, in this order: the extent of the block is noted; the block is stored under a token made of that extent; the
snapshot of the pipeline after its last message is stored; the messages are acknowledged. A restart loads the snapshot and
reads on behind it; when a noted block was not finished, it cuts the same block again, and the store drops what it has. So a
kill at any instant leaves, in the end, the tables of an undisturbed run.

Committing goes on beside reading: while one block is stored, the next fills up, to ``barrier_rows``; then the lane waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

from qraft.bus import Barrier, BusError, BusUnavailable, Delivery, LaneReader, Publisher, Recovery, Snapshot
from qraft.bus.codec import decode_message
from qraft.bus.subjects import EVENTS_STREAM
from qraft.config import Settings
from qraft.engine.blocks import Cut, OpenBlock
from qraft.engine.counting import count_dead, count_published, count_step, count_stored, show_memory
from qraft.engine.hold import Halt
from qraft.engine.judge import Judge
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.engine.taps import Taps
from qraft.model import SELF, TICK, DeadLetter, Event, Feedback, Level, Pattern
from qraft.store import Block, RawRow, Store, StoreError, StoreUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

STEP_EVENTS = 256
"""Events a step takes at most: small enough that a pattern is on the bus soon, large enough that the overhead is nothing."""
IDLE_SECONDS = 1.0
MOMENT_SECONDS = 0.02
RETRY_FIRST, RETRY_MOST = 0.1, 2.0


class Lane:
    """The worker of one partition."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        reader: LaneReader,
        publisher: Publisher,
        recovery: Recovery,
        store: Store,
        meters: Meters,
        taps: Taps,
        notices: Notices,
        executor: Executor,
        monotonic: Callable[[], float],
    ) -> None:
        self._partition = partition
        self._settings = settings
        self._reader, self._publisher, self._recovery, self._store = reader, publisher, recovery, store
        self._meters, self._taps, self._notices = meters, taps, notices
        self._executor = executor
        self._monotonic = monotonic
        self._name = f"lane {partition}"
        self._judge = Judge(self._name, settings, meters, monotonic)
        self._level: Level = "full"
        self._open = OpenBlock()
        self._done = 0
        self._again_until = 0
        self._commit_queue: asyncio.Queue[Cut] = asyncio.Queue(1)
        self._committing = False
        self._batch: list[Event | Feedback] = []
        self._origins: list[Delivery] = []
        self._asked: list[asyncio.Future[None]] = []
        self._promised: list[asyncio.Future[None]] = []
        self._stopping = False
        self._new_settings: Settings | None = None
        self._halt: Halt | None = None

    async def run(self) -> None:
        """Works until :meth:`stop`; then commits what was processed and returns."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            committer = group.create_task(self._commit_all())
            await self._process_all()
            await self._commit_queue.join()
            committer.cancel()

    def stop(self) -> None:
        """Lets the lane end after what it has at hand."""
        self._stopping = True

    def lines(self) -> dict[str, dict[str, float]]:
        """The alert line of every detector of every source of this partition."""
        return self._judge.lines()

    def reconfigure(self, settings: Settings) -> None:
        """Takes new settings, between two blocks."""
        self._new_settings = settings

    def hold(self, halt: Halt) -> None:
        """Brings the lane to a barrier, where it stands until ``halt`` is over."""
        self._halt = halt

    async def barrier(self) -> None:
        """Returns once all that was processed before this call is stored and acknowledged."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(done)
        await done

    async def _recover(self) -> None:
        snapshot = await self._persist("NATS", lambda: self._recovery.load_snapshot(self._partition))
        if snapshot is not None:
            await self._compute(self._judge.restore, snapshot.state)
            self._show(self._judge.lines())
            self._meters.snapshot(self._partition, len(snapshot.state))
            self._done = snapshot.last
        under_way = await self._persist("NATS", lambda: self._recovery.load_barrier(self._partition))
        if under_way is not None and under_way.last > self._done:
            self._again_until, self._level = under_way.last, under_way.level
        self._reader.start_after(self._done)

    async def _process_all(self) -> None:
        while not self._stopping:
            await self._stand()
            await self._take_settings()
            for delivery in await self._read():
                if self._again_until and delivery.sequence > self._again_until:
                    await self._cut()  # what was noted before the restart ends between two messages that are left
                await self._take_level()
                await self._take(delivery)
                if self._cut_due():
                    await self._cut()
            await self._step_rest()
            self._meters.pending[self._partition] = self._reader.pending
            if self._cut_due():
                await self._cut()
            self._answer_askers()
        await self._cut()

    async def _stand(self) -> None:
        if self._halt is None or self._again_until:
            return
        await self._cut()
        await self._commit_queue.join()
        halt, self._halt = self._halt, None
        await halt.stand()

    async def _take_settings(self) -> None:
        if self._new_settings is None or self._again_until:
            return
        await self._cut()
        self._settings, self._new_settings = self._new_settings, None
        await self._compute(self._judge.reconfigure, self._settings)
        self._show(self._judge.lines())

    async def _take_level(self) -> None:
        """A block is judged at one level, so that a restart, which knows the block's, judges it alike."""
        if self._level != self._meters.level and not self._again_until:
            await self._cut()
            self._level = self._meters.level

    async def _read(self) -> list[Delivery]:
        try:
            deliveries = await self._reader.next(self._time_left())
        except BusError as error:
            self._meters.wait(self._name, str(error))
            await asyncio.sleep(RETRY_FIRST if isinstance(error, BusUnavailable) else RETRY_MOST)
            return []
        self._meters.wait(self._name, "")
        if not deliveries:
            self._meters.behind_us[self._partition] = 0
        return deliveries

    def _time_left(self) -> float:
        if self._open.last <= self._done:
            return IDLE_SECONDS
        until_due = self._open.opened + self._settings.engine.barrier_seconds - self._monotonic()
        return min(IDLE_SECONDS, max(MOMENT_SECONDS, until_due))

    def _cut_due(self) -> bool:
        if self._open.last <= self._done:
            return False
        if self._again_until:
            return self._open.last >= self._again_until
        if self._open.rows + len(self._batch) >= self._settings.engine.barrier_rows:
            return True
        due = self._monotonic() - self._open.opened >= self._settings.engine.barrier_seconds
        return (due or bool(self._asked)) and not self._committing

    def _answer_askers(self) -> None:
        """Who asked for a barrier waits for the commit under way, if there is one."""
        if self._open.last <= self._done:
            self._promised += self._asked
            self._asked = []
            self._keep_promises()

    def _keep_promises(self) -> None:
        if not self._committing:
            for promise in self._promised:
                if not promise.done():
                    promise.set_result(None)
            self._promised = []

    async def _take(self, delivery: Delivery) -> None:
        arrived = delivery.arrived_us
        if not self._open.last:
            self._open.opened, self._open.first_us = self._monotonic(), arrived
            if not self._committing:
                self._meters.unstored_us[self._partition] = arrived
        for item in decode_message(delivery.subject, delivery.data, sequence=delivery.sequence, arrived_us=arrived):
            if isinstance(item, DeadLetter):
                self._bury(item)
                continue
            self._batch.append(item)
            self._origins.append(delivery)
            if len(self._batch) >= STEP_EVENTS:
                await self._step_rest()
        self._meters.behind_us[self._partition] = arrived
        self._open.last, self._open.arrived_us = delivery.sequence, arrived

    def _bury(self, letter: DeadLetter) -> None:
        self._open.dead.append(letter)
        if self._taps.open:
            self._taps.dead(letter)
        count_dead(self._meters, letter)
        if letter.stage == "bus":
            self._meters.preprocess.received += 1
            self._meters.preprocess.dropped["dead"] += 1

    async def _step_rest(self) -> None:
        batch, self._batch = self._batch, []
        origins, self._origins = self._origins, []
        if not batch:
            return
        result = await self._compute(self._judge.step, batch, self._level)
        if result.patterns:
            await self._publish(result.patterns, batch, origins)
        for notice in result.notices:
            self._notices.say(notice.source, notice.kind, notice.text)
        events = [
            (item, origin)
            for item, origin in zip(batch, origins, strict=True)
            if isinstance(item, Event) and item.type != TICK
        ]
        repeats = {id(event) for event in result.duplicates}
        block = self._open
        kept = [
            RawRow(event, self._partition, origin.sequence, origin.arrived_us)
            for event, origin in events
            if id(event) not in repeats
        ]
        block.raw += kept
        self._meters.store.depth += len(kept)
        block.clean += result.clean
        block.patterns += result.patterns
        block.feedback += result.feedback
        block.dead += result.dead
        block.cursors.update((e.source, str(e.meta["cursor"])) for e, _ in events if "cursor" in e.meta)
        count_step(self._meters, [(event, origin.arrived_us) for event, origin in events], result)
        self._show({event.source for event, _ in events} | {verdict.source for verdict in result.feedback})
        if self._taps.open:
            self._taps.step([event for event, _ in events], result)

    async def _publish(self, patterns: list[Pattern], batch: list[Event | Feedback], origins: list[Delivery]) -> None:
        meters, stage = self._meters, self._meters.publish
        stage.received += len(patterns)
        stage.depth += len(patterns)
        meters.publishing[self._partition] = self._monotonic()
        try:
            with meters.timed(stage):
                await self._publisher.patterns(patterns, lambda reason: meters.wait(self._name, reason))
        finally:
            stage.depth -= len(patterns)
            del meters.publishing[self._partition]
        pairs = zip(batch, origins, strict=True)
        arrived = [(item, origin.arrived_us) for item, origin in pairs if isinstance(item, Event)]
        count_published(meters, patterns, arrived, origins[-1].arrived_us)

    def _show(self, sources: Iterable[str]) -> None:
        """Brings what is shown of these sources' memory and alert lines up to date."""
        for name in sources:
            if name in self._meters.sources and name != SELF and (memory := self._judge.memory(name)) is not None:
                show_memory(self._meters, name, memory)
        self._meters.failures[self._partition] = self._judge.failures

    async def _cut(self) -> None:
        """Hands the open block to the committer; waits while the one before is still under way."""
        await self._step_rest()
        self._again_until = 0
        if self._open.last <= self._done:
            return
        block, self._open = self._open, OpenBlock()
        state = await self._compute(self._judge.snapshot)
        first = self._done + 1
        self._done = block.last
        self._committing = True
        await self._commit_queue.put(
            Cut(
                block=Block(
                    token=f"{EVENTS_STREAM}:{self._partition}:{first}-{block.last}",
                    raw=block.raw,
                    clean=block.clean,
                    patterns=block.patterns,
                    feedback=block.feedback,
                    dead=block.dead,
                    ingested_at=block.arrived_us,
                ),
                level=self._level,
                first=first,
                last=block.last,
                state=state,
                cursors=block.cursors,
            )
        )

    async def _commit_all(self) -> None:
        while True:
            cut = await self._commit_queue.get()
            await self._commit(cut)
            self._commit_queue.task_done()
            self._committing = not self._commit_queue.empty()
            self._meters.unstored_us[self._partition] = self._open.first_us
            self._keep_promises()

    async def _commit(self, cut: Cut) -> None:
        partition, recovery, meters = self._partition, self._recovery, self._meters
        rows, begun = len(cut.block.raw), self._monotonic()
        await self._persist("NATS", lambda: recovery.save_barrier(partition, Barrier(cut.first, cut.last, cut.level)))
        meters.store.received += rows
        with meters.timed(meters.store):
            await self._persist("ClickHouse", lambda: self._write(cut.block))
        await self._persist("NATS", lambda: recovery.save_snapshot(partition, Snapshot(cut.last, cut.state)))
        for source, cursor in cut.cursors.items():
            await self._persist("NATS", lambda s=source, c=cursor: recovery.save_cursor(s, c))  # type: ignore[misc]
        await self._persist("NATS", lambda: self._reader.acknowledge(cut.last))
        meters.store.sent += rows
        meters.store.depth -= rows
        meters.snapshot(partition, len(cut.state))
        meters.tally.observe("qraft_barrier_seconds", self._monotonic() - begun)
        meters.tally.observe("qraft_barrier_rows", rows)

    async def _write(self, block: Block) -> None:
        tally, begun = self._meters.tally, self._monotonic()
        await self._store.write(block)
        tally.observe("qraft_clickhouse_insert_seconds", self._monotonic() - begun)
        count_stored(tally, block)

    async def _persist(self, part: str, act: Callable[[], Awaitable[T]]) -> T:
        """Does what must be done before the lane may go on, as often as it takes, and says that it waits."""
        delay, waited = RETRY_FIRST, False
        while True:
            try:
                result = await act()
            except (BusError, StoreError) as error:
                if not waited or not isinstance(error, BusUnavailable | StoreUnavailable):
                    log.warning("%s waits for %s: %s", self._name, part, error)
                waited = True
                self._meters.tally.count("qraft_persist_retries_total", part)
                self._meters.wait(f"{self._name} {part}", f"waiting for {part}: {error}")
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_MOST)
            else:
                if waited:
                    log.info("%s goes on: %s is back", self._name, part)
                    self._meters.wait(f"{self._name} {part}", "")
                return result

    async def _compute(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs the pipeline off the event loop, so that heartbeats and status go on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(act, *args, **kwargs))
