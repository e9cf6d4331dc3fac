"""The panels, queries and variables that the dashboards are made of: one look, one way to ask.

Grafana's own builders (grafana-foundation-sdk) make the JSON; this module says how ours look. A development tool: nothing in
``qraft`` imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard as board,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_model, dashboard as model, heatmap as heatmap_model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
TAG: Final = "qraft"
CLICKHOUSE_PLUGIN: Final = "grafana-clickhouse-datasource"
PROMETHEUS: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
CLICKHOUSE: Final = model.DataSourceRef(type_val=CLICKHOUSE_PLUGIN, uid="${clickhouse}")

ENGINE: Final = 'instance=~"$engine"'
"""Selects the engines that are looked at."""
SOURCE: Final = f'{ENGINE}, source=~"$source"'
"""Selects their sources that are looked at."""
DETECTOR: Final = f'{SOURCE}, detector=~"$detector"'
IN_SOURCES: Final = "match(source, '^(${source:regex})$')"
"""The same in SQL: "All" stands for .* there."""
IN_DETECTORS: Final = "match(detector, '^(${detector:regex})$')"

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from each value on, its colour; the first has none."""

P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, statetimeline.Panel, heatmap.Panel)
Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel | heatmap.Panel


@dataclass(frozen=True, slots=True)
class Ask:
    """A query of Prometheus; ``legend`` names its series."""

    expr: str
    legend: str = ""


class Sql(Builder[Dataquery]):
    """A query of ClickHouse: for a table, or for series over its column ``time``."""

    def __init__(self, sql: str, kind: Literal["table", "timeseries"] = "table") -> None:
        self._query = SqlQuery(sql, kind)

    def build(self) -> Dataquery:
        """The query as it is saved."""
        return self._query


class SqlQuery(Dataquery):
    """A query of ClickHouse as its Grafana plugin, version 4, saves it."""

    def __init__(self, sql: str, kind: Literal["table", "timeseries"]) -> None:
        self._sql, self._kind = sql, kind

    def to_json(self) -> dict[str, object]:
        """As the plugin saves it."""
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": 1 if self._kind == "table" else 0,
            "queryType": self._kind,
            "rawSql": self._sql,
            "refId": "A",
        }


def lines(
    title: str,
    text: str,
    *asks: Ask | Sql,
    unit: str = "short",
    width: int = 8,
    stacked: bool = False,
    steps: Steps = (),
    most: float | None = None,
) -> timeseries.Panel:
    """Series over time, with a table of their last and greatest values below; a line at each threshold."""
    panel = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.TABLE)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI).sort(common_model.SortOrder.DESCENDING)
        )
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .show_points(common_model.VisibilityMode.NEVER)
        .axis_soft_min(0)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    if steps:
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_model.GraphTresholdsStyleMode.DASHED)
        ).thresholds(_thresholds(steps))
    if most is not None:
        panel = panel.max(most)
    return _filled(panel, title, text, asks, unit=unit, width=width, height=8)


def number(
    title: str,
    text: str,
    ask: Ask | Sql,
    *,
    unit: str = "short",
    steps: Steps = ((None, GREEN),),
    width: int = 4,
    words: Mapping[str, tuple[str, str]] | None = None,
    by_name: bool = False,
    decimals: float | None = None,
) -> stat.Panel:
    """One value in large type. ``words`` gives values texts and colours; ``by_name`` shows the series' name instead."""
    panel = (
        stat.Panel()
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .text_mode(common_model.BigValueTextMode.NAME if by_name else common_model.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds(steps))
        .no_value("none")
    )
    if words is not None:
        panel = panel.mappings([_words(words)])
    if decimals is not None:
        panel = panel.decimals(decimals)
    return _filled(panel, title, text, (ask,), unit=unit, width=width, height=4, instant=True)


def bars(
    title: str,
    text: str,
    ask: Ask | Sql,
    *,
    unit: str = "short",
    steps: Steps = ((None, BLUE),),
    width: int = 8,
    most: float | None = None,
    rows: bool = False,
) -> bargauge.Panel:
    """A bar for each series, or for each row of a table (``rows``)."""
    reduce = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = (
        bargauge.Panel()
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .reduce_options(reduce.values(True) if rows else reduce)
        .thresholds(_thresholds(steps))
        .min(0)
    )
    if most is not None:
        panel = panel.max(most)
    return _filled(panel, title, text, (ask,), unit=unit, width=width, height=8, instant=True)


def grid(
    title: str,
    text: str,
    *asks: Ask | Sql,
    width: int = 24,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    height: int = 9,
) -> table.Panel:
    """A table. Several queries of Prometheus are joined by their labels.

    Args:
        title: of the panel.
        text: its description.
        asks: one query of ClickHouse, or some of Prometheus.
        width: of 24 columns.
        columns: new names by the names of the fields; those of Prometheus' values are ``Value #A`` and so on. Fields of
            Prometheus that are not named here are left out.
        units: of columns, by their new names.
        height: in rows of the grid.
    """
    panel = table.Panel().cell_height(common_model.TableCellHeight.SM)
    for name, unit in (units or {}).items():
        panel = panel.override_by_name(name, [model.DynamicConfigValue(id_val="unit", value=unit)])
    if columns is not None:
        if len(asks) > 1:
            panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        panel = panel.with_transformation(
            model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(columns)}})
        ).with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={"indexByName": {name: at for at, name in enumerate(columns)}, "renameByName": dict(columns)},
            )
        )
    return _filled(panel, title, text, asks, unit="short", width=width, height=height, instant=True, as_table=True)


def states(title: str, text: str, ask: Ask, words: Mapping[str, tuple[str, str]], *, width: int = 12) -> statetimeline.Panel:
    """What state each series was in over time; ``words`` gives its values texts and colours."""
    panel = (
        statetimeline.Panel()
        .mappings([_words(words)])
        .merge_values(True)
        .show_value(common_model.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
        )
    )
    return _filled(panel, title, text, (ask,), unit="short", width=width, height=8)


def heat(title: str, text: str, metric: str, selector: str, *, unit: str, width: int = 12) -> heatmap.Panel:
    """How a histogram's values were spread over time."""
    ask = (
        prometheus.Dataquery()
        .expr(f"sum by (le) (increase({metric}_bucket{{{selector}}}[$__rate_interval]))")
        .format(PromQueryFormat.HEATMAP)
        .legend_format("{{le}}")
        .range()
        .ref_id("A")
    )
    return (
        heatmap.Panel()
        .title(title)
        .description(text)
        .datasource(PROMETHEUS)
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_gap(1)
        .show_legend()
        .span(width)
        .height(8)
        .with_target(ask)
    )


def quantiles(metric: str, selector: str, *shares: float) -> list[Ask]:
    """Queries of the quantiles of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket{{{selector}}}[$__rate_interval]))"
    return [Ask(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}") for share in shares]


def assemble(
    uid: str,
    title: str,
    text: str,
    rows: Sequence[tuple[str, Sequence[Panel]]],
    variables: Sequence[Builder[model.VariableModel]],
) -> board.Dashboard:
    """A dashboard of rows of panels, with links to the others, and the data sources and the engine as variables."""
    made = (
        board.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .editable()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(
            board.DashboardLink("Qraft")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(False)
            .include_vars(True)
            .keep_time(True)
        )
        .annotation(
            board.AnnotationQuery()
            .name("Engine started")
            .datasource(PROMETHEUS)
            .enable(True)
            .icon_color(BLUE)
            .expr(f"changes(qraft_engine_start_time_seconds{{{ENGINE}}}[$__interval]) > 0")
        )
    )
    for variable in (*_sources(), *variables):
        made = made.with_variable(variable)
    number_of = 0
    for name, panels in rows:
        number_of += 1
        made = made.with_row(board.Row(name).id(number_of))
        for panel in panels:
            number_of += 1
            made = made.with_panel(panel.id(number_of))
    return made


def label(name: str, title: str, query: str) -> board.QueryVariable:
    """A variable with the values of a label, of which all are chosen at first."""
    return (
        board.QueryVariable(name)
        .label(title)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": f"{name}-values"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(text="All", value="$__all", selected=True))
    )


SOURCES: Final = label("source", "Source", f"label_values(qraft_source_processed_total{{{ENGINE}}}, source)")
DETECTORS: Final = label("detector", "Detector", f"label_values(qraft_patterns_total{{{SOURCE}}}, detector)")
DATABASE: Final = board.TextBoxVariable("database").label("Database").default_value("qraft")


def _sources() -> tuple[Builder[model.VariableModel], ...]:
    return (
        board.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        board.DatasourceVariable("clickhouse").label("ClickHouse").type(CLICKHOUSE_PLUGIN),
        label("engine", "Engine", "label_values(qraft_build_info, instance)"),
    )


def _filled(
    panel: P,
    title: str,
    text: str,
    asks: Sequence[Ask | Sql],
    *,
    unit: str,
    width: int,
    height: int,
    instant: bool = False,
    as_table: bool = False,
) -> P:
    panel.title(title).description(text).unit(unit).span(width).height(height)
    panel.datasource(PROMETHEUS if isinstance(asks[0], Ask) else CLICKHOUSE)
    for letter, ask in zip("ABCDEFGHIJ", asks, strict=False):
        if isinstance(ask, Sql):
            panel.with_target(ask)
            continue
        query = prometheus.Dataquery().expr(ask.expr).legend_format(ask.legend).datasource(PROMETHEUS).ref_id(letter)
        query = query.instant() if instant else query.range()
        panel.with_target(query.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES))
    return panel


def _thresholds(steps: Steps) -> board.ThresholdsConfig:
    return (
        board.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=color) for value, color in steps])
    )


def _words(words: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    options = {
        value: model.ValueMappingResult(text=text, color=color, index=at)
        for at, (value, (text, color)) in enumerate(words.items())
    }
    return model.ValueMap(options=options)
