from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.duration import microseconds
from qraft.config.sources.steps_window import WindowStep
from qraft.model import derive_id
from qraft.preprocess.operators.base import ENTITY, INDEX, OWN, ROW_ID, TIME, WATERMARK
from qraft.preprocess.operators.window import WindowOperator
from tests.preprocess.frames import (
    SECOND,
    START,
    Row,
    bits,
    close,
    in_pieces,
    places,
    rows_of_any_kind,
    walk,
    watermarks,
    whole,
)

EVERYTHING = ["ohlc", "mean", "sum", "count", "std", "min", "max", "first", "last", "median", "p25", "p99", "p99.9"]


def step(**changes: Any) -> WindowStep:
    given = {"every": "10s", "aggregate": {"price": EVERYTHING, "size": ["sum"]}, "vwap": {"price": "size"}}
    return WindowStep.model_validate({"do": "window", **given, **changes})


def operator(**changes: Any) -> WindowOperator:
    return WindowOperator(step(**changes), "trades")


@given(
    rows=rows_of_any_kind,
    jumps=st.lists(st.sampled_from([0, 0, 0, 1, 20]), max_size=50),
    cuts=places,
    restores=places,
    shape=st.sampled_from(
        [
            {},
            {"allowed_lateness": "7s"},
            {"length": "30s", "allowed_lateness": "5s"},
            {"length": "20s", "max_values": 3, "max_entities": 2},
            {"every": "1s", "length": "3s", "max_open": 4, "max_entities": 2, "vwap": {}},
        ]
    ),
)
@settings(max_examples=200, deadline=None)
def test_any_cut_and_any_restore_give_the_same_rows(
    rows: list[Row], jumps: list[int], cuts: list[int], restores: list[int], shape: dict[str, Any]
) -> None:
    frame = whole(rows, watermarks(rows, jumps))
    uncut = operator(**shape)
    expected = uncut.take(frame)
    made, late, last = in_pieces(lambda: operator(**shape), frame, cuts, restores)
    assert made.schema == expected.schema
    assert bits(made) == bits(expected)
    assert late == uncut.late
    assert isinstance(last, WindowOperator)
    assert last.given_up == uncut.given_up
    assert last.state() == uncut.state()
    numbers = expected.drop(OWN).cast(pl.Float64)
    assert all(value is None or math.isfinite(value) for column in numbers for value in column)


def late_and_windows(rows: list[Row], every: int, length: int, lateness: int) -> tuple[list[int], list[tuple[int, int]]]:
    """By the words of the documentation alone: late rows, and for each other row the windows that it is in."""
    late, inside, mark = [], [], -(10**18)
    for n, (row, after) in enumerate(zip(rows, watermarks(rows), strict=True)):
        pane = row.time // every * every
        starts = [start for start in range(pane - length + every, pane + 1, every) if start + length + lateness > mark]
        inside += [(n, start) for start in starts]
        if not starts:
            late.append(n)
        mark = after
    return late, inside


def reference(rows: list[Row], every: int, length: int, lateness: int) -> pl.DataFrame:
    """The closed windows by one polars call over all rows that are in one, sorted by time (arrival where equal)."""
    _, inside = late_and_windows(rows, every, length, lateness)
    frame = whole(rows)
    pairs = pl.DataFrame(inside, schema={INDEX: pl.UInt32, "start": pl.Int64}, orient="row")
    price, size = pl.col("price"), pl.col("size")
    both = price.is_not_null() & size.is_not_null()
    present = price.drop_nulls()
    return (
        pairs.join(frame, on=INDEX)
        .sort("start", ENTITY, TIME, INDEX)
        .group_by("start", ENTITY, maintain_order=True)
        .agg(*expressions(price, size, both, present))
        .filter(pl.col("start") + length + lateness <= watermarks(rows)[-1])
        .sort("start", ENTITY)
    )


def expressions(price: pl.Expr, size: pl.Expr, both: pl.Expr, present: pl.Expr) -> list[pl.Expr]:
    quantiles = {"median": 0.5, "p25": 0.25, "p99": 0.99, "p99_9": 0.999}
    return [
        pl.len().cast(pl.Float64).alias("rows"),
        *(present.first().alias(f"price.{name}") for name in ("open", "first")),
        *(present.last().alias(f"price.{name}") for name in ("close", "last")),
        *(price.max().alias(f"price.{name}") for name in ("high", "max")),
        *(price.min().alias(f"price.{name}") for name in ("low", "min")),
        price.count().cast(pl.Float64).alias("price.count"),
        price.mean().alias("price.mean"),
        pl.when(price.count() > 0).then(price.sum()).alias("price.sum"),
        price.std(ddof=1).alias("price.std"),
        *(price.quantile(q, interpolation="linear").alias(f"price.{name}") for name, q in quantiles.items()),
        pl.when(size.count() > 0).then(size.sum()).alias("size.sum"),
        pl.when(both.any()).then((price * size).filter(both).sum() / size.filter(both).sum()).alias("price.vwap"),
    ]


EXACT = ("rows", *(f"price.{name}" for name in ("open", "high", "low", "close", "min", "max", "first", "last", "count")))
"""Equal to the bit. Sums and quantiles are rounded otherwise in polars: 1e-12 relative, std 1e-9."""


def assert_same(made: pl.DataFrame, expected: pl.DataFrame, length: int) -> None:
    assert made[TIME].to_list() == [start + length - 1 for start in expected["start"]]
    assert made[ENTITY].to_list() == expected[ENTITY].to_list()
    for name in made.drop(OWN).columns:
        ours, theirs = made[name].to_list(), expected[name].to_list()
        if name in EXACT:
            assert ours == theirs, name
        else:
            relative = 1e-9 if name == "price.std" else 1e-12
            wrong = [pair for pair in zip(ours, theirs, strict=True) if not close(*pair, relative=relative, absolute=1e-13)]
            assert not wrong, (name, wrong)


@pytest.mark.parametrize(
    ("every", "length", "lateness", "disorder"),
    [
        ("10s", "10s", "0s", 0.0),
        ("10s", "10s", "0s", 15.0),
        ("10s", "10s", "12s", 30.0),
        ("10s", "30s", "5s", 60.0),
        ("1m", "1m", "0s", 90.0),
        ("500ms", "1s", "0s", 3.0),
    ],
)
def test_windows_equal_one_polars_call_over_all_rows(every: str, length: str, lateness: str, disorder: float) -> None:
    sizes = [microseconds(text) for text in (every, length, lateness)]
    for seed in range(4):
        rows = walk(800, seed, disorder=disorder)
        window = operator(every=every, length=length, allowed_lateness=lateness)
        made = window.take(whole(rows))
        assert made.height >= 6
        assert_same(made, reference(rows, *sizes), sizes[1])
        assert window.late == late_and_windows(rows, *sizes)[0]
        assert bool(window.late) == (disorder > sizes[0] / SECOND + sizes[2] / SECOND)


@pytest.mark.parametrize(("every", "length"), [("10s", "10s"), ("10s", "1m"), ("7s", "21s")])
def test_windows_of_rows_in_order_equal_group_by_dynamic(every: str, length: str) -> None:
    rows = walk(1000, 7)
    made = operator(every=every, length=length).take(whole(rows))
    price, size = pl.col("price"), pl.col("size")
    both = price.is_not_null() & size.is_not_null()
    grouped = (
        whole(rows)
        .with_columns(pl.col(TIME).cast(pl.Datetime("us")))
        .group_by_dynamic(TIME, every=every, period=length, group_by=ENTITY, closed="left")
        .agg(*expressions(price, size, both, price.drop_nulls()))
        .with_columns(pl.col(TIME).cast(pl.Int64).alias("start"))
        .filter(pl.col("start") + microseconds(length) <= watermarks(rows)[-1])
        .sort("start", ENTITY)
    )
    # group_by_dynamic leaves out windows that start before an entity's first row
    first = {entity: grouped.filter(pl.col(ENTITY) == entity)["start"].min() for entity in "abc"}
    begun = [row[TIME] + 1 - microseconds(length) >= first[row[ENTITY]] for row in made.iter_rows(named=True)]
    assert_same(made.filter(pl.Series(begun)), grouped, microseconds(length))


def test_a_row_says_what_it_is_of_and_what_closed_it() -> None:
    rows = [
        Row(1, "b", 5.0, 1.0),
        Row(2, "a", 7.0, 3.0),
        Row(9.75, "a", 8.0, 1.0),
        Row(10, "b", 6.0),
        Row(25, "a", 1.0, 1.0),
    ]
    made = operator(aggregate={"price": ["ohlc", "count"]}).take(whole(rows, [row.time for row in rows]))
    begin = START
    assert made.to_dicts() == [
        {
            INDEX: 3,
            TIME: begin + 10 * SECOND - 1,
            ENTITY: "a",
            WATERMARK: begin + 10 * SECOND,
            ROW_ID: derive_id("window", "trades", "a", str(begin), "10000000"),
            "rows": 2.0,
            "price.open": 7.0,
            "price.high": 8.0,
            "price.low": 7.0,
            "price.close": 8.0,
            "price.count": 2.0,
            "price.vwap": 7.25,
        },
        {
            INDEX: 3,
            TIME: begin + 10 * SECOND - 1,
            ENTITY: "b",
            WATERMARK: begin + 10 * SECOND,
            ROW_ID: derive_id("window", "trades", "b", str(begin), "10000000"),
            "rows": 1.0,
            "price.open": 5.0,
            "price.high": 5.0,
            "price.low": 5.0,
            "price.close": 5.0,
            "price.count": 1.0,
            "price.vwap": 5.0,
        },
        {
            INDEX: 4,
            TIME: begin + 20 * SECOND - 1,
            ENTITY: "b",
            WATERMARK: begin + 25 * SECOND,
            ROW_ID: derive_id("window", "trades", "b", str(begin + 10 * SECOND), "10000000"),
            "rows": 1.0,
            "price.open": 6.0,
            "price.high": 6.0,
            "price.low": 6.0,
            "price.close": 6.0,
            "price.count": 1.0,
            "price.vwap": None,
        },
    ]


def test_windows_start_at_multiples_since_the_epoch_before_1970_too() -> None:
    rows = [Row((at - START) / SECOND, "", 1.0) for at in (-25 * SECOND, -1, 0, 30 * SECOND)]
    made = operator(vwap={}).take(whole(rows, [row.time for row in rows]))
    assert made[TIME].to_list() == [-20 * SECOND - 1, -1, 10 * SECOND - 1]


def test_a_row_is_late_once_an_event_before_it_closed_its_last_window() -> None:
    times = [1, 11, 2, 12, 9, 3, 12, 30, 11, 25]
    marks = [1, 9, 10, 10, 12, 12, 12, 22, 22, 22]
    rows = [Row(at, "", 1.0, 1.0) for at in times]
    window = operator(allowed_lateness="2s", vwap={})
    made = window.take(whole(rows, [START + mark * SECOND for mark in marks]))
    assert made[INDEX].to_list() == [4, 7]
    assert made["rows"].to_list() == [3.0, 3.0]  # 1, 2 and 9, which arrives with the closing event; 11, 12, 12
    assert window.late == [5, 8]


def test_a_row_that_misses_its_first_window_is_in_the_next() -> None:
    rows = [Row(at, "", 1.0, 1.0) for at in (1, 21, 15, 60)]
    window = operator(length="20s", vwap={})
    made = window.take(whole(rows, [START + mark * SECOND for mark in (1, 20, 21, 60)]))
    assert window.late == []
    rows_by_end = dict(zip([(time + 1 - START) // SECOND for time in made[TIME]], made["rows"], strict=True))
    assert rows_by_end == {10: 1.0, 20: 1.0, 30: 2.0, 40: 1.0}


def test_late_says_only_the_last_call() -> None:
    window = operator(vwap={})
    window.take(whole([Row(1), Row(50), Row(2)], [START, START + 50 * SECOND, START + 50 * SECOND]))
    assert window.late == [2]
    window.take(whole([], []))
    assert window.late == []


def test_windows_of_windows_lose_nothing() -> None:
    rows = [row for row in walk(2000, 3) if not 100 < row.at < 260]  # a silence, after which many windows close at once
    direct = operator(every="1m", aggregate={"price": ["ohlc", "sum", "count"]}, vwap={})
    fine = operator(every="10s", aggregate={"price": ["ohlc", "sum", "count"]}, vwap={})
    kinds = {
        f"price.{name}": [kind] for name, kind in (("open", "first"), ("high", "max"), ("low", "min"), ("close", "last"))
    }
    coarse = operator(every="1m", aggregate=kinds | {"price.count": ["sum"], "rows": ["sum"]}, vwap={})
    expected = direct.take(whole(rows))
    made = coarse.take(fine.take(whole(rows)))
    assert coarse.late == []
    assert expected.height > 10
    same = {
        "rows.sum": "rows",
        "price.open.first": "price.open",
        "price.high.max": "price.high",
        "price.low.min": "price.low",
        "price.close.last": "price.close",
        "price.count.sum": "price.count",
    }
    assert made.select([TIME, ENTITY, INDEX, *same]).rows() == expected.select([TIME, ENTITY, INDEX, *same.values()]).rows()


def test_text_and_absent_fields_make_nulls() -> None:
    rows = [Row(1, "", 1.0), Row(20, "", 1.0)]
    window = operator(aggregate={"note": ["ohlc", "count"], "absent": ["mean", "std", "p50"]}, vwap={"note": "price"})
    made = window.take(whole(rows, [row.time for row in rows]))
    assert made.drop(OWN).row(0) == (1.0, None, None, None, None, 0.0, None, None, None, None)


def test_zero_has_no_sign() -> None:
    made = operator().take(whole([Row(1, "", -0.0), Row(2, "", -0.0), Row(20)], [START, START, START + 20 * SECOND]))
    assert str(made.select("price.open", "price.min", "price.sum", "price.p99").row(0)) == "(0.0, 0.0, 0.0, 0.0)"


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [None, None], [1e99, -1e-300]])
def test_vwap_is_null_or_finite(weights: list[float | None]) -> None:
    rows = [Row(n, "", 1e99 * (1 - 2 * n), weight) for n, weight in enumerate(weights)]
    made = operator().take(whole([*rows, Row(99)], [START, START, START + 99 * SECOND]))
    value = made["price.vwap"][0]
    assert value is None or abs(value) <= 1e100


def test_the_least_recently_seen_entity_gives_way() -> None:
    rows = [Row(n, name, 1.0) for n, name in enumerate("abacabd")] + [Row(99, "a", 1.0)]
    window = operator(max_entities=2, vwap={})
    made = window.take(whole(rows, [START] * 7 + [START + 99 * SECOND]))
    assert made.select(ENTITY, "rows").rows() == [("d", 1.0)]  # b gave way to c, c to b, a to d, b to the a that closed it
    assert window.given_up == 1 + 1 + 3 + 1


def test_the_row_that_would_open_one_window_too_many_is_given_up() -> None:
    window = operator(max_open=3, vwap={})
    made = window.take(whole([Row(at, "", 1.0) for at in (1, 11, 999, 21, 2, 31)], [START] * 5 + [START + 40 * SECOND]))
    assert made["rows"].to_list() == [2.0, 1.0]
    assert window.given_up == 2
    made = window.take(whole([Row(45, "", 1.0)], [START + 60 * SECOND]))
    assert made["rows"].to_list() == [1.0]


def test_values_kept_for_quantiles_are_bounded() -> None:
    rows = [Row(n / 100, "", float(n)) for n in range(500)]
    for kinds, kept in ((["p50"], 100.0), (["mean"], 500.0)):
        window = operator(aggregate={"price": kinds}, vwap={}, max_values=100)
        made = window.take(whole([*rows, Row(20, "other")], [START] * 500 + [START + 20 * SECOND]))
        assert made["rows"].to_list() == [kept]
        assert window.given_up == 500 - kept


def test_what_is_remembered_does_not_grow_with_the_rows() -> None:
    window = operator(every="1h", aggregate={"price": ["ohlc", "mean", "std"]})
    sizes = []
    for part in range(4):
        rows = [Row(part * 100 + row.at, row.entity, row.price, row.size) for row in walk(400, part)]
        window.take(whole(rows))
        sizes.append(len(repr(window.state())))
    assert sizes[-1] < 1.1 * sizes[0]
    assert sizes[-1] < 4000


def test_origins_go_through_to_the_source() -> None:
    window = operator(aggregate={"mid": ["ohlc", "p99.9"], "size": ["sum"]}, vwap={"mid": "size"})
    assert window.origins({"mid": "bid", "gone": "x"}) == {
        **dict.fromkeys(["mid.open", "mid.high", "mid.low", "mid.close", "mid.p99_9", "mid.vwap"], "bid"),
        "size.sum": "size",
    }
