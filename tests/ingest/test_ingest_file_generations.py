"""Files that are rotated again before anything of the newest was read: every generation is found, and read in its order."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qraft.ingest.file_names import Files
from qraft.ingest.file_standing import Place, Standing
from qraft.ingest.file_track import RewrittenError, Track
from qraft.ingest.files import RowFile
from qraft.ingest.rows import RowFormat
from qraft.ingest.tail import Follower
from qraft.model import Event
from tests.ingest.rotating import Program


class Reader:
    """Follows a pattern; what it read counts once it is stored, and a kill loses what was not."""

    def __init__(self, pattern: str) -> None:
        self.stored: dict[str, str] = {}
        self.files: set[str] = set()
        self.waiting: list[tuple[Event, Standing]] = []
        self.cursor: str | None = None
        self._pattern = pattern
        self.tail = self._open()

    def _open(self) -> Follower:
        start = Standing.parse(self.cursor) if self.cursor is not None else None
        return Follower(
            Files(self._pattern),
            lambda path, name: RowFormat("s", str(path), "csv", name=name, file_field="file", called=name),
            start,
        )

    def poll(self) -> bool:
        found = self.tail.poll()
        for row in found.block.rows if found is not None else []:
            assert isinstance(row, Event), row
            assert found is not None
            place = found.place._replace(cursor=row.meta["cursor"])
            self.waiting.append((row, found.before.moved(place)))
        return found is not None

    @property
    def values(self) -> list[str]:
        """All that was read in this run or stored before, in order."""
        return [*self.stored.values(), *(event.payload["n"] for event, _ in self.waiting)]

    def settle(self) -> list[str]:
        """Until nothing comes any more; all values so far."""
        quiet = 0
        while quiet < 15:
            quiet = 0 if self.poll() else quiet + 1
        return self.values

    def store(self, count: int) -> None:
        """Stores the first rows that wait."""
        for event, standing in self.waiting[:count]:
            assert event.event_id not in self.stored
            self.stored[event.event_id] = event.payload["n"]
            self.files.add(event.payload["file"])
            self.cursor = str(standing)
        del self.waiting[:count]

    def kill(self, stored: int | None = None) -> None:
        """Stores so many of the rows that wait, all of them by default, forgets the others and begins again."""
        self.store(len(self.waiting) if stored is None else stored)
        self.waiting.clear()
        self.tail.close()
        self.tail = self._open()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Follows app.csv and app-N.csv, not app.csv.N."""
    made = Reader(f"{tmp_path}/*.csv")
    yield made
    made.tail.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return tmp_path / "app.csv"


@pytest.fixture
def write() -> Callable[..., None]:
    """Appends rows; a new file gets its header and a row that all have. Each writing is a second after the one before."""
    seconds = 1_700_000_000

    def append(path: Path, *values: object, head: str = "n,x\nsame,0\n") -> None:
        nonlocal seconds
        seconds += 1
        new = not path.exists() or not path.stat().st_size
        with path.open("a") as file:
            file.write((head if new else "") + "".join(f"{value},1\n" for value in values))
        os.utime(path, (seconds, seconds))

    return append


def rotate(path: Path, number: int) -> None:
    """To a name that the pattern does not mean."""
    path.rename(path.with_name(f"{path.name}.{number}"))


def copy_and_truncate(path: Path, number: int) -> None:
    shutil.copy2(path, path.with_name(f"{path.name}.{number}"))
    os.truncate(path, 0)


def test_the_order_holds_while_older_generations_turn_up(app: Path, reader: Reader, write: Callable[..., None]) -> None:
    write(app, "0")
    reader.settle()
    write(app, "1")
    for number in (1, 2):
        rotate(app, number)
        write(app, number + 1)
    reader.kill()
    while "1" not in reader.values:
        reader.poll()
    rotate(app, 3)
    write(app, "4")
    while "2" not in reader.values:
        reader.poll()
    rotate(app, 4)
    write(app, "5")
    expected = ["same", "0", "1", "same", "2", "same", "3", "same", "4", "same", "5"]
    assert reader.settle() == expected
    for stored in range(len(reader.waiting)):
        reader.kill(1)
        assert reader.settle() == expected, f"killed after {stored + 1}"


def test_a_newer_file_is_not_taken_for_the_copy_of_one_that_is_rotated_away(
    app: Path, reader: Reader, write: Callable[..., None]
) -> None:
    write(app)
    assert reader.settle() == ["same"]
    write(app, "1")
    copy_and_truncate(app, 1)
    write(app, "2", head="n,x\n")
    for number in (3, 4):
        app.rename(app.with_name(f"app-{number}.csv"))
        write(app, number)
    reader.kill()
    assert sorted(reader.settle()) == ["1", "2", "3", "4", "same", "same", "same"]


def test_what_came_after_a_renamed_file_is_not_read_before_it(app: Path, reader: Reader, write: Callable[..., None]) -> None:
    write(app, "0")
    reader.settle()
    write(app, "1")
    rotate(app, 1)
    write(app, "2")
    reader.kill()
    app.rename(app.with_name("app-2.csv"))
    write(app, "3")
    while "1" not in reader.values:
        reader.poll()
    for number in (3, 4):
        rotate(app, number)
        write(app, number + 1)
    assert reader.settle() == ["same", "0", "1", "same", "2", "same", "3", "same", "4", "same", "5"]


def test_a_file_that_is_truncated_and_rotated_before_its_turn(app: Path, reader: Reader, write: Callable[..., None]) -> None:
    write(app, "0")
    reader.settle()
    write(app, "1")
    rotate(app, 1)
    write(app, "2")
    reader.kill()
    while reader.tail.known_files > 1:
        reader.poll()
    copy_and_truncate(app, 2)
    write(app, "3", head="n,x\n")
    rotate(app, 3)
    write(app, "4")
    assert reader.settle() == ["same", "0", "1", "same", "2", "3", "same", "4"]


def test_a_generation_that_is_packed_once_it_was_read_is_not_read_again(
    app: Path, reader: Reader, write: Callable[..., None]
) -> None:
    write(app, "0")
    reader.settle()
    for number in (1, 2):
        rotate(app, number)
        write(app, number)
    reader.kill()
    while "1" not in reader.values:
        reader.poll()
    old = app.with_name("app.csv.2")
    packed = app.with_name("app.csv.2.gz")
    packed.write_bytes(gzip.compress(old.read_bytes()))
    shutil.copystat(old, packed)
    old.unlink()
    assert reader.settle() == ["same", "0", "same", "1", "same", "2"]


def test_a_file_that_is_written_anew_before_its_first_reading(app: Path, write: Callable[..., None]) -> None:
    write(app, "1")
    form = RowFormat("s", str(app), "csv")
    file = RowFile(app, form)
    track = Track(app, form, file.head())
    file.close()
    track.open()
    os.truncate(app, 0)
    write(app, *range(100), head="n,x\n")
    with pytest.raises(RewrittenError):
        track.read()
    track.close()


def test_a_place_of_a_version_before_has_no_time() -> None:
    new = Standing({"ab": Place("x.csv", 3, "ab:3:4:0f:x.csv", 1_700_000_000_123)}, 7)
    assert Standing.parse(str(new)) == new
    old = Standing({"ab": Place("x.csv", 3, "ab:3:4:0f:x.csv")}, 7)
    bare = str(Standing({"ab": ("x.csv", 3, "ab:3:4:0f:x.csv")}, 7))  # type: ignore[dict-item]  # as it was written then
    assert Standing.parse(bare) == old


@pytest.mark.parametrize("seed", [0, 50, 73, 95, 116, 138, 141, 207])
def test_nothing_is_lost_or_repeated_by_rotations_and_kills(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    program = Program(tmp_path, seed, hurry=6.0, packs=True)
    reader = Reader(f"{tmp_path}/**/*.csv")
    for _ in range(3):
        for _ in range(rng.randrange(40)):
            reader.poll()
            for _ in range(rng.randrange(4)):
                program.step()
        reader.store(rng.choice((len(reader.waiting), rng.randrange(len(reader.waiting) + 1))))
        program.saw(reader.files)
        for _ in range(rng.randrange(25)):
            program.step()
        reader.kill(0)
    values = reader.settle()
    reader.tail.close()
    assert program.rotations > 3
    assert sorted(int(n) for n in values if n != "first") == list(map(int, program.written))
    assert values.count("first") == program.first_rows
