"""A filter as SQL: values are bound, what can sort out patterns does so; literals are safe against any text."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.filter import parse
from qraft.store.errors import StoreRejected
from qraft.store.filters import CANNOT_COMPILE_REGEXP, conditions, refused
from qraft.store.literal import literal, with_literals


def test_words_of_the_group_sort_out_patterns_and_the_rest_episodes() -> None:
    found = conditions(parse("src:a det:b !kind:drift entity:c n>1 score<.5 age>1m state:new by:x"), 7)
    assert len(found.patterns) == 4
    assert len(found.episodes) == 5
    assert not found.texts
    for text in ("word", "/re/", "what:x", "field:x"):
        assert conditions(parse(text), 0).texts


@given(st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=12))
def test_no_text_of_a_user_stands_in_the_sql(text: str) -> None:
    typed = "Q" + text.replace(":", "").replace("<", "").replace(">", "").replace("=", "")
    found = conditions(parse(typed), 0)
    assert found.episodes == conditions(parse("other"), 0).episodes


def test_only_a_regex_is_blamed_for_a_regex() -> None:
    error = StoreRejected("no", CANNOT_COMPILE_REGEXP)
    assert "/a/ or /b/ cannot be looked for" in str(refused(error, parse("/a/ /b/")))
    assert refused(error, parse("a")) is error
    other = StoreRejected("no", 1)
    assert refused(other, parse("/a/")) is other


def asked(url: str, sql: str) -> str:
    answer = httpx.post(url, content=sql, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=20, max_size=20))
def test_a_literal_is_read_as_the_text_it_was_made_of(clickhouse_url: str, texts: list[str]) -> None:
    texts = [*texts, "'; DROP TABLE x; --", "\\", "\\'", "a\nb\tc\0d", "{x:String}", "🦀 价格", "\x7f\x85"]
    sql = with_literals(
        "SELECT arrayStringConcat(arrayMap(x -> hex(x), {all:Array(String)}), ','), {last:String} = {all:Array(String)}[-1]",
        {"all": texts, "last": texts[-1]},
    )
    assert not any(char in sql for char in "\n\t\r\0")
    said, same = asked(clickhouse_url, sql).rstrip("\n").split("\t")
    assert [bytes.fromhex(one).decode() for one in said.split(",")] == texts
    assert same == "1"


def test_numbers_keep_their_type(clickhouse_url: str) -> None:
    sql = with_literals(
        "SELECT toTypeName({a:Int64}), toTypeName({b:Float64}), {b:Float64} = 0.1 + 0.2", {"a": -1, "b": 0.1 + 0.2}
    )
    assert asked(clickhouse_url, sql) == "Int64\tFloat64\t1\n"


def test_a_place_without_a_value_is_an_error() -> None:
    assert literal(["it's"]) == "['it\\'s']"
    with pytest.raises(KeyError):
        with_literals("SELECT {a:Int64}", {})
