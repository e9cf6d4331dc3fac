from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qraft import filter as language
from qraft.model import Contributor, Details, Feedback, Pattern, iso_from_us
from tui.language import _words
from tui.state.episodes import Episode
from tui.state.filter import SENTENCES, FilterError, parse
from tui.state.verdicts import NO_MARK, Delivery, Mark

NOW = 1_800_000_000_000_000


def episode(**changes: Any) -> Episode:
    source, entity = changes.get("source", "market"), changes.get("entity", "BTC-USD")
    kind, detector = changes.get("type", "drift"), changes.get("detector", "drift")
    peak = Pattern(
        pattern_id="abc-123",
        type=kind,
        timestamp=iso_from_us(NOW),
        source=source,
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=changes.get("confidence", 0.8)),
        contributors=[Contributor(field="price", score=0.7), Contributor(field="Spread", score=0.3)],
        detector=detector,
        entity=entity,
        summary="price moved for good",
        kind=changes.get("kind", "mean"),
    )
    last_us = changes.get("last_us", NOW - 120_000_000)
    return Episode.of(
        peak, key="k", n=changes.get("n", 5), first_us=NOW - 600_000_000, last_us=last_us, seq=1, touched_us=NOW
    )


def feedback(user: str = "ann") -> Feedback:
    return Feedback(feedback_id="f", pattern_id="abc-123", verdict="confirmed", timestamp=iso_from_us(NOW), user=user)


CONFIRMED = Mark("confirmed", feedback(), Delivery.STORED)


def passes(text: str, mark: Mark = NO_MARK, **changes: Any) -> bool:
    return parse(text).matches(episode(**changes), mark, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "btc",
        "BTC-usd",
        "good",
        "abc-123",
        "/b.c-/",
        "!eth",
        "kind:drift",
        "kind:d",
        "kind:anomaly,drift",
        "!kind:cluster",
        "src:mar*",
        "src:market/btc-usd",
        "src:market",
        "src:other,mar",
        "field:spr*",
        "field:price",
        "det:drift",
        "what:me",
        "what:silence,m?an",
        "entity:btc",
        "!entity:eth*",
        "score>.7",
        "score>=0.8",
        "score=.8",
        "score:.8",
        "score<.9",
        "n>=5",
        "n<6",
        "age<5m",
        "age>90",
        "age>1m",
        "state:new",
        "state:confirmed,new",
        "btc kind:drift score>.5 !eth",
        "!!btc",
    ],
)
def test_words_that_match(text: str) -> None:
    assert passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "eth",
        "!btc",
        "/^btc/",
        "kind:cluster",
        "!kind:drift",
        "src:arket",
        "field:volume",
        "det:forest",
        "what:silence",
        "entity:usd",
        "score>.8",
        "n>5",
        "age<1m",
        "state:confirmed",
        "state:unsent",
        "by:ann",
        "btc kind:anomaly",
    ],
)
def test_words_that_do_not(text: str) -> None:
    assert not passes(text)


def test_states_and_operators_go_by_the_verdict_that_stands() -> None:
    assert passes("state:confirmed by:an*", CONFIRMED)
    assert not passes("state:new", CONFIRMED)
    assert not passes("by:bob", CONFIRMED)
    assert passes("state:unsent", Mark("false_positive", feedback(), Delivery.UNSENT))
    assert passes("state:fp", Mark("false_positive", feedback(), Delivery.UNSENT))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", 'unknown word "colour"'),
        ("kind:spike", 'unknown kind "spike"'),
        ("kind:drift,", 'unknown kind ""'),
        ("state:odd", 'unknown state "odd"'),
        ("score>high", '"high" is no number'),
        ("age<soon", "age<5m"),
        ("score>", "score> needs a value"),
        ("src>3", "src takes a colon"),
        ("/(/", "no regular expression"),
        ("!", "! needs a word"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(FilterError, match=re.escape(said)):
        parse(text)


@given(st.text(max_size=40))
def test_any_line_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except FilterError:
        return
    assert found.matches(episode(), CONFIRMED, NOW) in (True, False)
    assert bool(found) is bool(text.split())


WORDS = st.sampled_from(["btc", "eth", "kind:drift", "kind:anom", "score>.7", "n<3", "state:new", "src:mar*", "/p.ice/"])


@given(st.lists(WORDS, max_size=4))
def test_words_are_and_and_a_mark_turns_a_word_round(words: list[str]) -> None:
    assert passes(" ".join(words)) == all(passes(word) for word in words)
    for word in words:
        assert passes(f"!{word}") is not passes(word)


def test_the_catalogue_has_every_sentence_of_the_language() -> None:
    assert SENTENCES == language.SENTENCES


def test_the_plain_values_go_with_the_filter() -> None:
    found = parse("btc age<5m")
    assert found.query == language.parse("btc age<5m")
    assert (found.text, found.ages, bool(found), bool(parse(""))) == ("btc age<5m", True, True, False)
    assert not parse("average").ages


def test_a_mistake_is_said_in_the_operators_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_words, language.NO_VALUE, "{word} 需要一个值")
    with pytest.raises(FilterError, match="kind: 需要一个值"):
        parse("kind:")
