"""Archives what is stored before it is deleted, while the engine runs. Without an archive the tables' own TTL deletes.

One engine works on a stream, so this works alone. It works in a thread; what fails is tried again, ever less often, and
until then nothing is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import threading
from pathlib import Path
from typing import Any, Final

from qraft.config import Settings
from qraft.config.store import StoreSettings
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.model import iso_from_us
from qraft.store import Store, StoreError
from qraft.store.archive import Archive, Progress
from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_write import Stopped

LOOK_SECONDS: Final = 300.0
"""How often it is looked whether something is due."""
RETRY_FIRST: Final = 10.0
RETRY_MOST: Final = 600.0
COUNT_SECONDS: Final = 1.0
UNSETTLED_SECONDS: Final = 5.0
"""How soon it is looked again while the engine is behind, and so does not know which days are finished."""

log = logging.getLogger(__name__)


class Lifecycle:
    """Keeps the archive up to date and the database free of what is past its days."""

    def __init__(self, settings: Settings, store: Store, meters: Meters, notices: Notices, *, work: Path) -> None:
        """Nothing runs yet.

        Args:
            settings: says what is archived, where, and how long rows stay.
            store: the database.
            meters: tell the time, and up to when all is stored; take the counts.
            notices: the way to tell operators.
            work: folder of this engine alone, for what waits to be sorted; emptied before each use.
        """
        self._settings, self._partitions = settings.store, settings.engine.partitions
        self._store, self._meters, self._notices, self._work = store, meters, notices, work
        self._wake = asyncio.Event()
        self._wake.set()
        self._stop = threading.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._archive: Archive | None = None
        self._progress = Progress()
        self._rounds = self._failures = 0
        self._error = ""
        self._last_us = 0

    async def configure(self, settings: StoreSettings) -> None:
        """Takes new settings; returns when nothing works by the old ones any more."""
        self._settings = settings
        self._stop.set()
        self._wake.set()
        await self._idle.wait()

    async def report(self, asked: dict[str, Any]) -> dict[str, Any]:
        """How far the archive is; with ``{"run": true}`` it is looked at once what is due.

        ``round`` counts the looks that came to an end: once it is two more than before, what was due then is done or failed.
        """
        if not self._settings.archive.url:
            raise ValueError("no archive is configured; set store.archive.url, the engine takes it up at once")
        if asked.get("run"):
            self._wake.set()
        return {
            "url": self._settings.archive.url,
            "working": not self._idle.is_set(),
            "doing": self._progress.doing,
            "round": self._rounds,
            "rows": self._progress.rows,
            "days": self._progress.days,
            "deleted": self._progress.deleted,
            "pending_days": self._progress.pending,
            "error": self._error,
            "last_success": iso_from_us(self._last_us) if self._last_us else "",
        }

    async def run(self) -> None:
        """Works until it is cancelled."""
        delay = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    delay or None
                ):  # wait_for of Python 3.11 loses a cancellation that comes with a wake
                    await self._wake.wait()
            self._wake.clear()
            if not self._settings.archive.url:
                delay = 0.0
            elif (settled_us := self._settled_us()) is None:
                delay = UNSETTLED_SECONDS
            elif await self._look(settled_us):
                delay = LOOK_SECONDS
            else:
                delay = min(RETRY_FIRST * 2 ** (self._failures - 1), RETRY_MOST)

    def _settled_us(self) -> int | None:
        """All that arrived before this is stored; None while that is not known."""
        meters = self._meters
        if meters.waiting or not meters.ready or len(meters.behind_us) < self._partitions:
            return None
        return min((us for us in (*meters.behind_us.values(), *meters.unstored_us.values()) if us), default=meters.now_us())

    async def _look(self, settled_us: int) -> bool:
        """Does what is due; False where it failed."""
        self._stop.clear()
        self._idle.clear()
        if self._archive is None or self._archive.settings != self._settings:
            self._archive = self._open()
        work = asyncio.create_task(asyncio.to_thread(self._work_through, self._archive, settled_us), name="archive")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=COUNT_SECONDS)
                self._count()
            work.result()
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait({work})
            raise
        except Stopped:
            return True
        except (ArchiveError, StoreError, OSError) as error:
            self._failed(str(error))
            return False
        except Exception:
            log.exception("the archive failed by a fault of the program")
            self._failed("a fault of the program, see the log")
            return False
        else:
            self._went_well()
            return True
        finally:
            self._idle.set()
            self._rounds += 1

    def _open(self) -> Archive:
        link, stop, progress = self._store.link(), self._stop, self._progress
        return Archive(link, self._store.database, self._settings, work=self._work, stop=stop, progress=progress)

    def _work_through(self, archive: Archive, settled_us: int) -> None:
        shutil.rmtree(self._work, ignore_errors=True)  # what a crash left
        archive.run(self._meters.now_us(), settled_us)

    def _count(self) -> None:
        tally = self._meters.tally
        tally.set("qraft_archive_rows_total", value=self._progress.rows)
        tally.set("qraft_archive_pending_partitions", value=self._progress.pending)

    def _went_well(self) -> None:
        self._last_us = self._meters.now_us()
        self._meters.tally.set("qraft_archive_last_success_timestamp_seconds", value=self._last_us / 1e6)
        self._failures = 0
        if self._error:
            self._error = ""
            self._notices.say("", "archive", "the archive can be written again")

    def _failed(self, text: str) -> None:
        self._meters.tally.count("qraft_archive_failures_total")
        self._failures += 1
        if text != self._error:
            self._error = text
            self._notices.say("", "archive", f"{text}; nothing is deleted until the archive can be written")
