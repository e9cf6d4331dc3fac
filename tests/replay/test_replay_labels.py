"""Labels: what is read, which input they belong to, and what is said of mistakes."""

from pathlib import Path

import numpy as np
import pytest

from qraft.replay.errors import ReplayError
from qraft.replay.inputs import Input, find_inputs
from qraft.replay.labels import Window, match_labels, read_labels, rows_of

DAY = '["2026-01-01 00:00:00", "2026-01-02"]'


def inputs(folder: Path, *names: str) -> list[Input]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("time,a\n")
    return find_inputs([folder / name for name in names], folder / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "expected an object of files"),
        ('{"a.csv": 3}', '"a.csv": expected a list of windows'),
        ('{"a.csv": [["2026-01-01"]]}', r'"a\.csv": window 1: expected \["start", "end"\]'),
        (f'{{"a.csv": [{DAY}, ["2026-02-01", "soon"]]}}', "\"a.csv\": window 2: 'soon' is neither ISO 8601 nor a number"),
        ('{"a.csv": [["2026-01-02", "2026-01-01"]]}', '"a.csv": window 1: ends at 2026-01-01, before it begins'),
        (f'{{"a.csv": [{DAY}, ["2026-01-01T12:00:00", "2026-01-03"]]}}', '"a.csv": .* overlap; make one window of them'),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "windows.json"
    path.write_text(text)
    with pytest.raises(ReplayError, match=said) as caught:
        read_labels(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"windows\.json: cannot be read: No such file"):
        read_labels(tmp_path / "windows.json")


def test_windows_come_in_order_and_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_text(f'{{"a.csv": [["2026-01-05T00:00:00+01:00", "2026-01-06"], {DAY}], "b.csv": []}}')
    labels = read_labels(path)
    assert [window.text for window in labels["a.csv"]] == [
        "2026-01-01 00:00:00 to 2026-01-02",
        "2026-01-05T00:00:00+01:00 to 2026-01-06",
    ]
    assert labels["a.csv"][1].end_us - labels["a.csv"][1].start_us == 25 * 3_600_000_000
    assert labels["b.csv"] == ()


def test_a_key_is_any_end_of_the_path_and_the_longest_counts(tmp_path: Path) -> None:
    one, two = Window(0, 1, "one"), Window(2, 3, "two")
    files = inputs(tmp_path, "x/a.csv", "y/b.csv")
    assert match_labels(tmp_path, {"a.csv": (two,), "x/a.csv": (one,), "b.csv": (), "never.csv": ()}, files) == [(one,), ()]


def test_an_input_without_labels_is_named_with_the_nearest_key(tmp_path: Path) -> None:
    files = inputs(tmp_path, "pump.csv")
    with pytest.raises(ReplayError, match=r'no key names pump\.csv; did you mean "pmup\.csv"\?'):
        match_labels(tmp_path / "w.json", {"pmup.csv": ()}, files)


def test_a_key_that_fits_two_inputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "x").mkdir(parents=True)
    (tmp_path / "in" / "y").mkdir()
    for name in ("x", "y"):
        (tmp_path / "in" / name / "a.csv").write_text("time,a\n")
    files = find_inputs([tmp_path / "in"], tmp_path / "out")
    with pytest.raises(ReplayError, match=r'"a\.csv" fits .*x/a\.csv and .*y/a\.csv; write more of their paths'):
        match_labels(tmp_path / "w.json", {"a.csv": ()}, files)


def test_windows_by_row() -> None:
    times = np.array([0, 10, 20, 20, 30, 40], dtype=np.int64)
    assert rows_of([Window(10, 20, "")], times) == ((1, 2),)
    assert rows_of([Window(5, 25, "")], times) == ((1, 3),)
    assert rows_of([Window(35, 99, "")], times) == ((5, 5),)
    for window in (Window(41, 99, "late"), Window(21, 29, "between"), Window(-9, -1, "early")):
        with pytest.raises(ValueError, match=f"the window {window.text} holds no row"):
            rows_of([window], times)
