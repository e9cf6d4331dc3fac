"""What is asked on the last line: recalled answers, completions, saved filters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tui.state.prompt import REMEMBERED, Prompt, Recall
from tui.state.saved import FILE, SavedError, SavedFilters


def test_up_goes_through_what_was_answered_and_down_comes_back_to_what_was_typed() -> None:
    recall = Recall()
    for text in ("one", "two", " ", "one", "three"):
        recall.note("filter", text)
    recall.note("time", "-15m")
    recall.begin("filter")
    assert [recall.step("filter", step, "draft") for step in (-1, -1, -1, -1, 1, 1, 1, 1)] == [
        "three", "one", "two", "two", "one", "three", "draft", "draft",
    ]  # fmt: skip
    recall.begin("time")
    assert recall.step("time", -1, "") == "-15m"
    recall.begin("nothing")
    assert recall.step("nothing", -1, "x") == "x"


@given(st.lists(st.text("ab ", max_size=3), max_size=120), st.lists(st.sampled_from([-1, 1]), max_size=30))
def test_answers_are_recalled_newest_first_each_once_and_not_without_end(answers: list[str], steps: list[int]) -> None:
    recall = Recall()
    for text in answers:
        recall.note("q", text)
    wanted = list(dict.fromkeys(text for text in reversed(answers) if text.strip()))[:REMEMBERED]
    recall.begin("q")
    at, text = 0, "draft"
    for step in steps:
        text = recall.step("q", step, text)
        at = min(len(wanted), max(0, at - step))
        assert text == (wanted[at - 1] if at else "draft")


def test_tab_goes_round_the_completions_and_begins_anew_on_other_text() -> None:
    recall = Recall()
    recall.begin("q")
    first = recall.complete("k", ["kind:", "known"])
    second = recall.complete(first, ["kind:drift"])
    assert (first, second, recall.complete(second, [])) == ("kind:", "known", "kind:")
    assert recall.complete("kind:d", ["kind:drift"]) == "kind:drift"
    assert recall.complete("zzz", []) == "zzz"
    recall.begin("q")
    assert recall.complete("kind:drift", ["other"]) == "other", "another question knows nothing of the one before"


def test_a_question_need_say_nothing_beside_the_text() -> None:
    prompt = Prompt("note", lambda text: "")
    prompt.change("x")
    prompt.cancel()
    assert (prompt.remark("x"), list(prompt.complete("x")), prompt.submit("x")) == (("", False), [], "")


def test_filters_are_kept_in_a_file_one_may_edit(tmp_path: Path) -> None:
    saved = SavedFilters(tmp_path / "deep" / "down")
    assert (saved.load(), saved.names()) == ({}, [])
    saved.keep("drifts", "kind:drift score>.7")
    saved.keep("a name", '/"quoted"|back\\slash/')
    assert SavedFilters(tmp_path / "deep" / "down").load() == {
        "drifts": "kind:drift score>.7",
        "a name": '/"quoted"|back\\slash/',
    }
    assert saved.names() == ["a name", "drifts"]
    saved.keep("drifts", "")
    saved.keep("never there", "")
    assert saved.names() == ["a name"]
    saved.path.write_text('mine = "src:host"\nnumber = 5\n', encoding="utf-8")
    assert saved.load() == {"mine": "src:host"}
    assert [p.name for p in saved.path.parent.iterdir()] == [FILE], "no drafts are left"


@pytest.mark.parametrize("content", [b"drifts = kind:drift", b"\xff\xfe\x00"])
def test_a_broken_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    saved = SavedFilters(tmp_path)
    saved.path.write_bytes(content)
    for work in (saved.load, lambda: saved.keep("x", "y")):
        with pytest.raises(SavedError) as caught:
            work()
        assert str(caught.value).startswith(f"{saved.path}: ")
        assert "\n" not in str(caught.value)
    assert saved.names() == []
    assert saved.path.read_bytes() == content


def test_a_filter_needs_a_name_and_a_place(tmp_path: Path) -> None:
    with pytest.raises(SavedError, match="needs a name"):
        SavedFilters(tmp_path).keep("", "src:host")
    (tmp_path / "file").write_text("in the way")
    saved = SavedFilters(tmp_path / "file" / "below")
    with pytest.raises(SavedError, match="below"):
        saved.keep("name", "src:host")


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=20), max_size=5))
def test_any_name_and_any_filter_come_back(tmp_path_factory: pytest.TempPathFactory, known: dict[str, str]) -> None:
    saved = SavedFilters(tmp_path_factory.mktemp("saved"))
    for name, text in known.items():
        saved.keep(name, text)
    assert saved.load() == known
