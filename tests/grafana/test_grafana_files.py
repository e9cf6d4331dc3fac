"""The checked-in dashboards and pages follow from the code, and are whole."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from grafana.generate import ROOT, files
from grafana.reference import reference, sentences, words
from qraft.api.meters import API_METRICS
from qraft.metrics import CATALOGUE
from tests.grafana.expressions import dashboards, metrics_in, queries

BOARDS = dashboards()
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
SHOWN_ELSEWHERE = {
    "qraft_source_last_event_timestamp_seconds",
    "qraft_alerts_held",
    "qraft_alerts_messages_total",
    "qraft_alerts_delivery_seconds",
    "qraft_archive_last_success_timestamp_seconds",
    "qraft_config_reloads_total",
}
"""Metrics that need no panel: others tell the same at a glance, and these serve who looks closer."""


def panel_name(value: object) -> str:
    return f"{value['title']}" if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("path", "text"), files().items(), ids=lambda value: getattr(value, "name", ""))
def test_generated_files_are_current(path: Any, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is old: run python -m grafana.generate"


def test_nothing_else_stands_among_the_dashboards() -> None:
    assert {path.name for path in (ROOT / "grafana" / "dashboards").iterdir()} == {
        path.name for path in files() if path.parent.name == "dashboards"
    }


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_dashboard_has_its_place_and_its_links(board: dict[str, Any]) -> None:
    assert re.fullmatch(r"qraft-[a-z]+", board["uid"])
    assert board["title"].startswith("Qraft / ")
    assert board["description"]
    assert board["tags"] == ["qraft"]
    assert [(link["type"], link["tags"], link["includeVars"], link["keepTime"]) for link in board["links"]] == [
        ("dashboards", ["qraft"], True, True)
    ]
    variables = [one["name"] for one in board["templating"]["list"]]
    assert variables[:3] == ["datasource", "clickhouse", "engine"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_fill_the_grid_without_holes(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(24) for y in range(height)}


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=panel_name)
def test_a_panel_says_what_it_shows(board: str, panel: dict[str, Any]) -> None:
    assert panel["type"] in {"timeseries", "stat", "table", "bargauge", "state-timeline", "heatmap"}, "no deprecated kind"
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert panel["datasource"]["uid"] in {"${datasource}", "${clickhouse}"}
    letters = [target["refId"] for target in panel["targets"]]
    assert len(letters) == len(set(letters))
    if panel["type"] not in {"table", "heatmap"}:
        assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_dashboard_uses_the_variables_it_has_and_has_those_it_uses(board: dict[str, Any]) -> None:
    text = str([panel.get("targets") for panel in board["panels"]]) + str(board["templating"])
    used = {name for pair in re.findall(r"\$(?:\{(\w+)|([a-z]\w*))", text) for name in pair if name}
    has = {one["name"] for one in board["templating"]["list"]}
    assert used - has == set()
    assert has - used <= {"clickhouse"}


def test_every_query_asks_for_metrics_that_there_are_and_no_metric_is_forgotten() -> None:
    there = {spec.name for spec in (*CATALOGUE, *API_METRICS)}
    shown = {name for query in queries() if not query.sql for name in metrics_in(query.text)}
    assert shown - there == set()
    assert there - shown == SHOWN_ELSEWHERE - shown


def test_grafana_is_told_of_the_data_sources_and_the_folder() -> None:
    provisioning = ROOT / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "qraft.yml").read_text())["datasources"]
    kinds = {one["type"] for board in BOARDS.values() for one in _datasource_variables(board)}
    assert {source["type"] for source in sources} == kinds
    [provider] = yaml.safe_load((provisioning / "dashboards" / "qraft.yml").read_text())["providers"]
    assert provider["type"] == "file"


def _datasource_variables(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": one["query"]} for one in board["templating"]["list"] if one["type"] == "datasource"]


def test_no_sentence_of_the_reference_lacks_its_chinese() -> None:
    said = words("zh")
    assert [text for text in sentences() if text not in said] == []
    assert set(said) - set(sentences()) == set(), "the words of sentences that are gone"


def test_the_reference_names_every_metric_once() -> None:
    for language in ("en", "zh"):
        page = reference(language)
        for spec in (*CATALOGUE, *API_METRICS):
            assert page.count(f"| `{spec.name}` |") == 1
