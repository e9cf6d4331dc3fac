from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from qraft.model import Feedback, iso_from_us
from tui.state.journal import Journal, JournalError

NOW = 1_800_000_000_000_000


def feedback(number: int) -> Feedback:
    return Feedback(
        feedback_id=f"id-{number}",
        pattern_id="p",
        verdict="confirmed",
        timestamp=iso_from_us(NOW + number),
        source="host",
        user="anna ö",
    )


STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "reopen"]), st.integers(0, 8)), max_size=40)


@given(STEPS)
def test_it_holds_what_was_added_and_not_removed_in_order_whenever_it_is_opened(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "unsent")
        held: set[int] = set()
        for step, number in steps:
            if step == "add":
                journal.add(feedback(number))
                held.add(number)
            elif step == "remove":
                journal.remove(feedback(number))
                held.discard(number)
            else:
                journal = Journal(Path(folder) / "unsent")
            assert journal.unsent() == [feedback(n) for n in sorted(held)]


def test_opening_it_makes_nothing(tmp_path: Path) -> None:
    assert Journal(tmp_path / "unsent").unsent() == []
    assert list(tmp_path.iterdir()) == []


def test_a_draft_cut_short_and_a_stranger_file_are_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(feedback(1))
    (tmp_path / "0-x.1.draft").write_bytes(b'{"feedback_id": "ha')
    (tmp_path / "0-y.json").write_bytes(b"\xff{")
    assert journal.unsent() == [feedback(1)]
    assert (tmp_path / "0-y.json").exists()


def test_two_terminals_share_it(tmp_path: Path) -> None:
    one, two = Journal(tmp_path), Journal(tmp_path)
    one.add(feedback(1))
    two.add(feedback(2))
    assert one.unsent() == two.unsent() == [feedback(1), feedback(2)]
    two.remove(feedback(1))
    one.remove(feedback(1))
    assert one.unsent() == [feedback(2)]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "unsent").write_text("a file in the way")
    with pytest.raises(JournalError, match="unsent"):
        Journal(tmp_path / "unsent").add(feedback(1))
    assert [path.name for path in tmp_path.iterdir()] == ["unsent"]
