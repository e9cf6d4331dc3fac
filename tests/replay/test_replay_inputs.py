import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from qraft.config.base import SOURCE_NAME
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import find_inputs


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("t,v\n1,2\n")


def test_a_folder_gives_its_files_with_their_paths(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make(
        data,
        "b.csv",
        "a/x.ndjson",
        "a/y.jsonl.gz",
        "a/deep.er/z.CSV",
        "notes.txt",
        ".hidden.csv",
        ".git/h.csv",
        "a/_.csv.bak",
    )
    found = find_inputs([data], tmp_path / "out")
    assert [(i.name, i.source, i.scores) for i in found] == [
        ("a/deep.er/z.CSV", "a-deep-er-z", "a/deep.er/z.CSV"),
        ("a/x.ndjson", "a-x", "a/x.csv"),
        ("a/y.jsonl.gz", "a-y", "a/y.csv"),
        ("b.csv", "b", "b.csv"),
    ]
    assert {i.size for i in found} == {8}


def test_a_named_file_lands_under_its_own_name(tmp_path: Path) -> None:
    make(tmp_path, "deep/in/here.csv", "deep/other.csv")
    found = find_inputs([tmp_path / "deep/other.csv", tmp_path / "deep/in/here.csv"], tmp_path / "out")
    assert [(i.name, i.source, i.scores) for i in found] == [
        ("other.csv", "other", "other.csv"),
        ("here.csv", "here", "here.csv"),
    ]


def test_the_size_of_a_gzip_file_is_that_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"t,v\n" + b"1,2\n" * 5000))
    (tmp_path / "b.csv.gz").write_bytes(b"no")
    assert [i.size for i in find_inputs([tmp_path], tmp_path / "out")] == [20_004, 2]


def test_names_stay_unique(tmp_path: Path) -> None:
    make(tmp_path / "d", "a.csv", "a.ndjson", "a-b.csv", "a/b.csv", "a.b.csv", f"{'long' * 20}1.csv", f"{'long' * 20}2.csv")
    found = find_inputs([tmp_path / "d"], tmp_path / "out")
    assert len({i.source for i in found}) == len({i.scores for i in found}) == 7
    assert all(re.match(SOURCE_NAME, i.source) for i in found)
    assert {i.name: i.scores for i in found}["a.ndjson"] == "a.ndjson.csv"
    again = find_inputs([tmp_path / "d"], tmp_path / "out")
    assert found == again


def test_a_file_given_twice_counts_once(tmp_path: Path) -> None:
    make(tmp_path / "d", "a.csv")
    (tmp_path / "d" / "link.csv").symlink_to(tmp_path / "d" / "a.csv")
    assert len(find_inputs([tmp_path / "d", tmp_path / "d" / "a.csv"], tmp_path / "out")) == 1


def test_earlier_results_are_no_input(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "out/a.csv", "out/patterns.jsonl")
    assert [i.name for i in find_inputs([tmp_path], tmp_path / "out")] == ["a.csv"]


@pytest.mark.parametrize(
    ("given", "out", "said"),
    [
        (["gone.csv"], "out", r"gone\.csv: no such file or folder$"),
        (
            ["empty"],
            "out",
            r"empty: no file below it ends in \.csv, \.tsv, \.ndjson or \.jsonl \(\.gz or \.zst may follow\)$",
        ),
        (["d/table.xlsx"], "out", r"table\.xlsx: its name does not say its format; expected \.csv"),
        (["d"], "d", r"d is both an input and --out; choose another --out$"),
        (["d/a.csv"], "d", r"d/a\.csv is an input and would be overwritten; choose another --out$"),
        (["d", "e"], "out", r"e/a\.csv and .*d/a\.csv would both be written to .*out/a\.csv; replay them into two folders"),
    ],
)
def test_mistakes_are_one_plain_sentence(tmp_path: Path, given: list[str], out: str, said: str) -> None:
    make(tmp_path, "d/a.csv", "d/table.xlsx", "e/a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReplayError, match=said) as caught:
        find_inputs([tmp_path / name for name in given], tmp_path / out)
    assert "\n" not in str(caught.value)


names = st.text(alphabet="ab.-_ ü/", min_size=1, max_size=80).map(
    lambda t: "/".join(p.strip(". ") or "x" for p in t.split("/"))
)


@given(st.lists(names, min_size=1, max_size=8, unique=True))
def test_any_names_give_valid_unique_sources(tmp_path_factory: pytest.TempPathFactory, given_names: list[str]) -> None:
    folder = tmp_path_factory.mktemp("names")
    make(folder, *(f"{name}.csv" for name in given_names))
    found = find_inputs([folder], folder / "out-of-the-way")
    assert len(found) == len(given_names)
    assert len({i.source for i in found}) == len(found)
    assert all(re.match(SOURCE_NAME, i.source) for i in found)


def test_tab_separated_and_zstd_files_are_inputs(tmp_path: Path) -> None:
    make(tmp_path / "d", "a.tsv", "b.csv.zst", "c.ndjson.zst")
    assert [(i.source, i.scores) for i in find_inputs([tmp_path / "d"], tmp_path / "out")] == [
        ("a", "a.csv"),
        ("b", "b.csv"),
        ("c", "c.csv"),
    ]
