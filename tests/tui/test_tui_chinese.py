"""Chinese on the screen: every text shown has one, columns stand under their heads, no line is too wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from qraft.model import Feedback, Pattern, iso_from_us
from tests.tui.heard import Heard, cells, starts
from tui import language
from tui.feed.fake import World
from tui.history.fake import invented
from tui.keymap import resolve
from tui.state.inbox import Batch, LinkChange
from tui.state.pages import Page, Pane
from tui.state.session import Session
from tui.views import banner, detail, empty, episodes, sources, status
from tui.views.filter_line import remark
from tui.views.help import lines as help_lines
from tui.views.key_bar import key_bar
from tui.views.text import Line, change, clock, plain, width_of, wrap

WIDTHS = (60, 80, 120, 200, 300)


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shows everything in Chinese, and fails where a text shown has none."""
    heard = Heard()
    monkeypatch.setattr(language, "_words", heard)
    yield
    assert not heard.missed


@pytest.fixture
def busy(session: Session, now_us: int) -> Session:
    """A session with everything in it that its views have words for."""
    world = World()
    patterns = [world.pattern(now_us - (40 - i) * 3_000_000) for i in range(40)]
    session.fold(Batch(links=[LinkChange(True, "")], history=[""]), now_us - 130_000_000)
    said = world.stats(now_us)
    states = ("starting", "running", "external", "retrying", "paused", "finished", "failed")
    told = [
        _changed(
            source, state=states[i % len(states)], dropped=i % 2 * 1204, missing=i % 3 * 17, source=f"{source.source}-{i}"
        )
        for i, source in enumerate(said.sources + said.sources)
    ]
    session.fold(Batch(patterns=patterns, stats=[_changed(said, sources=told)]), now_us)
    session.frame(now_us)
    for number, verdict in enumerate(("confirmed", "false_positive", "expected", "new_normal")):
        for user, index in (("me", number), ("ann", 10 + number)):
            pattern = session.board.rows[index].peak
            session.fold(Batch(feedback=[_verdict(pattern, verdict, user, now_us)]), now_us)
    session.frame(now_us)
    return session


def _changed(struct: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(struct, **changes)


def _verdict(pattern: Pattern, verdict: Any, user: str, at_us: int) -> Feedback:
    return Feedback(
        feedback_id=f"{user}-{pattern.pattern_id}",
        pattern_id=pattern.pattern_id,
        verdict=verdict,
        timestamp=iso_from_us(at_us),
        source=pattern.source,
        user=user,
    )


def _heads(widths: list[int], first: int) -> list[int]:
    """The cells in which columns of these widths begin."""
    out = []
    for width in widths:
        if width:
            out.append(first)
            first += width + 1
    return out


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("width", WIDTHS)
def test_columns_begin_where_their_heads_do(busy: Session, now_us: int, width: int) -> None:
    c = episodes.columns(width)
    places = _heads([c.last, c.kind, c.name, c.what, c.n, 4 + c.bar, c.detector, c.state], 3)
    head = cells(episodes.header(width))
    assert len(head) == width
    assert all(head[place - 1] == " " for place in places)
    assert "".join(head[places[0] : places[0] + c.last]).strip() == "最近"
    for episode in busy.board.rows[:20]:
        row = episodes.row(busy, episode, width)
        assert {place - 1 for place in places} <= starts(row)
        assert width_of(row) == width - 1
    for lost in (False, True):
        s = sources.columns(width, lost=lost)
        places = _heads([s.name, s.state, s.rate, s.lag, s.score, s.open, s.lost, s.spark], 3)
        head = cells(sources.header(busy, width, lost=lost))
        assert len(head) == width
        assert all(head[place - 1] == " " for place in places)
        for source in busy.board.sources:
            row = sources.row(busy, source, width, now_us, lost=lost)
            assert {place - 1 for place in places} <= starts(row)
            assert width_of(row) == width - 1


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_screen(busy: Session, now_us: int, width: int) -> None:
    for lines in _views(busy, now_us, width):
        for line in lines:
            assert cell_len(plain(line).rstrip()) <= width, plain(line)


def _views(busy: Session, now_us: int, width: int) -> Iterator[list[Line]]:
    row = busy.board.rows[1]
    chart = busy.charts
    for full in (False, True):
        for episode in busy.board.rows[:14]:
            yield detail.lines(busy, episode, width, 30, full=full, ascii_only=False)
    chart.wanted(row.peak, row.peak_us, now_us)
    chart.answer(row.peak.pattern_id, invented(row.peak))
    yield detail.lines(busy, row, width, 30, full=True, ascii_only=False)
    yield [detail.title(busy, width, single=single) for single in (False, True)]
    yield [episodes.title(busy, now_us, width, active=True), sources.title(busy, width, active=True), remark(busy, width)]
    busy.set_filter("kind:drift", now_us)
    yield [episodes.title(busy, now_us, width, active=True), remark(busy, width)]
    yield [detail.title(busy, width, single=False)]
    busy.pane = Pane.DETAIL
    yield [detail.title(busy, width, single=False)]
    yield from _around(busy, now_us, width)
    yield empty.detail(width, 12)
    yield empty.sources(busy, width, 12)
    yield empty.episodes(busy, now_us, width, 12, nats_url="nats://127.0.0.1:4222", engine="main")
    yield banner.banners(busy, now_us + 60_000_000, width, 40, engine="main")
    world = World()
    for said in (
        {"level": "light", "lag_seconds": 12.4, "config_error": "/etc/config.toml:12: wrong"},
        {"level": "archive", "lag_seconds": 12.4, "clickhouse": False},
        {"state": "waiting"},
    ):
        busy.fold(Batch(stats=[world.stats(now_us, **said)]), now_us)
        yield banner.banners(busy, now_us, width, 40, engine="main")
    busy.fold(Batch(links=[LinkChange(False, "")]), now_us)
    yield banner.banners(busy, now_us + 5_000_000, width, 40, engine="main")


def _around(busy: Session, now_us: int, width: int) -> Iterator[list[Line]]:
    """First line, keys, help and counters, live and frozen."""
    keys = resolve({})
    for later in (0, 1_000_000, 60_000_000):
        for single in (False, True):
            yield [status.status_line(busy, now_us + later, width, engine="main", hertz=4, single=single)]
        yield status.counter_strip(busy, now_us + later, width, engine="main")
        busy.toggle_freeze(now_us)
        busy.frame(now_us)
    for page in Page:
        busy.go(page)
        yield [key_bar(busy, keys, width), status.status_line(busy, now_us, width, engine="main", hertz=4, single=False)]
        yield help_lines(busy, keys, width)
    busy.go(Page.LIVE)


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_minute_in_chinese(session: Session, now_us: int, width: int) -> None:
    def shown() -> str:
        lines = empty.episodes(session, now_us, width, 20, nats_url="nats://127.0.0.1:4222", engine="main")
        assert all(width_of(line) <= width for line in lines)
        banner.banners(session, now_us, width, 40, engine="main")
        empty.sources(session, width, 20)
        return "".join("".join(plain(line).split()) for line in lines)

    world = World()
    assert "正在连接NATS" in shown()
    session.fold(Batch(links=[LinkChange(False, "refused")]), now_us)
    assert "NATS无响应" in shown()
    session.fold(Batch(links=[LinkChange(True, "")]), now_us)
    assert "等待引擎“main”" in shown()
    session.fold(Batch(stats=[_changed(world.stats(now_us), sources=[])]), now_us)
    assert "尚无数据源" in shown()
    session.fold(Batch(stats=[world.stats(now_us, warm=0.0, processed=0)]), now_us)
    assert "等待首个事件" in shown()
    session.fold(Batch(stats=[world.stats(now_us, warm=0.5, processed=900)]), now_us)
    assert "预热中" in shown()
    session.fold(Batch(stats=[world.stats(now_us)]), now_us)
    assert "监测中" in shown()


@pytest.mark.usefixtures("chinese")
def test_short_forms_in_chinese(now_us: int) -> None:
    assert change(2.0, 2.0) == "不变"
    assert clock(now_us - 40 * 86_400_000_000, now_us) == "10-13"


def test_chinese_breaks_between_signs_but_not_before_a_full_stop() -> None:
    assert wrap("数据源预热中，请稍候", 13, 5) == ["数据源预热", "中，请稍候"]
    assert wrap("等待引擎 main 启动", 9, 5) == ["等待引擎", "main 启动"]
    assert wrap("数据源预热中，请稍候", 8, 2) == ["数据源预", "热中， …"]
