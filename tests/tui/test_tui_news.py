"""What the engine tells besides patterns: how long it is shown, what is counted, and which lines stand at the top."""

from __future__ import annotations

from typing import Any

import pytest

from qraft.model import SELF, EngineStats, Level, Notice, SourceStats, iso_from_us
from tui.state.inbox import Batch, LinkChange
from tui.state.news import NEWS_US, Notices
from tui.state.session import Session
from tui.views import sources
from tui.views.banner import banners
from tui.views.status import counter_strip
from tui.views.text import ascii_line, plain, width_of

SECOND = 1_000_000
REASON = "/etc/qraft/config.toml:12: sources.market.url: expected an address that starts with ws:// or wss://"


def notice(at_us: int, text: str = "no message for 30 s", *, source: str = "market", kind: str = "stale") -> Notice:
    return Notice(timestamp=iso_from_us(at_us), source=source, kind=kind, text=text)


def stats(now_us: int, **changes: Any) -> EngineStats:
    values: dict[str, Any] = {"engine": "main", "timestamp": iso_from_us(now_us), "state": "running"}
    said = changes.get("notices", [])
    return EngineStats(**{**values, "notice_counts": {"any": len(said)} if said else {}, **changes})


def told(session: Session, now_us: int, width: int = 120, height: int = 36, **changes: Any) -> list[str]:
    """The lines at the top after the engine has said this."""
    session.fold(Batch(stats=[stats(now_us, **changes)]), now_us)
    lines = banners(session, now_us, width, height, engine="main")
    assert all(width_of(line) == width for line in lines)
    assert all(plain(ascii_line(line)).isascii() for line in lines)
    return [plain(line).strip() for line in lines]


@pytest.fixture
def connected(session: Session, now_us: int) -> Session:
    session.fold(Batch(links=[LinkChange(True)]), now_us)
    return session


def test_all_is_well(connected: Session, now_us: int) -> None:
    assert told(connected, now_us) == []


@pytest.mark.parametrize(
    ("level", "wide", "narrow"),
    [
        ("light", "◐ light detection: the engine is 12s behind; novelty", "◐ light detection: the engine is 12s behind"),
        (
            "archive",
            "○ archive only: the engine is 12s behind; events are stored",
            "○ archive only: the engine is 12s behind",
        ),
    ],
)
def test_detection_that_gives_way(connected: Session, now_us: int, level: Level, wide: str, narrow: str) -> None:
    assert told(connected, now_us, level=level, lag_seconds=12.3)[0].startswith(wide)
    assert told(connected, now_us, width=60, level=level, lag_seconds=12.3) == [narrow]
    assert told(connected, now_us) == []


def test_a_refused_configuration_keeps_its_end_at_any_width(connected: Session, now_us: int) -> None:
    (line,) = told(connected, now_us, 160, config_error=REASON)
    assert line == (
        "! config.toml:12 refused: sources.market.url: expected an address that starts with ws:// or wss://"
        "; the one before stays in force"
    )
    (line,) = told(connected, now_us, 80, config_error=REASON)
    assert line.startswith("! config.toml:12 refused: sources.market.url: ")
    assert line.endswith("…; the old one stays in force")
    (line,) = told(connected, now_us, 60, config_error=REASON)
    assert line.endswith("…; the old one stays")
    assert told(connected, now_us, config_error="something")[0].startswith("! config.toml refused: something; the one")


def test_a_notice_is_shown_for_half_a_minute_and_the_others_are_counted(connected: Session, now_us: int) -> None:
    assert told(connected, now_us) == []
    said = [notice(now_us, "first"), notice(now_us + SECOND, "second")]
    (line,) = told(connected, now_us + SECOND, notices=said)
    assert line.startswith("» 14:00:01 market stale: second ")
    assert line.endswith(" +1 more")
    later = now_us + NEWS_US - SECOND
    assert told(connected, later, notices=said)[0].startswith("» 14:00:01 market stale: second")
    assert told(connected, now_us + NEWS_US + SECOND, notices=said) == []


def test_a_burst_beyond_what_the_engine_repeats_is_counted_whole(now_us: int) -> None:
    notices = Notices()
    notices.take(stats(now_us), now_us)
    said = [notice(now_us, str(n)) for n in range(20)]
    notices.take(stats(now_us, notices=said, notice_counts={"stale": 250}), now_us)
    news = notices.newest(now_us)
    assert news is not None
    assert (news.notice.text, news.others) == ("19", 249)


def test_what_was_said_long_before_this_screen_opened_is_no_news(now_us: int) -> None:
    notices = Notices()
    old, new = notice(now_us - 3600 * SECOND, "old"), notice(now_us - 5 * SECOND, "new")
    notices.take(stats(now_us, notices=[old, new]), now_us)
    news = notices.newest(now_us)
    assert news is not None
    assert (news.notice.text, news.others) == ("new", 0)


def test_an_engine_that_is_started_anew_tells_anew(now_us: int) -> None:
    notices = Notices()
    notices.take(stats(now_us, notices=[notice(now_us, "before")], notice_counts={"stale": 9}), now_us)
    later = now_us + 2 * NEWS_US
    notices.take(stats(later, notices=[notice(later, "after")], notice_counts={"stale": 1}), later)
    news = notices.newest(later)
    assert news is not None
    assert (news.notice.text, news.others) == ("after", 0)


def test_what_a_line_says_already_is_not_said_again_by_its_notice(connected: Session, now_us: int) -> None:
    said = [notice(now_us, "only the cheap", source="", kind="level"), notice(now_us, "refused", source="", kind="config")]
    assert len(told(connected, now_us, level="light", notices=said)) == 2
    assert len(told(connected, now_us, level="light", config_error=REASON, notices=said)) == 2


@pytest.mark.parametrize(("height", "lines"), [(36, 3), (24, 2), (20, 2)])
def test_a_small_screen_keeps_the_most_pressing(connected: Session, now_us: int, height: int, lines: int) -> None:
    said = told(connected, now_us, 80, height, level="archive", config_error=REASON, notices=[notice(now_us)])
    assert [line[0] for line in said] == ["!", "○", "»"][:lines]


def test_a_silent_engine_says_nothing_any_more(connected: Session, now_us: int) -> None:
    told(connected, now_us, level="archive", config_error=REASON, notices=[notice(now_us)])
    (line,) = banners(connected, now_us + 10 * SECOND, 120, 36, engine="main")
    assert "engine main silent for 10s" in plain(line)


def test_text_from_outside_is_made_harmless(connected: Session, now_us: int) -> None:
    (line,) = told(connected, now_us, notices=[notice(now_us, "\x1b[31mred\nand more" * 30, source="m\x07" * 40)])
    assert "\x1b" not in line
    assert "\n" not in line


def test_the_counter_strip_of_a_tiny_screen_tells_too(connected: Session, now_us: int) -> None:
    told(connected, now_us, level="light", config_error=REASON)
    rows = [plain(line) for line in counter_strip(connected, now_us, 40, engine="main")]
    assert "◐ light" in rows[1]
    assert "! config" in rows[1]


def test_losses_stand_beside_their_source(connected: Session, now_us: int) -> None:
    of = [
        SourceStats(source="calm", state="running"),
        SourceStats(source="gaps", state="running", missing=17),
        SourceStats(source="much", state="running", dropped=1204, missing=3),
    ]
    told(connected, now_us, sources=of)
    connected.frame(now_us)
    assert sources.any_lost(connected)
    for width in (30, 48, 60, 69, 80, 120):
        rows = [plain(sources.row(connected, s, width, now_us, lost=True)) for s in connected.board.sources]
        head = plain(sources.header(connected, width, lost=True))
        assert len({len(head) - 1, *map(len, rows)}) == 1
        if width >= 48:
            end = head.index("LOST") + 4 - 1  # a row stands one column further left, after the cursor
            assert [row[:end].rsplit(" ", 1)[1] for row in rows] == ["·", "?17", "!1207"]
    title = plain(sources.title(connected, 69, active=False))
    assert "1204 dropped · 20 missing" in title


def test_without_losses_there_is_no_column_for_them(connected: Session, now_us: int) -> None:
    told(connected, now_us, sources=[SourceStats(source="calm", state="running")])
    connected.frame(now_us)
    assert not sources.any_lost(connected)
    assert "LOST" not in plain(sources.header(connected, 120))


def test_what_others_publish_is_awaited_then_external(connected: Session, now_us: int) -> None:
    of = [SourceStats(source="theirs", state="external", adapter="external")]
    told(connected, now_us, sources=of)
    waiting = connected.store.sources["theirs"]
    assert sources.state(waiting, now_us + 60 * SECOND)[:2] == ("◌", "external")
    told(connected, now_us, sources=[SourceStats(source="theirs", state="external", read=5, processed=5, warm=1.0)])
    assert sources.state(connected.store.sources["theirs"], now_us)[:2] == ("●", "external")


def test_the_engines_own_notices_are_no_source(connected: Session, now_us: int) -> None:
    told(connected, now_us, sources=[SourceStats(source=SELF), SourceStats(source="host")])
    assert set(connected.store.sources) == {"host"}
