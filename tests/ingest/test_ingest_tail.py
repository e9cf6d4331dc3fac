from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.ingest.base import NotConnected, SourceError
from qraft.ingest.file_names import Files
from qraft.ingest.file_standing import Standing
from qraft.ingest.file_track import SETTLE_POLLS
from qraft.ingest.rows import RowFormat
from qraft.ingest.tail import Follower
from qraft.model import DeadLetter, Event


class Reader:
    """Polls a tail and notes the values, the ids and the last cursor; can be killed and started again."""

    def __init__(self, path: Path, form: RowFormat) -> None:
        self.path, self.form = path, form
        self.values: list[str] = []
        self.ids: list[str] = []
        self.letters: list[DeadLetter] = []
        self.cursor: str | None = None
        self.tail = self.open()

    def open(self) -> Follower:
        start = Standing.parse(self.cursor) if self.cursor else None
        return Follower(Files(str(self.path)), lambda path, name: self.form, start)

    def poll(self, times: int = 1) -> bool:
        """Polls; whether the last poll brought anything, if only the end of a file."""
        found = None
        for _ in range(times):
            found = self.tail.poll()
            for row in found.block.rows if found is not None else []:
                if isinstance(row, Event):
                    self.values.append(row.payload["n"])
                    self.ids.append(row.event_id)
                    self.cursor = row.meta["cursor"]
                else:
                    self.letters.append(row)
        return found is not None

    def settle(self) -> None:
        """Until nothing has come for so long that every rotation is over."""
        quiet = 0
        while quiet < 2 * SETTLE_POLLS:
            quiet = 0 if self.poll() else quiet + 1

    def restart(self) -> None:
        self.tail.close()
        self.tail = self.open()


@contextmanager
def reader(path: Path) -> Iterator[Reader]:
    found = Reader(path, RowFormat("s", path.name, "csv"))
    try:
        yield found
    finally:
        found.tail.close()


class Log:
    """A program that writes numbered rows to a CSV file, each file with its header."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.clock = 1_700_000_000
        self.file = path.open("ab", buffering=0)
        self.file.write(b"n,x\n")

    def write(self, rows: int = 1) -> None:
        for _ in range(rows):
            self.file.write(f"{self.count},{'x' * (self.count % 7)}\n".encode())
            self.count += 1
        self.clock += 1
        os.utime(self.path, (self.clock, self.clock))

    def _shift(self) -> None:
        for number in range(30, 0, -1):
            for ending in ("", ".gz"):
                old = self.path.with_name(f"{self.path.name}.{number}{ending}")
                if old.exists():
                    old.rename(self.path.with_name(f"{self.path.name}.{number + 1}{ending}"))

    def rename(self) -> None:
        """app.csv becomes app.csv.1, that app.csv.2, and so on."""
        self._shift()
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        self.file.close()
        self.file = self.path.open("ab", buffering=0)
        self.file.write(b"n,x\n")

    def copy_and_truncate(self) -> None:
        self._shift()
        copy = self.path.with_name(f"{self.path.name}.1")
        shutil.copyfile(self.path, copy)
        os.utime(copy, (self.clock, self.clock))
        os.truncate(self.path, 0)
        self.file.write(b"n,x\n")

    def compress(self, number: int = 1) -> None:
        old = self.path.with_name(f"{self.path.name}.{number}")
        if old.exists():
            packed = old.with_name(old.name + ".gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            times = old.stat()
            os.utime(packed, ns=(times.st_atime_ns, times.st_mtime_ns))
            old.unlink()

    def expected(self) -> list[str]:
        return [str(number) for number in range(self.count)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    found = Log(tmp_path / "app.csv")
    yield found
    found.file.close()


def test_rows_come_as_they_are_written_and_a_partial_line_waits(log: Log) -> None:
    log.write(2)
    with reader(log.path) as seen:
        seen.poll()
        assert seen.values == ["0", "1"]
        log.file.write(b"2,par")
        seen.poll(20)
        assert seen.values == ["0", "1"]
        log.file.write(b"tial\n3,x")
        seen.poll(2)
        assert seen.values == ["0", "1", "2"]
        seen.restart()
        log.file.write(b"yz\n")
        seen.poll(2)
        assert seen.values == ["0", "1", "2", "3"]
        assert seen.letters == []


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    with pytest.raises(NotConnected, match="no such file yet"):
        Reader(tmp_path / "app.csv", RowFormat("s", "f", "csv"))


def test_a_gzip_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"a\n1\n"))
    with pytest.raises(SourceError, match='set mode = "replay"'):
        Reader(tmp_path / "a.csv", RowFormat("s", "f", "csv"))


def test_rename_reads_the_old_file_to_its_end_first(log: Log) -> None:
    log.write(3)
    with reader(log.path) as seen:
        seen.poll()
        log.write(2)
        late = log.path.open("ab", buffering=0)
        log.rename()
        log.write(2)
        seen.poll(2)
        late.write(b"late,x\nunfini")
        late.close()
        seen.settle()
        assert seen.values == ["0", "1", "2", "3", "4", "late", "5", "6"]
        assert [letter.original for letter in seen.letters] == [b"unfini"]
        assert len(set(seen.ids)) == 8


def test_truncation_without_a_copy_starts_anew_and_reports_the_cut_line(log: Log) -> None:
    log.write(3)
    log.file.write(b"3,ha")
    with reader(log.path) as seen:
        seen.poll()
        os.truncate(log.path, 0)
        log.file.write(b"n,x\n9,y\n")
        seen.settle()
        assert seen.values == ["0", "1", "2", "9"]
        assert [(letter.original, "cut short" in letter.reason) for letter in seen.letters] == [(b"3,ha", True)]


def test_a_file_written_anew_and_already_longer_is_noticed(log: Log) -> None:
    log.write(3)
    with reader(log.path) as seen:
        seen.poll()
        os.truncate(log.path, 0)
        log.file.write(b"n,x\n" + b"".join(b"new%d,y\n" % n for n in range(50)))
        seen.settle()
        assert seen.values == ["0", "1", "2", *(f"new{n}" for n in range(50))]


def test_copy_and_truncate_reads_what_was_missed_from_the_copy(log: Log) -> None:
    log.write(3)
    with reader(log.path) as seen:
        seen.poll()
        log.write(4)
        log.copy_and_truncate()
        log.write(2)
        seen.settle()
        assert seen.values == log.expected()
        assert len(set(seen.ids)) == 9


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("way", ["rename", "copy_and_truncate"])
def test_rotations_while_down_are_made_up_for(log: Log, way: str, packed: bool) -> None:
    log.write(3)
    getattr(log, way)()  # an older file, which was not read in this run and must not be
    start = log.count
    log.write(3)
    with reader(log.path) as seen:
        seen.poll()
        seen.tail.close()
        for _ in range(3):
            log.write(2)
            getattr(log, way)()
            if packed:
                log.compress()
        log.write(2)
        seen.restart()
        seen.settle()
        assert seen.values == log.expected()[start:]
        assert len(set(seen.ids)) == len(seen.ids)


def test_when_the_old_file_is_gone_the_new_one_is_read(log: Log) -> None:
    log.write(3)
    with reader(log.path) as seen:
        seen.poll()
        log.rename()
        log.path.with_name("app.csv.1").unlink()
        log.write(2)
        seen.restart()
        seen.settle()
        assert seen.values == log.expected()


def test_resuming_before_the_file_came_back(log: Log) -> None:
    log.write(2)
    with reader(log.path) as seen:
        seen.poll()
        log.write(2)
        moved = log.path.rename(log.path.with_name("app.csv.1"))
        seen.restart()
        seen.settle()
        assert seen.values == ["0", "1", "2", "3"]
        assert moved.exists()
        log.path.write_bytes(b"n,x\n4,x\n")
        seen.settle()
        assert seen.values == ["0", "1", "2", "3", "4"]


def test_truncated_and_renamed_between_two_looks(log: Log) -> None:
    log.write(1)
    with reader(log.path) as seen:
        seen.poll()
        os.truncate(log.path, 0)
        log.file.write(b"n,x\n8,y\n")
        log.rename()
        log.file.write(b"9,y\n")
        seen.settle()
        assert seen.values == ["0", "8", "9"]


steps = st.lists(
    st.one_of(
        st.integers(min_value=1, max_value=4).map(lambda n: ("write", n)),
        st.just(("poll", 1)),
        st.just(("settle", 1)),
        st.just(("restart", 1)),
        st.just(("rename", 1)),
        st.just(("truncate", 1)),
        st.just(("compress", 1)),
    ),
    max_size=14,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(steps=steps)
def test_every_row_comes_once_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    log = Log(tmp_path_factory.mktemp("log") / "app.csv")
    log.write(1)
    try:
        with reader(log.path) as seen:
            seen.poll()
            for step, count in steps:
                if step == "write":
                    log.write(count)
                elif step == "poll":
                    seen.poll(count)
                elif step == "settle":
                    seen.settle()
                elif step == "restart":
                    seen.restart()
                elif step == "compress":
                    log.compress()
                else:
                    log.write(1)  # a file without rows has no fingerprint, and nothing in it to miss
                    (log.rename if step == "rename" else log.copy_and_truncate)()
                    log.write(1)
            seen.settle()
            assert seen.values == log.expected()
            assert seen.letters == []
    finally:
        log.file.close()
