"""The guide for operators: each alert has its section, each claim of the failure table a test that is there."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.docs.pages import ROOT, anchors, text_of, twin

PAGE = "docs/operations.md"
BOTH = pytest.mark.parametrize("page", [PAGE, twin(PAGE)])


@BOTH
def test_every_alert_has_its_section_and_every_section_its_alert(page: str) -> None:
    groups = yaml.safe_load((ROOT / "grafana" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert alerts
    for rule in alerts:
        target, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert target.endswith(PAGE)
        assert anchor in anchors(page), rule["alert"]
    named = re.findall(r"^### (Qraft\w+)$", text_of(page), re.MULTILINE)
    assert named == [rule["alert"] for rule in alerts]


@BOTH
def test_every_section_of_an_alert_says_something(page: str) -> None:
    for found in re.finditer(r"^### (Qraft\w+)\n\n(.*?)\n\n", text_of(page), re.MULTILINE | re.DOTALL):
        assert len(found[2]) > (80 if page == PAGE else 30), found[1]


@BOTH
def test_every_test_that_is_named_is_there(page: str) -> None:
    text = text_of(page)
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(test_\w+))?", text)
    assert len(named) > 20
    for file, test in named:
        path = ROOT / file
        assert path.is_file(), file
        assert not test or re.search(rf"^(?:async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE), test


@BOTH
def test_every_row_of_the_failure_table_names_what_holds_it(page: str) -> None:
    table = text_of(page)[text_of(page).rindex("## ") :]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    held = [row.rstrip("| ").rpartition("|")[2] for row in rows]
    bare = [row for row, by in zip(rows, held, strict=True) if "tests/" not in by]
    assert len(bare) == 1  # a full disk: said in words that no test fills one
