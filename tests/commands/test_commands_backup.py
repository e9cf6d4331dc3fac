"""The form of a backup: whole or not there, every damage named; what `qraft backup` and `qraft restore` refuse."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

import qraft
from qraft import cli
from qraft.bus.backup import StreamCopy
from qraft.commands.backup_file import BackupReader, BackupWriter
from qraft.commands.backup_manifest import FORMAT, MANIFEST, BackupError, Manifest
from qraft.commands.backup_restore import check_fit
from qraft.config import Settings
from qraft.store.backup import TableCopy
from qraft.store.schema import migrations

FORMS = ("folder", "file.tar", "file.tar.zst")
FILES = {
    "nats/QRAFT_EVENTS/000001": os.urandom(3000),
    "nats/QRAFT_EVENTS/000002": b"",
    "config/in-force.toml": b"[engine]\n",
    "data/unsent/0001.json": b"{}",
    "clickhouse/raw_events/000001.native.zst": os.urandom(200_000),
}


def manifest(**changes: object) -> Manifest:
    whole = Manifest(
        format=FORMAT,
        id="0" * 32,
        made="2026-11-22T10:00:00.000000Z",
        qraft=qraft.__version__,
        nats="2.15.1",
        clickhouse="26.5.1.1",
        schema=migrations()[-1][0],
        database="qraft",
        engine="main",
        held_seconds=0.25,
        streams=[
            StreamCopy(
                name="QRAFT_EVENTS",
                identity="1",
                config={"subject_transform": {"dest": "qraft.lane.{{partition(16,2)}}.x"}},
                state={"messages": 3, "last_seq": 9},
            )
        ],
        tables=[TableCopy(name="raw_events", create="", columns=["event_id"], rows=7)],
        files=[],
    )
    return msgspec.structs.replace(whole, **changes)


def write(path: Path, *, replace: bool = False, **changes: object) -> Path:
    with BackupWriter(path, replace=replace) as writer:
        for name, data in FILES.items():
            writer.add(name, data)
        writer.finish(manifest(**changes))
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["qraft", *map(str, arguments)])
    return cli.main()


@pytest.fixture(params=FORMS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def test_what_is_written_is_read_again_and_only_its_owner_may(path: Path) -> None:
    write(path)
    read = BackupReader(path).check()
    assert read.streams == manifest().streams
    assert {note.name: note.size for note in read.files} == {name: len(data) for name, data in FILES.items()}
    assert {name: data for name, data in BackupReader(path).files() if name != MANIFEST} == FILES
    for file in [path, *path.rglob("*")]:
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "nothing is left beside it"


def test_what_was_not_finished_is_not_there(path: Path) -> None:
    def broken() -> None:
        with BackupWriter(path, replace=False) as writer:
            writer.add("nats/QRAFT_EVENTS/000001", b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(path.parent.iterdir()) == []


def test_a_backup_is_replaced_on_demand_and_only_once_the_new_one_is_whole(path: Path) -> None:
    write(path, engine="first")
    with pytest.raises(BackupError, match="--replace"):
        BackupWriter(path, replace=False)
    with BackupWriter(path, replace=True) as writer:
        writer.add("nats/QRAFT_EVENTS/000001", b"x")
    assert BackupReader(path).check().engine == "first"
    draft = path.with_name(f".{path.name}.part")  # as a backup that was killed leaves it
    draft.mkdir()
    (draft / "half").write_bytes(b"x")
    write(path, replace=True, engine="second")
    assert BackupReader(path).check().engine == "second"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_no_backup_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "photo.jpg").write_bytes(b"x")
    (tmp_path / "file.tar").write_bytes(b"a letter")
    for name in ("folder", "file.tar"):
        with pytest.raises(BackupError, match="is no backup"):
            BackupWriter(tmp_path / name, replace=True)
    assert (tmp_path / "file.tar").read_bytes() == b"a letter"
    assert (tmp_path / "folder" / "photo.jpg").exists()


def test_a_damaged_file_of_a_folder_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "folder")
    file = path / "clickhouse/raw_events/000001.native.zst"
    whole = file.read_bytes()
    file.write_bytes(whole[:100_000] + bytes([whole[100_000] ^ 1]) + whole[100_001:])
    with pytest.raises(BackupError, match=r"000001\.native\.zst is not what was written"):
        BackupReader(path).check()
    file.unlink()
    with pytest.raises(BackupError, match=r"000001\.native\.zst is missing"):
        BackupReader(path).check()
    file.write_bytes(whole)
    (path / "data" / "more").write_bytes(b"x")
    with pytest.raises(BackupError, match="data/more does not belong"):
        BackupReader(path).check()


def test_a_damaged_byte_of_a_tar_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "file.tar")
    whole = path.read_bytes()
    at = whole.index(FILES["clickhouse/raw_events/000001.native.zst"]) + 7
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(BackupError, match=r"clickhouse/raw_events/000001\.native\.zst is not what was written"):
        BackupReader(path).check()


@pytest.mark.parametrize("form", ["file.tar", "file.tar.zst"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_cut_file_is_no_backup(tmp_path: Path, form: str, share: float) -> None:
    path = write(tmp_path / form)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BackupError, match=r"damaged|no whole backup|no backup"):
        BackupReader(path).check()


def test_a_damaged_manifest_is_no_manifest(tmp_path: Path) -> None:
    path = write(tmp_path / "folder")
    text = (path / MANIFEST).read_text()
    (path / MANIFEST).write_text(text.replace('"rows": 7', '"rows": 8'))
    with pytest.raises(BackupError, match=r"manifest\.json is not what was written"):
        BackupReader(path).check()
    (path / MANIFEST).write_text(text[: len(text) // 2])
    with pytest.raises(BackupError, match=r"damaged: manifest\.json"):
        BackupReader(path).check()
    (path / MANIFEST).unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        BackupReader(path).check()


def test_a_backup_of_a_newer_form_is_refused_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "folder")
    (path / MANIFEST).write_text(json.dumps({"format": FORMAT + 1, "wonders": True}))
    with pytest.raises(BackupError, match=f"newer Qraft .format {FORMAT + 1}"):
        BackupReader(path).check()


def test_names_that_lead_elsewhere_do_no_harm(tmp_path: Path) -> None:
    """A tar that somebody made by hand, with a right digest even."""
    from qraft.commands.backup_make import Place
    from qraft.commands.backup_restore import _put

    place = Place(Settings(), None, tmp_path / "data")
    for name in ("data/../../evil", "data/unsent/../../../evil", "data/other", "data", "evil", "/evil"):
        assert _put(name, b"x", place), name
    assert not list(tmp_path.rglob("*evil*"))
    assert _put("data/filters.toml", b"x", place) == []
    assert (tmp_path / "data" / "filters.toml").read_bytes() == b"x"
    assert "before-restore" in _put("data/filters.toml", b"y", place)[0]


def test_a_newer_schema_and_other_partitions_are_refused() -> None:
    check_fit(manifest(), Settings())
    with pytest.raises(BackupError, match="restore it with the newer one"):
        check_fit(manifest(schema=migrations()[-1][0] + 1), Settings())
    fewer = Settings().model_copy(update={"engine": Settings().engine.model_copy(update={"partitions": 4})})
    with pytest.raises(BackupError, match=r"16 partitions; set engine\.partitions to that, not 4"):
        check_fit(manifest(), fewer)


def test_verify_says_what_a_backup_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(path)
    assert run(monkeypatch, "backup", path, "--verify") == 0
    said = capsys.readouterr().out
    assert "is whole" in said
    assert "7 rows, 3 messages" in said
    assert run(monkeypatch, "backup", path, "--verify", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rows"], summary["messages"], summary["held_seconds"]) == ({"raw_events": 7}, {"QRAFT_EVENTS": 3}, 0.25)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backup", "{tmp}/none", "--verify"], "{tmp}/none does not exist"),
        (["restore", "{tmp}/none"], "{tmp}/none does not exist"),
        (["backup", "{tmp}/b.tar", "--data-dir", "{tmp}/d"], "there is no instance under {tmp}/d; name its data directory"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *(part.format(tmp=tmp_path) for part in arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"qraft: {said.format(tmp=tmp_path)}")
    assert len(error.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "b.tar", tmp_path / "file" / "b", tmp_path / "none" / "b"):
        with pytest.raises(BackupError, match=f"{path} cannot be written: No"):
            BackupWriter(path, replace=False)


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_the_old_backup_and_no_half_one(tmp_path: Path, form: str) -> None:
    """The limit of a file's size stands for the disk's: writing fails in the midst in the same way."""
    path = write(tmp_path / form, engine="old")
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from qraft.commands.backup_file import BackupError, BackupWriter\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "import os\n"
        "try:\n"
        "    with BackupWriter(Path(sys.argv[1]), replace=True) as writer:\n"
        "        for number in range(10):\n"
        "            writer.add(f'nats/S/{number}', os.urandom(1_500_000))\n"
        "except BackupError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == f"{path} cannot be written: File too large\n", done.stderr
    assert BackupReader(path).check().engine == "old"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_any_tar_program_reads_it(tmp_path: Path) -> None:
    with tarfile.open(write(tmp_path / "file.tar")) as tar:
        assert tar.getnames() == [*FILES, MANIFEST], "the manifest comes last"
        content = tar.extractfile(MANIFEST)
        assert isinstance(content, io.BufferedReader)
        noted = json.load(content)["files"]
    assert {one["name"]: one["sha256"] for one in noted} == {
        name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()
    }
