"""Windows of past time: what can be written, how they move, and how they and the zone are shown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import assume, example, given, strategies as st

from qraft.model import us_from_iso
from tui.state.window import (
    DAY_US,
    DEFAULT_US,
    LENGTHS_US,
    SECOND_US,
    Window,
    WindowError,
    last,
    parse_window,
    shifted,
    zoomed,
)
from tui.views.text import moment
from tui.views.times import until, window_text
from tui.zone import use_zone, zone, zone_word

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
INDIA = timezone(timedelta(hours=5, minutes=30))
UNITS = {"s": SECOND_US, "m": 60 * SECOND_US, "h": 3600 * SECOND_US, "d": DAY_US, "w": 7 * DAY_US}

windows = st.builds(
    lambda ago, length: Window(NOW_US - ago - length, NOW_US - ago),
    st.integers(0, 400 * DAY_US),
    st.integers(2, 90 * DAY_US),
)
zones = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-12 * 60, 14 * 60))


@pytest.fixture
def local_zone() -> Iterator[None]:
    """This process stands in India for a while."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "IST-5:30"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()
    use_zone("UTC")


def at(text: str) -> int:
    return us_from_iso(f"2026-11-{text}Z")


@pytest.mark.parametrize(
    ("text", "since", "end"),
    [
        ("-15m", "22T13:45:00", "22T14:00:00"),
        ("-1h30m", "22T12:30:00", "22T14:00:00"),
        (" -2d/+1h ", "20T14:00:00", "20T15:00:00"),
        ("-1h/-30m", "22T13:00:00", "22T13:30:00"),
        ("10:00", "22T10:00:00", "22T10:15:00"),
        ("9:05", "22T09:05:00", "22T09:20:00"),
        ("13:50", "22T13:50:00", "22T14:00:00"),
        ("16:00", "21T16:00:00", "21T16:15:00"),
        ("10:00/+1h", "22T10:00:00", "22T11:00:00"),
        ("10:00/11:30", "22T10:00:00", "22T11:30:00"),
        ("23:50/00:10", "21T23:50:00", "22T00:10:00"),
        ("2026-11-20", "20T00:00:00", "21T00:00:00"),
        ("2026-11-22", "22T00:00:00", "22T14:00:00"),
        ("2026-11-20/2026-11-21", "20T00:00:00", "21T00:00:00"),
        ("2026-11-20T10:00/+30m", "20T10:00:00", "20T10:30:00"),
        ("2026-11-20T10:00+02:00/+30m", "20T08:00:00", "20T08:30:00"),
        ("2026-11-20T10:00Z", "20T10:00:00", "20T10:15:00"),
    ],
)
def test_what_can_be_written(text: str, since: str, end: str) -> None:
    assert parse_window(text, NOW_US, UTC) == Window(at(since), at(end))


@pytest.mark.parametrize("text", ["", "  ", "now", "LIVE"])
def test_the_present_has_no_window(text: str) -> None:
    assert parse_window(text, NOW_US, UTC) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", '"yesterday" is no time; write -15m, 10:00'),
        ("-15x", '"-15x" is no span of time; write for example -15m'),
        ("-0m", '"-0m" is out of range; between a second and ten years'),
        ("-9999999d", "out of range"),
        ("10:00/", '"" is no time'),
        ("10:00/+", '"+" is no span of time'),
        ("10:00/+soon", '"+soon" is no span of time'),
        ("25:00", '"25:00" is no time'),
        ("2026-13-01", '"2026-13-01" is no time'),
        ("2027-01-01", "2027-01-01 lies in the future"),
        ("-1h/-2h", "-1h/-2h is empty: its end is not after its start"),
        ("2026-11-22/2026-11-20", "is empty"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_that_says_what_can(text: str, said: str) -> None:
    with pytest.raises(WindowError) as caught:
        parse_window(text, NOW_US, UTC)
    assert said in str(caught.value)


def test_a_clock_is_that_of_the_zone() -> None:
    assert parse_window("15:00", NOW_US, INDIA) == Window(at("22T09:30:00"), at("22T09:45:00"))
    assert parse_window("2026-11-20", NOW_US, INDIA) == Window(at("19T18:30:00"), at("20T18:30:00"))


@given(number=st.integers(1, 99), unit=st.sampled_from("smhdw"))
def test_the_last_of_any_span_ends_now(number: int, unit: str) -> None:
    assert parse_window(f"-{number}{unit}", NOW_US, INDIA) == last(number * UNITS[unit], NOW_US)


@given(since=st.integers(1, 3000 * 86_400), length=st.integers(1, 3000 * 86_400), where=zones)
def test_two_moments_written_out_are_read_back(since: int, length: int, where: tzinfo) -> None:
    assume(length < since)
    window = Window(NOW_US - since * SECOND_US, NOW_US - (since - length) * SECOND_US)
    start, end = (datetime.fromtimestamp(us / 1e6, where) for us in (window.since_us, window.until_us))
    assert parse_window(f"{start:%Y-%m-%dT%H:%M:%S}/{end:%Y-%m-%dT%H:%M:%S}", NOW_US, where) == window
    assert parse_window(f"{start.isoformat()}/+{length}s", NOW_US, UTC) == window


@given(text=st.text(max_size=20) | st.text("0123456789-:+/TZsmhdw. ", max_size=24), where=zones)
@example("0001-01-01", timezone(timedelta(hours=14)))
@example("0001-01-01T00:00+14:00", UTC)
@example("9999-12-31T23:59-12:00", UTC)
@example("10:00/0001-01-01", timezone(timedelta(hours=14)))
def test_whatever_is_typed_is_a_window_of_the_past_or_a_sentence(text: str, where: tzinfo) -> None:
    try:
        window = parse_window(text, NOW_US, where)
    except WindowError as error:
        window, said = None, str(error)
    else:
        said = "a window, or the present"
    assert len(said) > 10
    assert window is None or window.since_us < window.until_us <= NOW_US


@given(window=windows, steps=st.integers(-5, 5))
def test_a_shift_keeps_the_length_and_never_reaches_the_present(window: Window, steps: int) -> None:
    moved = shifted(window, steps, NOW_US)
    if moved is None:
        assert window.until_us + steps * (window.length_us // 2) >= NOW_US
    else:
        assert moved.length_us == window.length_us
        assert moved.until_us < NOW_US
        assert shifted(moved, -steps, NOW_US) in (window, None)


@given(window=windows, steps=st.sampled_from([-1, 1]))
def test_a_zoom_changes_the_length_that_way_and_stays_in_the_past(window: Window, steps: int) -> None:
    made = zoomed(window, steps, NOW_US)
    assert made.until_us <= NOW_US
    if steps > 0:
        assert made.length_us > window.length_us or window.length_us >= LENGTHS_US[-1]
        assert made.length_us in LENGTHS_US or made == window
    else:
        assert made.length_us < window.length_us or window.length_us <= LENGTHS_US[0]
    middles = [(w.since_us + w.until_us) // 2 for w in (window, made)]
    assert made.until_us == NOW_US or abs(middles[0] - middles[1]) <= 1


def test_zooming_goes_through_all_lengths_and_stops_at_the_ends() -> None:
    window = last(LENGTHS_US[0], NOW_US)
    seen = []
    for _ in range(len(LENGTHS_US) + 3):
        seen.append(window.length_us)
        window = zoomed(window, 1, NOW_US)
    assert seen == [*LENGTHS_US, *[LENGTHS_US[-1]] * 3]
    assert zoomed(last(LENGTHS_US[0], NOW_US), -1, NOW_US) == last(LENGTHS_US[0], NOW_US)


def test_a_window_in_words() -> None:
    assert window_text(last(DEFAULT_US, NOW_US), NOW_US) == "13:45:00–14:00:00 UTC (15m00s)"
    assert window_text(last(DAY_US, NOW_US), NOW_US).startswith("2026-11-21 14:00–2026-11-22 14:00 UTC")
    assert window_text(Window(at("20T10:00:00"), at("20T11:00:00")), NOW_US).startswith("2026-11-20 10:00–11:00:00 UTC")
    assert window_text(Window(-(2**62), 2**62), NOW_US) == "—"


def test_a_moment_to_come_in_words() -> None:
    assert until(NOW_US + 68 * 60 * SECOND_US, NOW_US) == "15:08 (1h08m)"
    assert until(NOW_US + DAY_US, NOW_US).startswith("11-23 14:00 (")
    assert until(2**62, NOW_US) == "—"


def test_times_are_shown_in_the_zone_chosen(local_zone: None) -> None:
    assert (zone(), zone_word()) == (UTC, "UTC")
    use_zone("local")
    assert zone_word() == "IST"
    assert zone().utcoffset(None) == timedelta(hours=5, minutes=30)
    shown = moment(NOW_US)
    assert shown is not None
    assert f"{shown:%H:%M}" == "19:30"
    assert window_text(last(DEFAULT_US, NOW_US), NOW_US) == "19:15:00–19:30:00 IST (15m00s)"
    assert parse_window("19:00", NOW_US, zone()) == Window(at("22T13:30:00"), at("22T13:45:00"))
    use_zone("UTC")
    assert zone_word() == "UTC"
