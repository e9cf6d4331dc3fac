"""Queries of the dashboards and rules as Prometheus and ClickHouse take them, without Grafana's variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"

_COMPARISON = re.compile(r"(?<![=!<>])(==|!=|<=|>=|<|>)(?![=~])(?=\s)")
_IN_BRACES = re.compile(r"\{[^{}]*\}")
_NAME = re.compile(r"(?<![\w:])qraft_[a-z0-9_]+")


@dataclass(frozen=True)
class Query:
    """One query of one panel, as the dashboard has it."""

    dashboard: str
    panel: str
    text: str
    sql: bool

    def __str__(self) -> str:
        return f"{self.dashboard}/{self.panel}"


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards that are checked in, by file name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}


def queries() -> list[Query]:
    """Every query of every panel, variable and annotation."""
    found = []
    for name, board in dashboards().items():
        found += [
            Query(name, panel["title"], target.get("rawSql") or target["expr"], "rawSql" in target)
            for panel in board["panels"]
            for target in panel.get("targets", ())
        ]
        for one in board["annotations"]["list"]:
            found.append(Query(name, one["name"], compared(one["expr"]), sql=False))
        for one in board["templating"]["list"]:
            if one["type"] == "query":
                values = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
                assert values is not None
                found.append(Query(name, one["name"], f"count by ({values[2]}) ({values[1]})", sql=False))
    return found


def metrics_in(expr: str) -> set[str]:
    """Names of Qraft's metrics in an expression, without the endings of histograms; recorded ones are left out."""
    names = set(_NAME.findall(_IN_BRACES.sub("", expr)))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def compared(expr: str) -> str:
    """The expression with every comparison made to say 0 or 1 in place of leaving series out.

    So an alert that does not fire returns data where, and only where, what it compares is there.
    """
    parts, end = [], 0
    for braces in _IN_BRACES.finditer(expr):  # matchers are no comparisons
        parts += [_COMPARISON.sub(r"\1 bool", expr[end : braces.start()]), braces.group()]
        end = braces.end()
    return "".join([*parts, _COMPARISON.sub(r"\1 bool", expr[end:])])


def without_variables(expr: str, *, window: str) -> str:
    """A dashboard's query with all of everything chosen; ``window`` is the time that is shown, such as "30s"."""
    for name, value in {
        "$__rate_interval": window,
        "$__interval": window,
        "$__range": window,
        "$engine": ".*",
        "$source": ".*",
        "$detector": ".*",
    }.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


def sql_of(text: str, *, database: str, begin: datetime, end: datetime) -> str:
    """A panel's SQL as the plugin sends it: the macros of its documentation written out, all of everything chosen."""
    first, last = (f"toDateTime({moment.astimezone(UTC).timestamp():.0f})" for moment in (begin, end))
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= {first} AND \1 <= {last}", text)
    text = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 10 second)", text)
    for name, value in {
        "${database}": database,
        "${source:regex}": ".*",
        "${detector:regex}": ".*",
    }.items():
        text = text.replace(name, value)
    assert "$_" not in text, text
    assert "${" not in text, text
    return text
