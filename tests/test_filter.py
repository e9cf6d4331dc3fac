"""The filter language as plain values: what is read, what is refused and how, globs, completions."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, strategies as st

from qraft.detect.kinds import KINDS
from qraft.filter import SENTENCES, WHATS, Filter, FilterError, Term, completions, glob_regex, parse, regex


def test_words_become_plain_values() -> None:
    found = parse(" BTC !kind:d,anom source:Bin*,x score:.7 n>=3 age<5m !!/Up$/ state:fp,falsepos what:Mean,si* ")
    assert found.text == "BTC !kind:d,anom source:Bin*,x score:.7 n>=3 age<5m !!/Up$/ state:fp,falsepos what:Mean,si*"
    assert found.terms == (
        Term("text", values=("btc",)),
        Term("kind", values=("drift", "anomaly"), negated=True),
        Term("src", values=("bin*", "x")),
        Term("score", "=", number=0.7),
        Term("n", ">=", number=3.0),
        Term("age", "<", number=300.0),
        Term("regex", values=("Up$",)),
        Term("state", values=("false_positive",)),
        Term("what", values=("mean", "si*")),
    )
    assert found == parse(found.text)
    assert found.ages
    assert not parse("n>3 average").ages


def test_an_empty_filter_is_false() -> None:
    assert not parse("  ")
    assert not Filter()
    assert parse("x")


@pytest.mark.parametrize(
    ("text", "seconds"), [("age<90", 90), ("age<1.5m", 90), ("age<90S", 90), ("age<1h", 3600), ("age<2d", 172_800)]
)
def test_ages_have_units(text: str, seconds: float) -> None:
    assert parse(text).terms[0].number == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour:red", 'unknown word "colour"; known: kind, what, src'),
        ("sorce:x", 'unknown word "sorce"; did you mean "source"? known:'),
        ("kind:spike", 'unknown kind "spike"; known: drift, anomaly, cluster'),
        ("state:odd", 'unknown state "odd"; known: new, confirmed, fp, expected, normal, unsent'),
        ("score>nan", '"nan" is no number; write for example score>.7'),
        ("n>{x}", '"{x}" is no number; write for example n>10'),
        ("age<m", '"m" is no number; write for example age<5m'),
        ("source>3", "source takes a colon, as in source:3"),
        ("det:", "det: needs a value"),
        ("!!", "! needs a word behind it"),
        ("/(?u)x/", "/(?u)x/ is no regular expression: "),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(FilterError, match="^" + re.escape(said)) as caught:
        parse(text)
    assert caught.value.sentence in SENTENCES
    assert caught.value.sentence.format(**caught.value.values) == str(caught.value)


@given(st.text(max_size=40))
def test_any_line_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except FilterError:
        return
    assert len(found.terms) == len(text.split())


@given(st.text("ab-]![*?^\\.价", max_size=8), st.text("ab-]![^\\.价\n", max_size=4))
def test_globs_are_the_shells(glob: str, text: str) -> None:
    assert bool(re.fullmatch(glob_regex(glob), text)) == fnmatchcase(text, glob)


def test_a_regex_looks_at_capitals_like_at_small_letters() -> None:
    assert regex("GRÖSSE [A-Z]").search("größe grösse x")
    assert not regex(r"\w").search("价")


def test_the_kinds_known_are_those_of_the_detectors() -> None:
    assert set(WHATS) == set(KINDS)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["kind:", "what:", "src:", "entity:", "field:", "by:", "det:", "state:", "score>", "n>=", "age<"]),
        ("x !s", ["!src:", "!state:", "!score>"]),
        ("b", ["by:", "src:Binance", "src:btc"]),
        ("d", ["det:", "det:drift"]),
        ("src:bi", ["src:Binance"]),
        ("source:b", ["source:Binance", "source:btc"]),
        ("!kind:drift,", ["!kind:drift,anomaly", "!kind:drift,cluster"]),
        ("what:si", ["what:silence"]),
        ("field:", ["field:cpu"]),
        ("by:", ["by:ann"]),
        ("state:c", ["state:confirmed"]),
        ("odd:x", []),
        ("score>", []),
    ],
)
def test_the_last_word_is_completed(typed: str, offered: list[str]) -> None:
    known = {"sources": ["Binance", "btc"], "detectors": ["drift"], "fields": ["cpu", "with space"], "users": ["ann"]}
    assert completions(typed, **known) == offered


@given(st.text(max_size=10))
def test_every_completion_goes_on_from_what_was_typed(typed: str) -> None:
    word = typed.rsplit(" ", maxsplit=1)[-1]
    for one in completions(typed, sources=["Binance", "a1"], detectors=["drift"]):
        assert one.lower().startswith(word.lower()) or one.split(":", 1)[1].lower().startswith(word.lstrip("!").lower())
