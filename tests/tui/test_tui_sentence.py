"""A pattern's sentence in Chinese, composed from its values, and in English, as the engine said it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tui
from qraft.model import Contributor, Details, Pattern, iso_from_us
from tui.language import use
from tui.views.sentence import sentence


@pytest.fixture
def chinese() -> Iterator[None]:
    """Shows everything in Chinese."""
    use("zh")
    yield
    use("en")


def _details(**values: Any) -> Details:
    return Details(**{"prev_state": {}, "new_state": {}, "metrics": {}, "confidence": 0.9, **values})


FIELD = [
    Contributor(field="cpu", score=0.8, before=2.0, after=8.0),
    Contributor(field="load", score=0.5, before=1.0, after=2.0),
]
GAP = {"gap_seconds": 90.0}
SENTENCES: list[tuple[str, dict[str, Any], str]] = [
    ("mean", {"prev_state": {"spread": 0.5}}, "cpu：均值 2 → 8（12 倍标准差），已持续 40s"),
    ("trend", {}, "cpu：每行变化 2 → 8，已持续 40s"),
    ("variance", {}, "cpu：波动 2 → 8（4 倍），已持续 40s"),
    ("distribution", {}, "cpu：分布改变，2 → 8，已持续 40s"),
    ("predictability", {}, "cpu：更难预测，误差 2 → 8（4 倍），已持续 40s"),
    ("novelty", {"prev_state": {"low": 1, "high": 3.5}}, "cpu 为 8：走势前所未见；通常 1 至 3.5"),
    (
        "joint",
        {"prev_state": {"fields": {"cpu": {"spread": 0.5}}}, "new_state": {"n": 1}},
        "cpu 为 8，预期 2 ± 0.5；同时 load",
    ),
    ("joint", {"new_state": {"n": 12}}, "cpu：近 12 行均值 8，通常 2；同时 load"),
    (
        "silence",
        {"metrics": {"rows": 30.0}, "prev_state": {"share": 1.0}},
        "cpu：连续 30 行无值（另有 1 个字段）；此前 100 % 的行有值",
    ),
    (
        "silence",
        {"metrics": GAP, "prev_state": {"low_seconds": 1.0, "high_seconds": 1.2}},
        "已 1m30s 无数据；通常间隔 1.0s – 1.2s",
    ),
    ("return", {"metrics": GAP}, "中断 1m30s 后恢复"),
    ("return", {"metrics": {"rows": 30.0}}, "cpu：30 行之后恢复（另有 1 个字段）"),
    (
        "flat",
        {"metrics": {"rows": 30.0, "longest_rows": 4.0}, "new_state": {"value": 7.5}},
        "cpu：停在 7.5 已 30 行（另有 1 个字段）；此前最多 4 行",
    ),
    ("birth", {}, "出现新聚类：cpu 2 → 8"),
    ("death", {}, "聚类消失：cpu 2 → 8"),
    ("split", {}, "聚类分裂：cpu 2 → 8"),
    ("merge", {}, "聚类合并：cpu 2 → 8"),
    ("moved", {}, "聚类移动：cpu 2 → 8"),
    ("occupancy", {}, "聚类占比变化：cpu 2 → 8"),
    ("member", {"prev_state": {"peers": 9}, "new_state": {"left": ["a"], "n": 1}}, "a 偏离 9 个同类：cpu 2 → 8"),
    (
        "split",
        {"prev_state": {"peers": 9}, "new_state": {"left": ["a", "b"], "n": 2}},
        "a 等另 1 个 从 9 个同类中分出：cpu 2 → 8",
    ),
    ("birth", {"new_state": {"left": ["a"], "n": 1}}, "a 自成一类：cpu 2 → 8"),
    ("merge", {"new_state": {"left": ["a"], "n": 1}}, "a 转入另一类：cpu 2 → 8"),
    ("death", {"new_state": {"left": ["a"], "n": 1}}, "a 所在的类解体：cpu 2 → 8"),
]


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(("kind", "values", "said"), SENTENCES)
def test_a_sentence_is_composed_in_chinese(
    make_pattern: Callable[..., Pattern], now_us: int, kind: str, values: dict[str, Any], said: str
) -> None:
    pattern = make_pattern(kind=kind, contributors=FIELD, details=_details(**values), began=iso_from_us(now_us - 40_000_000))
    assert sentence(pattern) == said


def test_every_kind_of_the_detectors_has_a_sentence() -> None:
    source = (Path(tui.__file__).parent.parent / "qraft" / "detect" / "kinds.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'^    "(\w+)": "\w+",$', source, re.MULTILINE))
    assert {kind for kind, _, _ in SENTENCES} == kinds


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("kind", ["", "unheard-of", *sorted({kind for kind, _, _ in SENTENCES})])
def test_what_the_values_do_not_tell_is_shown_as_the_engine_said_it(make_pattern: Callable[..., Pattern], kind: str) -> None:
    bare = make_pattern(kind=kind, contributors=[], details=_details())
    assert sentence(bare) == "cpu_percent moved for good"
    odd = _details(prev_state={"fields": 3, "spread": "x", "low": None}, new_state={"left": 3, "n": "x"})
    assert sentence(make_pattern(kind=kind, details=odd, began="yesterday"))


@pytest.mark.parametrize("kind", ["mean", "silence", ""])
def test_in_english_the_engine_has_the_word(make_pattern: Callable[..., Pattern], kind: str) -> None:
    assert sentence(make_pattern(kind=kind)) == "cpu_percent moved for good"
