"""What the embedded ClickHouse reads out of a statement."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from qraft.embedded.clickhouse_sql import (
    first_word,
    output_format,
    quote,
    quote_name,
    reads,
    set_statement,
    split_insert,
    streams,
    waits_for_drop,
)


@pytest.mark.parametrize(
    ("statement", "head", "settings", "form", "data"),
    [
        (b"INSERT INTO t FORMAT JSONEachRow\n{}", b"INSERT INTO t ", b"", "JSONEachRow", b"{}"),
        (b"insert into t (a, b) format Native \r\n\x00\n", b"insert into t (a, b) ", b"", "Native", b"\x00\n"),
        (b"INSERT INTO t FORMAT CSV 1,2", b"INSERT INTO t ", b"", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT TSV\n\n", b"INSERT INTO t ", b"", "TSV", b"\n"),
        (b"INSERT INTO t SETTINGS a='FORMAT x' FORMAT TSV\n1", b"INSERT INTO t ", b"SETTINGS a='FORMAT x' ", "TSV", b"1"),
        (b"INSERT INTO t SETTINGS a=1 VALUES (2)", b"INSERT INTO t ", b"SETTINGS a=1 ", "Values", b" (2)"),
        (b"-- FORMAT no\nINSERT INTO `FORMAT` FORMAT TSV\n1", b"-- FORMAT no\nINSERT INTO `FORMAT` ", b"", "TSV", b"1"),
        (b"INSERT INTO values VALUES (1)", b"INSERT INTO values ", b"", "Values", b" (1)"),
        (b"INSERT INTO d.format FORMAT TSV\n1", b"INSERT INTO d.format ", b"", "TSV", b"1"),
        (b"/* VALUES */ INSERT INTO t VALUES (1), (2)", b"/* VALUES */ INSERT INTO t ", b"", "Values", b" (1), (2)"),
        (b"INSERT INTO t (values) VALUES (1)", b"INSERT INTO t (values) ", b"", "Values", b" (1)"),
    ],
)
def test_insert_is_cut_where_its_data_begins(statement: bytes, head: bytes, settings: bytes, form: str, data: bytes) -> None:
    found = split_insert(statement)
    assert found is not None
    assert (found.head, found.settings, found.format, bytes(found.data)) == (head, settings, form, data)


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT 1 FORMAT JSON",
        b"INSERT INTO t SELECT 'VALUES' FORMAT x",
        b"INSERT INTO t FROM INFILE 'a' FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t",
        b"",
    ],
)
def test_statement_without_data_is_left_alone(statement: bytes) -> None:
    assert split_insert(statement) is None


@given(st.binary())
def test_any_data_comes_through(data: bytes) -> None:
    found = split_insert(b"INSERT INTO t FORMAT Native\n" + data)
    assert found is not None
    assert bytes(found.data) == data


@given(st.binary(max_size=200))
def test_no_statement_breaks_the_reader(statement: bytes) -> None:
    first_word(statement)
    split_insert(b"INSERT " + statement)
    output_format(statement, "x")


def test_kinds() -> None:
    assert first_word(b" \n -- a\n /* b */ select 1") == b"SELECT"
    assert reads(b"(SELECT 1)")
    assert reads(b"WITH 1 AS x SELECT x")
    assert not reads(b"CREATE TABLE t AS SELECT 1")
    assert not reads(b"")


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        (b"SELECT 1", "TSV"),
        (b"SELECT 1\n FORMAT Native", "Native"),
        (b"SELECT 1 format JSON;\n", "JSON"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 'FORMAT JSON'", "TSV"),
    ],
)
def test_output_format(statement: bytes, form: str) -> None:
    assert output_format(statement, "TSV") == form


def test_waiting_for_a_drop_is_seen() -> None:
    assert waits_for_drop(b"drop table d.t sync")
    assert not waits_for_drop(b"DROP TABLE d.sync")
    assert not waits_for_drop(b"SELECT 1 AS sync")


def test_only_formats_without_head_and_foot_stream() -> None:
    assert streams(b"SELECT 1", "Native")
    assert not streams(b"SELECT 1", "JSON")
    assert not streams(b"SHOW TABLES", "Native")


def test_quoting() -> None:
    assert quote("it's \\ a") == "'it\\'s \\\\ a'"
    assert quote_name("a`b") == "`a\\`b`"
    assert set_statement({"a": "1", "b": "x' , c = '2"}) == "SET a = '1', b = 'x\\' , c = \\'2'"
    with pytest.raises(ValueError, match="UNKNOWN_SETTING"):
        set_statement({"a = 1, b": "2"})
