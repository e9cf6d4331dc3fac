"""Every screen in Chinese over data in Chinese: whatever Latin word is left on it was not translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from qraft.model import (
    Contributor,
    Details,
    EngineStats,
    Event,
    Feedback,
    Notice,
    Pattern,
    Scope,
    SourceStats,
    StageStats,
    iso_from_us,
)
from qraft.store import FieldSeen, RawEvent, SeriesPoint, StoredLabel, StoredPattern
from tests.tui.heard import Heard, cells, starts, stray
from tui import language
from tui.actions import ACTIONS
from tui.cost import CostNow
from tui.history.invented import invented
from tui.keymap import resolve
from tui.state.gaps import Gap
from tui.state.inbox import Batch, Delivery, LinkChange
from tui.state.labels import scopes
from tui.state.mutes import parse_ttl
from tui.state.pages import Page
from tui.state.session import Session
from tui.state.story import STRETCHES, Part, Reach
from tui.state.window import DAY_US, Window, WindowError, parse_window
from tui.views import episodes, feedback, gap, history, pipe, source_page, sources, status, times
from tui.views.episode import figure, head, labels, like, panes, raw, why
from tui.views.help import lines as help_lines
from tui.views.key_bar import key_bar
from tui.views.text import Line, plain, width_of
from tui.zone import zone

WIDTHS = (60, 80, 120, 200)
MINUTE = 60_000_000
NAMES = frozenset(
    [
        "Qraft",
        "NATS",
        "nats",
        "ClickHouse",
        "CLICKHOUSE",
        "clickhouse",
        "engine",
        "UTC",
        "CPU",
        "JSON",
        "SQL",
        "CSV",
        "Parquet",
        "FEEDBACK",
        "shell",
    ]
) | {"esc", "enter", "tab", "space", "pgup", "pgdn", "home", "end", "shift", "ctrl", "left", "right", "down", "config"}
"""Names, and keys by what stands on them."""
MakePattern = Callable[..., Pattern]


@pytest.fixture(autouse=True)
def chinese(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shows everything in Chinese, and fails where a text shown has none."""
    heard = Heard()
    monkeypatch.setattr(language, "_words", heard)
    yield
    assert not heard.missed


def looked_at(lines: Sequence[Line], width: int, known: frozenset[str] = NAMES) -> Sequence[Line]:
    """The lines, none of them too wide nor with a word in another language."""
    for line in lines:
        assert width_of(((plain(line).rstrip(), "text"),)) <= width, plain(line)
    assert not stray(map(plain, lines), known), "\n".join(map(plain, lines))
    return lines


def in_line(title: Line, rows: Sequence[Line], shift: int = 1) -> None:
    """The rows' columns begin where no word of the title stands; ``shift``: the cursor's column, which rows lack."""
    above = cells(title)
    for row in rows:
        assert all(above[at + shift - 1] == " " for at in starts(row) if 0 < at + shift <= len(above)), plain(row)


@pytest.fixture
def pattern(make_pattern: MakePattern, now_us: int) -> Pattern:
    """A drift of two fields, with all the numbers that detectors tell."""
    metrics = dict.fromkeys(why.NUMBERS, 4.0) | {"share": 0.4, "moved_share": 0.2}
    return make_pattern(
        source="主机",
        entity="北京",
        detector="漂移",
        summary="处理器均值上升",
        pattern_id="0001",
        event_id="42",
        began=iso_from_us(now_us - 40_000_000),
        contributors=[
            Contributor(field="处理器", score=0.8, before=2.0, after=8.0),
            Contributor(field="内存变化", score=0.2, before=3.0, after=3.1, origin="内存"),
        ],
        details=Details(prev_state={"n": 900.0}, new_state={"n": 30.0}, metrics=metrics, confidence=0.9),
    )


def said_on(pattern: Pattern, at_us: int) -> list[Feedback]:
    """Everything that can be said, by two people; the first is taken back."""
    out = []
    for i, verdict in enumerate(("confirmed", "false_positive", "expected", "new_normal", "note", "mute", "undo")):
        values: dict[str, Any] = {
            "user": "我" if i % 2 else "安",
            "source": pattern.source,
            "timestamp": iso_from_us(at_us + i),
        }
        if verdict == "mute":
            scope = Scope(source=pattern.source, type=pattern.type, detector="漂移")
            values |= {"scope": scope, "until": iso_from_us(at_us + 3600_000_000)}
        if verdict == "undo":
            values["undoes"] = "1-0"
        if verdict == "note":
            values["note"] = "夜间发布"
        out.append(Feedback(feedback_id=f"1-{i}", pattern_id=pattern.pattern_id, verdict=verdict, **values))  # type: ignore[arg-type]  # a Verdict
    return out


def source(name: str, state: Any, at_us: int, **values: Any) -> SourceStats:
    """A source with something in every count."""
    counts = dict.fromkeys(("read", "processed", "patterns", "late", "duplicates", "dead", "entities"), 12_345)
    return SourceStats(name, "行情", state, rate=4.0, last_event=iso_from_us(at_us), **{"warm": 1.0, **counts, **values})


@pytest.fixture
def full(session: Session, pattern: Pattern, make_pattern: MakePattern, now_us: int) -> Session:
    """A session with everything on it."""
    states = ("starting", "running", "external", "retrying", "paused", "finished", "failed")
    told = [source(f"源{i}", state, now_us, dropped=i % 2 * 9, missing=i % 3 * 7) for i, state in enumerate(states)]
    told.append(source("主机", "running", now_us, warm=0.4))
    notices = [Notice(iso_from_us(now_us), "主机", "延迟", "行情延迟"), Notice(iso_from_us(now_us), "", "负载", "降级")]
    stages = [StageStats("接入", 9_000, 8_000, 7, 6, 5.0, 4, 3.0, {"已满": 7}), StageStats("检测")]
    engines = [
        EngineStats(
            "主", "", "running", level="light", config_error="配置：有误", notices=notices, sources=told, stages=stages
        ),
        EngineStats("备", "", "waiting", level="archive"),
        EngineStats("三", "", "stopping"),
        EngineStats("四", "", "starting"),
    ]
    others = [
        make_pattern(-i, source="源1", type=kind, detector="森林", summary="远离以往", contributors=[])
        for i, kind in enumerate(("anomaly", "cluster_change"))
    ]
    session.fold(Batch(links=[LinkChange(True, "")], patterns=[*others, pattern], stats=engines), now_us)
    session.fold(Batch(feedback=said_on(pattern, now_us)), now_us)
    session.board.show_muted = True
    session.frame(now_us)
    session.board.cursor = session.board.rows[0].key
    session.labels.note("稍后再看", now_us)
    session.labels.judge("expected", now_us)
    last = session.said.heard[-1].feedback_id
    session.fold(Batch(deliveries=[Delivery(last, "存储已满")]), now_us)
    session.frame(now_us)
    session.open(next(e for e in session.board.rows if e.source == "主机"))
    return session


@pytest.mark.parametrize("width", WIDTHS)
def test_the_episode(full: Session, pattern: Pattern, now_us: int, width: int) -> None:
    episode, story = full.opened, full.story
    assert episode is not None
    story.show(episode)
    canvas = figure.Canvas(width, 14, "braille")

    def everything() -> None:
        looked_at(head.lines(full, episode, width, 6), width)
        looked_at(figure.lines(full, episode, canvas), width)
        for part in Part:
            story.part = part
            looked_at([panes.bar(full, figure.remark(full, episode), width)], width)
            looked_at([panes.title(full, part, figure.remark(full, episode), width)], width)
        for text, tone in (labels.empty(full), like.empty(full), raw.empty(full, pattern)):
            looked_at(panes.instead(text, width, 9, tone), width)
        looked_at([(*labels.remark(full, 3), *like.remark(full), *raw.remark(full))], width)

    everything()
    full.charts.wanted(pattern, episode.peak_us, now_us)
    full.charts.answer(pattern.pattern_id, [])
    story.raws.take("first", [], pattern, now_us)
    story.take(episode.key, (), (), {})
    everything()
    full.charts.answer(pattern.pattern_id, invented(pattern))
    event = Event(event_id="42", source="主机", type="行", timestamp=pattern.timestamp, payload={"处理器": 8})
    story.raws.take("first", [RawEvent(event, episode.peak_us, "1")], pattern, now_us)
    counts = dict.fromkeys(("confirmed", "false_positive", "expected", "new_normal", ""), 3)
    alike = [StoredPattern(pattern, "1", False, "confirmed", "安"), StoredPattern(pattern, "2", False)]
    story.take(episode.key, said_on(pattern, now_us), alike, counts)
    everything()
    for step in range(1, len(STRETCHES)):
        story.step = step
        for problem in ("", "已关闭"):
            points = [SeriesPoint(episode.peak_us + i * MINUTE, 1.0, 2.0, 3.0 + i, 9) for i in range(-9, 9)]
            story.reach = Reach("处理器", step, now_us - DAY_US, now_us, points, True, problem)
            everything()
    story.fail(episode.key, "已关闭")
    everything()

    rows = looked_at([why.row(full, episode, one, width) for one in why.rows(episode)], width, NAMES | {"mean"})
    in_line(looked_at([why.header(episode, width)], width)[0], rows[:2])
    rows = looked_at([labels.row(full, one, width) for one in labels.rows(full, episode)], width)
    assert len(rows) >= 6
    in_line(looked_at([labels.header(width)], width)[0], rows)
    rows = [raw.row(episode, one, width, found=True) for one in story.raws.rows]
    in_line(looked_at([raw.header(width)], width)[0], looked_at(rows, width))
    looked_at([line for one in story.raws.rows for line in raw.folded(one, width)], width)
    looked_at([like.summary(full, width), *(like.row(full, episode, one, width) for one in alike)], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_history_and_feedback(full: Session, pattern: Pattern, now_us: int, width: int) -> None:
    pages, said = full.pages, full.said
    full.go(Page.HISTORY)
    window = Window(now_us - 9 * DAY_US, now_us)
    pages.begin("x", window)
    looked_at([history.title(full, now_us, width), *history.nothing(full, width, 9)], width)
    pages.answer("x", [], more="", total=0, seconds=0.2, first=True)
    looked_at([history.title(full, now_us, width), *history.nothing(full, width, 9)], width)
    full.set_filter("主机", now_us)
    looked_at([history.title(full, now_us, width), *history.nothing(full, width, 9)], width)
    found = [(e, None) for e in full.board.rows]
    pages.answer("x", found, more="", total=900, seconds=0.2, first=True)
    pages.board.toggle_mark(now_us)
    rows = [episodes.row(full, e, width, stored=True) for e, _ in found]
    looked_at([history.title(full, now_us, width), episodes.header(width), *rows], width)
    pages.fail("x", "已关闭")
    looked_at([history.title(full, now_us, width), *history.nothing(full, width, 9)], width)

    full.go(Page.FEEDBACK)
    for loading, problem in ((True, ""), (False, ""), (False, "已关闭")):
        said.loading, said.problem = loading, problem
        looked_at([feedback.title(full, width, now_us), *feedback.nothing(full, width, 9)], width)
    told = [StoredLabel(f, False, "主机", "北京", "drift", "漂移", "均值上升", "1") for f in said_on(pattern, now_us)]
    said.answer(told, more="y", first=True)
    full.finds[Page.FEEDBACK] = ""
    said.frame(full.store.mutes, "我", "", now_us)
    rows = looked_at([feedback.row(full, one, width, now_us) for one in said.rows], width)
    assert len(rows) >= 7
    in_line(looked_at([feedback.header(width)], width)[0], rows)
    for said.mine in (True, False):
        looked_at([feedback.title(full, width, now_us)], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_sources_and_the_machinery(full: Session, now_us: int, width: int) -> None:
    full.go(Page.SOURCES)
    fields = [FieldSeen("处理器", 0.9, 1.0, 0.5, 2.0)]
    for past in (None, Window(now_us - DAY_US, now_us)):
        full.show_window(past, now_us)
        full.frame(now_us)
        if full.past is not None:
            full.past.answer([], full.store.sources, 0)
            full.frame(now_us)
        rows = looked_at([source_page.row(full, one, width, now_us) for one in full.board.sources], width)
        assert len(rows) == 8
        looked_at([source_page.title(full, 3, width), sources.title(full, width, active=True)], width)
        in_line(looked_at([source_page.header(width)], width)[0], rows)
        for schema in (
            source_page.Schema(),
            source_page.Schema("主机", (), "", True),
            source_page.Schema("主机", (), "已关闭", True),
            source_page.Schema("主机", fields, "", True),
        ):
            body = source_page.detail(full, next(s for s in full.board.sources if s.stats.warm < 1), schema, width, now_us)
            looked_at(body, width)
        in_line(body[-2], body[-1:], 0)

    full.go(Page.PIPE)
    cost = CostNow(**dict.fromkeys(CostNow.__dataclass_fields__, 60))
    for problem in ("", "已关闭"):
        for link in (LinkChange(True, ""), LinkChange(False, "拒绝")):
            full.fold(Batch(links=[link]), now_us)
            machine = pipe.Machinery(cost, "", "", 0.2, {"事件": 9_000}, problem)
            body = looked_at([pipe.title(full, width), *pipe.lines(full, machine, now_us, width)], width)
            at = next(i for i, line in enumerate(body) if plain(line).startswith("阶段"))
            in_line(body[at], body[at + 1 : at + 3], 0)
            looked_at(pipe.lines(full, machine, now_us + MINUTE, width), width)
    full.store.engines.clear()
    looked_at(pipe.lines(full, machine, now_us, width), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_edges_of_every_screen(full: Session, now_us: int, width: int) -> None:
    keys = resolve({})
    commands = {word for action in ACTIONS for word in action.name.split("_")}
    taught = frozenset(
        [
            "btc",
            "eth",
            "kind",
            "drift",
            "anomaly",
            "cluster",
            "what",
            "mean",
            "variance",
            "silence",
            "src",
            "bin",
            "field",
            "cpu",
            "det",
            "score",
            "age",
        ]
    )
    taught |= frozenset(
        [
            "state",
            "new",
            "unsent",
            "confirmed",
            "expected",
            "normal",
            "ann",
            "dark",
            "light",
            "ansi",
            "deuteranopia",
            "tritanopia",
            "mono",
        ]
    )
    for page in Page:
        full.go(page)
        for past in (None, Window(now_us - DAY_US, now_us)):
            full.show_window(past, now_us)
            looked_at([key_bar(full, keys, width)], width)
            for single in (True, False):
                looked_at([status.status_line(full, now_us, width, engine="主", hertz=4, single=single)], width)
            looked_at(status.counter_strip(full, now_us, width, engine="备"), width)
        looked_at(help_lines(full, keys, width), width, NAMES | taught | commands)
        for action in ACTIONS:
            looked_at([((full.reason(action.name), "text"),)], 400)
    for lost in (Gap(now_us - MINUTE), Gap(now_us - MINUTE, now_us), Gap(now_us - MINUTE, now_us, 4)):
        looked_at([gap.gap_row(lost, now_us, width)], width)


def test_windows_mutes_and_what_they_cover(full: Session, now_us: int) -> None:
    moments = [times.until(now_us + MINUTE, now_us), times.until(now_us + 2 * DAY_US, now_us)]
    moments += [times.window_text(Window(now_us - DAY_US, now_us), now_us)]
    choices = [text for text, _ in scopes(full.board.rows[0])] + [text for text, _ in scopes(full.board.rows[-1])]
    assert "主机/北京 的漂移（漂移）" in choices
    looked_at([((text, "text"),) for text in (*moments, *choices)], 200)
    for typed in ("明天", "2030-01-01", "-0m", "2026-11-22T10:00/2026-11-22T09:00", "-99999d"):
        with pytest.raises(WindowError) as told:
            parse_window(typed, now_us, zone())
        assert not stray([str(told.value)], NAMES)
    for typed in ("明天", "0m", "400d"):
        with pytest.raises(ValueError, match=r"[^\x00-\x7f]") as wrong:
            parse_ttl(typed)
        assert not stray([str(wrong.value)], NAMES)
