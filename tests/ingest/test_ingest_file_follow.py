"""Several files under one pattern: found, followed each on its own, remembered by one cursor."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qraft.ingest import tail as tail_module
from qraft.ingest.file_cursor import Cursor
from qraft.ingest.file_names import Files, is_rotated, natural_key
from qraft.ingest.file_standing import Place, Standing
from qraft.ingest.rows import RowFormat
from qraft.ingest.tail import Follower
from qraft.model import DeadLetter, Event


class Reader:
    """Follows a pattern and notes each row's value and id; can be killed, and resumes from the last event's cursor."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.cursor: Standing | None = None
        self.values: list[str] = []
        self.ids: list[str] = []
        self.letters: list[DeadLetter] = []
        self.tail = self.open()

    def open(self) -> Follower:
        start = Standing.parse(str(self.cursor)) if self.cursor is not None else None
        return Follower(Files(self.pattern), lambda path, name: RowFormat("s", str(path), "csv", name=name), start)

    def restart(self) -> None:
        self.tail.close()
        self.tail = self.open()

    def poll(self) -> bool:
        found = self.tail.poll()
        for row in found.block.rows if found is not None else []:
            if isinstance(row, DeadLetter):
                self.letters.append(row)
                continue
            self.values.append(row.payload["n"])
            self.ids.append(row.event_id)
            assert found is not None
            self.cursor = found.before.moved(found.place._replace(cursor=row.meta["cursor"]))
        return found is not None

    def settle(self) -> list[str]:
        """Until nothing comes any more; the values since the last call."""
        begun, quiet = len(self.values), 0
        while quiet < 15:
            quiet = 0 if self.poll() else quiet + 1
        assert len(set(self.ids)) == len(self.ids)
        return self.values[begun:]


@pytest.fixture
def reader() -> Iterator[Callable[[str], Reader]]:
    made: list[Reader] = []

    def make(pattern: str) -> Reader:
        made.append(Reader(pattern))
        return made[-1]

    yield make
    for each in made:
        each.tail.close()


def write(path: Path, *values: object) -> None:
    """Appends rows; a new file gets its header and a first row that all have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists() or not path.stat().st_size
    with path.open("a") as file:
        file.write(("n,x\nsame,0\n" if new else "") + "".join(f"{value},1\n" for value in values))


def test_all_files_of_the_pattern_and_new_ones(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    write(tmp_path / "a" / "one.csv", "a1")
    write(tmp_path / "b" / "two.csv", "b1")
    write(tmp_path / "b" / "two.txt", "no")
    seen = reader(f"{tmp_path}/**/*.csv")
    assert sorted(seen.settle()) == ["a1", "b1", "same", "same"]
    write(tmp_path / "b" / "two.csv", "b2")
    write(tmp_path / "b" / "deep" / "three.csv", "c1")
    assert sorted(seen.settle()) == ["b2", "c1", "same"]
    seen.restart()
    assert seen.settle() == []
    write(tmp_path / "a" / "one.csv", "a2")
    assert seen.settle() == ["a2"]


def test_a_pattern_may_wait_for_its_first_file(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    seen = reader(f"{tmp_path}/*.csv")
    assert seen.settle() == []
    write(tmp_path / "a.csv", "1")
    assert seen.settle() == ["same", "1"]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("new", ["app-1.csv", "app.csv.1", "other.csv"])
def test_a_renamed_file_goes_on_where_it_is(
    tmp_path: Path, reader: Callable[[str], Reader], new: str, restart: bool
) -> None:
    path = tmp_path / "app.csv"
    write(path, "1")
    seen = reader(f"{tmp_path}/*.csv")
    seen.settle()
    write(path, "2")
    path.rename(tmp_path / new)
    write(path, "3")
    if restart:
        seen.restart()
    assert seen.settle() == ["2", "same", "3"]
    write(path, "4")
    seen.restart()
    assert seen.settle() == ["4"]


@pytest.mark.parametrize("restart", [False, True])
def test_copied_and_truncated(tmp_path: Path, reader: Callable[[str], Reader], restart: bool) -> None:
    path = tmp_path / "app.csv"
    write(path, "1")
    seen = reader(f"{tmp_path}/*.csv*")
    seen.settle()
    write(path, "2")
    shutil.copyfile(path, tmp_path / "app.csv.1")
    seen.poll()  # between copy and truncation, both are there
    os.truncate(path, 0)
    write(path, "3")
    if restart:
        seen.restart()
    seen.settle()
    assert sorted(seen.values) == ["1", "2", "3", "same", "same"]


def test_files_that_are_alike_are_two(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    write(tmp_path / "a.csv", "1")
    shutil.copyfile(tmp_path / "a.csv", tmp_path / "b.csv")
    seen = reader(f"{tmp_path}/*.csv")
    assert sorted(seen.settle()) == ["1", "1", "same", "same"]


def test_two_names_of_one_file_are_one(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    (tmp_path / "a.csv").write_text("n,x\n")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "c.csv").hardlink_to(tmp_path / "a.csv")
    seen = reader(f"{tmp_path}/*.csv")
    assert seen.settle() == []
    write(tmp_path / "a.csv", "1")
    assert seen.settle() == ["1"]


def test_a_file_made_anew_that_begins_as_the_one_before(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    path = tmp_path / "a.csv"
    for pattern in (str(path), f"{tmp_path}/*.csv"):
        path.unlink(missing_ok=True)
        write(path, "1")
        seen = reader(pattern)
        assert seen.settle() == ["same", "1"]
        path.unlink()
        seen.settle()
        write(path, "2")
        assert seen.settle() == ["same", "2"]
        os.truncate(path, 0)
        write(path, "3")
        assert seen.settle() == ["same", "3"]


def test_a_symbolic_link_that_is_swapped_is_a_rotation(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    link = tmp_path / "now.csv"
    write(tmp_path / "data" / "one.csv", "1")
    link.symlink_to("data/one.csv")
    seen = reader(str(link))
    seen.settle()
    for restart in (False, True):
        write(link, "more")
        write(tmp_path / "data" / f"two{restart}.csv", "2")
        (tmp_path / "new").symlink_to(f"data/two{restart}.csv")
        (tmp_path / "new").replace(link)
        if restart:
            seen.restart()
        assert seen.settle() == ["more", "same", "2"]


def test_few_files_are_open_at_once(
    tmp_path: Path, reader: Callable[[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "MOST_OPEN", 4)
    for number in range(20):
        write(tmp_path / f"{number}.csv", f"a{number}")
    seen = reader(f"{tmp_path}/*.csv")
    assert len(seen.settle()) == 40
    assert seen.tail.open_files <= 4
    for number in range(20):
        write(tmp_path / f"{number}.csv", f"b{number}")
    assert sorted(seen.settle()) == sorted(f"b{number}" for number in range(20))
    assert seen.tail.open_files <= 4


def test_old_files_fold_away_from_the_cursor(
    tmp_path: Path, reader: Callable[[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "MOST_LISTED", 5)
    monkeypatch.setattr(tail_module, "SETTLED_NS", 0)
    for number in range(30):
        write(tmp_path / f"{number}.csv", f"a{number}")
    seen = reader(f"{tmp_path}/*.csv")
    assert len(seen.settle()) == 60
    write(tmp_path / "3.csv", "b3")
    assert seen.settle() == ["b3"]
    assert seen.cursor is not None
    assert len(seen.cursor.places) <= 7
    seen.restart()
    assert seen.settle() == []
    write(tmp_path / "7.csv", "b7")
    write(tmp_path / "new.csv", "c")
    assert sorted(seen.settle()) == ["b7", "c", "same"]


def test_a_file_that_cannot_be_read_costs_no_other(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    write(tmp_path / "a.csv", "1")
    (tmp_path / "b.csv").write_bytes(gzip.compress(b"n,x\n1,1\n"))
    (tmp_path / "c.csv").mkdir()
    seen = reader(f"{tmp_path}/*.csv")
    assert seen.settle() == ["same", "1"]
    (said,) = seen.tail.complaints()
    assert "b.csv: a gzip file does not grow by lines" in said
    assert seen.tail.complaints() == []


def test_a_file_that_is_away_for_a_while_is_not_read_again(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    path = tmp_path / "logs" / "a.csv"
    write(path, "1")
    seen = reader(f"{tmp_path}/logs/*.csv")
    seen.settle()
    path.rename(tmp_path / "away.csv")
    seen.settle()
    (tmp_path / "away.csv").rename(path)
    assert seen.settle() == []
    write(path, "2")
    seen.restart()
    assert seen.settle() == ["2"]


def test_a_standing_comes_back_and_takes_little_room() -> None:
    places = {
        fingerprint: Place(f"host{n}/app.csv", 1000 + n, str(Cursor(fingerprint, 10 * n, n, "0f", f"host{n}/app.csv")))
        for n in range(500)
        for fingerprint in [f"{n:016x}-{n:010x}"]
    }
    standing = Standing(places, 17)
    assert Standing.parse(str(standing)) == standing
    assert len(str(standing)) < 16_000
    assert Standing.parse("ab:3:4:0f:x.csv").places == {"ab": Place("x.csv", 0, "ab:3:4:0f:x.csv")}
    for broken in ("", "all:", "all:!", "nonsense"):
        assert Standing.parse(broken) == Standing()


def test_names() -> None:
    assert sorted(["b-10", "b-9", "a", "b-9.1"], key=natural_key) == ["a", "b-9", "b-9.1", "b-10"]
    for name, rotated in [
        ("app.csv.1", True),
        ("app.csv.2.gz", True),
        ("app-20240101.csv", True),
        ("app.1.csv.zst", True),
        ("app.csv", False),
        ("app2.csv", False),
        ("app.csv.bak", False),
    ]:
        assert is_rotated(Path("/x") / name, Path("/x/app.csv")) is rotated
    assert not is_rotated(Path("/y/app.csv.1"), Path("/x/app.csv"))


def test_an_event_is_an_event(tmp_path: Path, reader: Callable[[str], Reader]) -> None:
    write(tmp_path / "a.csv", "1")
    follower = reader(f"{tmp_path}/*.csv").tail
    found = follower.poll()
    assert found is not None
    (first, _) = found.block.rows
    assert isinstance(first, Event)
    assert first.meta["cursor"].endswith(":a.csv")
    assert follower.known_files == 1
