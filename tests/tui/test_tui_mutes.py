"""Mutes: which hold, what they cover, in whatever order they came; how long an operator may ask for."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, strategies as st

from qraft.model import Feedback, Scope, Verdict, iso_from_us
from tui.state.mutes import DEFAULT_TTL, Mutes, ends_us, parse_ttl

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


def mute(name: str, until_us: int, **scope: str) -> Feedback:
    return said(name, "mute", scope=Scope(**scope), until=iso_from_us(until_us))


def said(name: str, verdict: Verdict, *, undoes: str = "", scope: Scope | None = None, until: str = "") -> Feedback:
    return Feedback(
        feedback_id=name,
        pattern_id="p",
        verdict=verdict,
        timestamp=iso_from_us(NOW - SECOND),
        source="host",
        detector="drift",
        user="ann",
        undoes=undoes,
        scope=scope,
        until=until,
    )


def mutes_of(*feedback: Feedback) -> Mutes:
    mutes = Mutes()
    for one in feedback:
        mutes.add(one)
    return mutes


def covering(mutes: Mutes, now_us: int = NOW) -> str:
    found = mutes.covers("host", "db-3", "drift", "forest", now_us)
    return found.feedback_id if found else ""


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"source": "host"}, True),
        ({"source": "host", "entity": "db-3"}, True),
        ({"source": "host", "entity": "db-3", "type": "drift", "detector": "forest"}, True),
        ({"type": "drift"}, True),
        ({"entity": "db-3", "detector": "forest"}, True),
        ({"source": "hos"}, False),
        ({"source": "host", "entity": "db-4"}, False),
        ({"source": "host", "type": "anomaly"}, False),
        ({"source": "host", "entity": "db-3", "type": "drift", "detector": "adwin"}, False),
    ],
)
def test_a_scope_covers_what_agrees_with_every_key_it_names(scope: dict[str, str], covered: bool) -> None:
    assert covering(mutes_of(mute("m", NOW + SECOND, **scope))) == ("m" if covered else "")


def test_a_mute_ends_by_itself_and_holds_again_where_one_looks_back() -> None:
    mutes = mutes_of(mute("m", NOW + SECOND, source="host"), mute("n", NOW + 2 * SECOND, type="anomaly"))
    assert covering(mutes, NOW + SECOND - 1) == "m"
    assert covering(mutes, NOW + SECOND) == ""
    assert [one.feedback_id for one in mutes.active(NOW + SECOND)] == ["n"]
    assert mutes.active(NOW + 2 * SECOND) == []
    assert covering(mutes, NOW) == "m"
    assert [one.feedback_id for one in mutes.active(NOW)] == ["m", "n"]


def test_of_several_the_one_that_ends_last_is_named() -> None:
    mutes = mutes_of(
        mute("long", NOW + 9 * SECOND, source="host"),
        mute("narrow", NOW + 2 * SECOND, source="host", entity="db-3"),
        mute("short", NOW + SECOND, source="host"),
    )
    assert covering(mutes) == "long"
    mutes.add(said("u", "undo", undoes="long"))
    assert covering(mutes) == "narrow"


def test_what_is_no_mute_or_breaks_the_contract_covers_nothing() -> None:
    mutes = mutes_of(
        said("note", "note"),
        said("confirmed", "confirmed"),
        said("no scope", "mute", until=iso_from_us(NOW + SECOND)),
        mute("everything", NOW + SECOND),
        said("no end", "mute", scope=Scope(source="host")),
        said("no time", "mute", scope=Scope(source="host"), until="tomorrow"),
        mute("ended before it began", NOW - 2 * SECOND, source="host"),
        mute("for ever", NOW + 31 * 86_400 * SECOND, source="host"),
        said("undo of nothing", "undo"),
    )
    assert mutes.active(NOW) == []
    assert covering(mutes) == ""


def test_what_was_refused_does_not_count_nor_does_a_refused_undo() -> None:
    mutes = mutes_of(mute("m", NOW + SECOND, source="host"), said("u", "undo", undoes="m"))
    assert covering(mutes) == ""
    mutes.refuse("u")
    assert covering(mutes) == "m"
    mutes.refuse("m")
    assert covering(mutes) == ""


def test_what_was_once_known_is_not_changed_by_a_repeat() -> None:
    mutes = mutes_of(mute("m", NOW + SECOND, source="host"), mute("m", NOW + 5 * SECOND, source="host"))
    assert [ends_us(one) for one in mutes.active(NOW)] == [NOW + SECOND]


NAMES = st.sampled_from(["", "a", "b"])
PLACES = st.tuples(*[st.sampled_from(["a", "b"])] * 2, st.sampled_from(["drift", "anomaly"]), st.sampled_from(["a", "b"]))


@st.composite
def histories(draw: st.DrawFn) -> list[Feedback]:
    number = draw(st.integers(1, 8))
    kinds = st.sampled_from(["", "drift", "anomaly"])
    mutes = [
        mute(
            f"m{n}",
            NOW + draw(st.integers(0, 6)) * SECOND,
            source=draw(NAMES),
            entity=draw(NAMES),
            type=draw(kinds),
            detector=draw(NAMES),
        )
        for n in range(number)
    ]
    undone = draw(st.lists(st.integers(0, number + 1), max_size=4))
    return mutes + [said(f"u{n}", "undo", undoes=f"m{target}") for n, target in enumerate(undone)]


def expected(feedback: list[Feedback], place: tuple[str, str, str, str], now_us: int) -> Feedback | None:
    undone = {one.undoes for one in feedback if one.verdict == "undo"}
    found = []
    for one in feedback:
        if one.scope is None or one.scope == Scope() or one.feedback_id in undone or ends_us(one) <= now_us:
            continue
        wanted = (one.scope.source, one.scope.entity, one.scope.type, one.scope.detector)
        if all(want in {"", has} for want, has in zip(wanted, place, strict=True)):
            found.append(one)
    return max(found, key=lambda one: (ends_us(one), one.feedback_id), default=None)


@given(
    histories(),
    st.lists(st.tuples(PLACES, st.integers(-1, 7)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_answers_depend_on_what_was_said_and_the_time_alone(
    feedback: list[Feedback], questions: list[tuple[tuple[str, str, str, str], int]], random: Random
) -> None:
    shuffled = [*feedback, *feedback]
    random.shuffle(shuffled)
    mutes = Mutes()
    for number, one in enumerate(shuffled):
        mutes.add(one)
        if number % 3 == 0:
            mutes.covers(*questions[0][0], NOW)  # an answer given before must not outlive what comes after it
    for place, seconds in questions:
        now_us = NOW + seconds * SECOND
        assert mutes.covers(*place, now_us) == expected(feedback, place, now_us)
        active = mutes.active(now_us)
        assert all(ends_us(one) > now_us for one in active)
        assert active == sorted(active, key=lambda one: (ends_us(one), one.feedback_id))
        assert expected(feedback, place, now_us) in [None, *active]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5_400), ("2h", 7_200), (" 1 D ", 86_400), ("30d", 2_592_000), ("45s", 45), ("1w", 604_800)]
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_ttl(text) == seconds * SECOND


def test_nothing_stands_for_the_default() -> None:
    assert parse_ttl("") == parse_ttl(DEFAULT_TTL) == 3_600 * SECOND


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soon", '"soon" is no length of time; write 90m, 2h or 1d'),
        ("2", '"2" is no length of time; write 90m, 2h or 1d'),
        ("-2h", '"-2h" is no length of time; write 90m, 2h or 1d'),
        ("{x}h", '"{x}h" is no length of time; write 90m, 2h or 1d'),
        ("0m", "a mute lasts longer than nothing"),
        ("31d", "a mute ends after 30 days at the latest"),
        ("999999999w", "a mute ends after 30 days at the latest"),
    ],
)
def test_what_no_mute_may_last_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_ttl(text)
    assert str(caught.value) == reason
