"""The page on the architecture names what there is: subjects, streams, tables, control verbs, layers, files."""

from __future__ import annotations

import itertools
import re
import tomllib

import pytest

from qraft.bus import subjects
from tests.docs.pages import ROOT, text_of, twin

PAGE = "docs/architecture.md"
BOTH = pytest.mark.parametrize("page", [PAGE, twin(PAGE)])


@BOTH
def test_streams_and_subjects_bear_their_names(page: str) -> None:
    said = text_of(page)
    for name in (subjects.EVENTS_STREAM, subjects.PATTERNS_STREAM, subjects.SNAPSHOTS_BUCKET, subjects.STATE_BUCKET):
        assert f"`{name}`" in said
    for subject in (
        subjects.events_subject("<source>"),
        subjects.feedback_subject("<source>"),
        subjects.dead_subject("<source>"),
        subjects.pattern_subject("<type>", "<source>"),
        subjects.stats_subject("<engine>"),
        subjects.tap_subject("<stage>", "<source>"),
        f"{subjects.CONTROL_PREFIX}.<verb>",
    ):
        assert f"`{subject}`" in said


@BOTH
def test_every_table_has_its_row(page: str) -> None:
    files = sorted((ROOT / "schema" / "clickhouse").glob("0*.sql"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    tables = re.findall(r"^CREATE TABLE IF NOT EXISTS \{database\}\.(\w+)", text, re.MULTILINE)
    assert len(tables) > 4
    for table in tables:
        assert f"\n| `{table}` |" in text_of(page), table


@BOTH
def test_every_verb_of_the_control_service_is_named(page: str) -> None:
    source = (ROOT / "qraft" / "engine" / "engine.py").read_text(encoding="utf-8")
    verbs = re.findall(r'^ +"(\w+)": (?:\w|self\.)', source[source.index("def _verbs") :], re.MULTILINE)
    assert len(verbs) > 6
    row = next(line for line in text_of(page).splitlines() if line.startswith("| `qraft.ctl."))
    assert set(verbs) == set(re.findall(r"[a-z]+", row.split("|")[2])) - {"requests"}


@BOTH
def test_the_layers_are_those_that_are_held(page: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    rows = re.findall(r"^\| (\d) \| ([^|]*) \|", text_of(page), re.MULTILINE)
    number = {
        name: int(at)
        for at, cell in rows
        for name in (code.removeprefix("qraft.") for code in re.findall(r"`([\w.]+)`", cell))
    }
    for higher, lower in itertools.pairwise(layers):
        for above in higher.split(" | "):
            for below in lower.split(" | "):
                assert number[above.removeprefix("qraft.")] > number[below.removeprefix("qraft.")], (above, below)


@BOTH
def test_every_file_named_is_there(page: str) -> None:
    named = re.findall(r"`((?:qraft|schema|tests|tui)/[\w/.*<>]+)`", text_of(page))
    assert len(named) > 12
    for name in named:
        pattern = re.sub(r"<\w+>\*?", "*", name)
        assert list(ROOT.glob(pattern.rstrip("/"))), name
