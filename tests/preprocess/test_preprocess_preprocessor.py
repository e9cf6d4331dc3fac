"""The law of cuts for steps: the same rows, dead letters and order however the stream is cut and interrupted."""

from __future__ import annotations

import math
import pickle
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.sources import SourceSettings
from qraft.model import CleanEvent, DeadLetter, Event, iso_from_us
from qraft.preprocess import Cleaner, Outcome, Rejected
from qraft.preprocess.intake import MAX_COLUMNS
from qraft.preprocess.preprocessor import Preprocessor

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def event(at: int, payload: dict[str, Any], seconds: float | None = None) -> Event:
    moment = START + round((at if seconds is None else seconds) * SECOND)
    return Event(event_id=f"e{at}", source="s", type="t", timestamp=iso_from_us(moment), payload=payload)


def stream(*payloads: dict[str, Any]) -> list[Event]:
    return [event(at, payload) for at, payload in enumerate(payloads)]


def preprocessor(*steps: dict[str, Any], **changes: Any) -> Preprocessor:
    return Preprocessor("s", SourceSettings.model_validate({"steps": list(steps), **changes}))


def fields(outcomes: list[Outcome]) -> list[dict[str, float] | None]:
    """The fields of each event's one row; None where there is none."""
    return [outcome[0].fields if isinstance(outcome, list) and outcome else None for outcome in outcomes]


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-5, 5) | st.sampled_from([0.0, -0.0, math.nan, math.inf, 1e200, 10**400])
TEXTS = st.sampled_from(["", "x", "BTC", "007", "1.5", " 2 ", "nan", "true", "no", "-3e2", "2024-01-01", "\ud800"])
VALUES = NUMBERS | TEXTS | st.booleans() | st.none()
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "price": NUMBERS | st.sampled_from(["61.5", "x", None]),
        "size": VALUES,
        "sym": st.sampled_from(["BTC", "ETH", "7", 7, 7.5, None, True]),
        "flag": st.booleans() | VALUES,
        "a": st.dictionaries(st.sampled_from(["b", "c"]), VALUES, max_size=2) | st.lists(VALUES, max_size=2),
        "_id": st.just("mongo"),
        "e": VALUES,
        "f": VALUES,
    },
)
STEPS: list[dict[str, Any]] = [
    {"do": "select", "fields": ["price", "s*", "a", "made", "flag"]},
    {"do": "rename", "fields": {"size": "price", "price": "size"}},
    {"do": "rename", "fields": {"other": "a.b", "e": "nowhere"}},
    {"do": "cast", "fields": {"sym": "string", "flag": "bool"}},
    {"do": "cast", "fields": {"size": "float", "price": "string", "e": "time"}},
    {"do": "derive", "fields": {"made": "price * size", "twice": "made + made", "price": "price / 2"}},
    {"do": "derive", "fields": {"made": "COALESCE(never, sym, e)", "long": "LENGTH(sym) + 1"}},
    {"do": "derive", "fields": {"made": "CASE WHEN flag THEN a.b ELSE f END", "age": "(_time - e) / 1e6"}},
    {"do": "derive", "fields": {"risky": "CAST(sym AS INT) + 1"}},
    {"do": "derive", "fields": {"risky": "CASE WHEN size > 0 THEN CAST(sym AS INT) ELSE CAST(e AS DOUBLE) // size END"}},
    {"do": "filter", "expression": "flag OR CAST(sym AS INT) > 7 OR price // size > 1"},
    {"do": "filter", "expression": "price > 0 OR size IS NULL"},
    {"do": "filter", "expression": "sym <> 'BTC' OR flag"},
    {"do": "entity", "fields": ["sym", "e"]},
    {"do": "entity", "expression": "UPPER(sym)"},
    {"do": "fill", "fields": ["price", "flag", "never"], "max_rows": 2},
    {"do": "fill", "fields": ["size", "sym"], "max_age": "3s", "max_entities": 2},
    {"do": "fill", "fields": ["size", "e"], "value": 0.0},
    {"do": "fill", "fields": ["f", "sym"], "value": "none"},
    {"do": "window", "every": "3s", "aggregate": {"price": ["mean", "last"], "size": ["count"]}},
    {"do": "features", "of": {"price": ["diff", "rolling_mean(3)"]}, "calendar": ["time_of_day"]},
]
EVENTS = st.lists(st.tuples(PAYLOADS, st.integers(-4, 2)), max_size=40).map(
    lambda rows: [event(at if at % 9 != 8 else at - 1, payload, at + shift) for at, (payload, shift) in enumerate(rows)]
)


@settings(max_examples=150, deadline=None)
@given(
    events=EVENTS,
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=4),
    cuts=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=12),
    changes=st.sampled_from([{}, {"fields": ["price", "made"]}, {"entity": "sym", "allowed_lateness_seconds": 2.0}]),
)
def test_any_cut_gives_the_same(
    events: list[Event], steps: list[dict[str, Any]], cuts: list[tuple[int, bool]], changes: dict[str, Any]
) -> None:
    whole = preprocessor(*steps, **changes)
    expected = whole.take(events)
    pieces, at, found = preprocessor(*steps, **changes), 0, list[Outcome]()
    for size, restored in [*cuts, (len(events), False)]:
        found += pieces.take(events[at : at + size])
        at += size
        if restored:
            state = pickle.dumps(pieces.state())
            pieces.take([event(10_000 + at, {"price": 1e5, "new": "x"}, 1e5)])  # leaves no trace in what was saved
            pieces = preprocessor(*steps, **changes)
            pieces.load(pickle.loads(state))
    assert list(map(repr, found)) == list(map(repr, expected))  # repr tells -0.0 from 0.0, and one order from another
    assert repr(pieces.state()) == repr(whole.state())
    assert pieces.dropped == whole.dropped


def column(draw: Any, values: st.SearchStrategy[Any], rows: int) -> list[Any]:
    return list(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)))


@st.composite
def tables(draw: Any) -> dict[str, list[Any]]:
    """Columns of one type each, with gaps; the first row has everything."""
    rows = draw(st.integers(0, 40))
    price = st.floats(0.5, 1e4) | st.floats(-5, 5)
    return {
        "bid": [1.25, *column(draw, price, rows)],
        "ask": [1.5, *column(draw, price, rows)],
        "sym": ["BTC", *column(draw, st.sampled_from(["BTC", "ETH", "SOL"]), rows)],
        "live": [True, *column(draw, st.booleans(), rows)],
        "text": ["x", *column(draw, st.sampled_from(["1", "2.5", "x", "3e2"]), rows)],
    }


@settings(max_examples=60, deadline=None)
@given(table=tables(), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_steps_agree_with_one_polars_call(table: dict[str, list[Any]], sizes: list[int]) -> None:
    """The reference is polars alone, over the whole input."""
    frame = pl.DataFrame(
        table, schema={"bid": pl.Float64, "ask": pl.Float64, "sym": pl.String, "live": pl.Boolean, "text": pl.String}
    )
    reference = (
        frame.with_row_index("at")
        .with_columns(pl.col("text").cast(pl.Float64, strict=False).alias("number"), pl.col("bid").alias("b"))
        .drop("text", "bid")
        .with_columns(pl.col("b").forward_fill(limit=2).over("sym", order_by="at"))
        .with_columns(pl.col("ask").fill_null(7.0))
        .with_columns(((pl.col("b") + pl.col("ask")) / 2).alias("mid"))
        .with_columns((pl.col("ask") - pl.col("b")).alias("spread"))
        .with_columns(pl.when(pl.col("mid") > 1).then(pl.col("spread") / pl.col("mid")).otherwise(None).alias("relative"))
        .filter(pl.col("live") & ((pl.col("mid") > 0) | pl.col("number").is_not_null()))
    )
    steps = preprocessor(
        {"do": "entity", "fields": ["sym"]},
        {"do": "rename", "fields": {"b": "bid", "number": "text"}},
        {"do": "cast", "fields": {"number": "float"}},
        {"do": "fill", "fields": ["b"], "max_rows": 2},
        {"do": "fill", "fields": ["ask"], "value": 7.0},
        {
            "do": "derive",
            "fields": {
                "mid": "(b + ask) / 2",
                "spread": "ask - b",
                "relative": "CASE WHEN mid > 1 THEN spread / mid END",
            },
        },
        {"do": "filter", "expression": "live AND (mid > 0 OR number IS NOT NULL)"},
    )
    events = stream(*frame.to_dicts())
    found, at = list[Outcome](), 0
    while at < len(events):
        size = sizes[len(found) % len(sizes)]
        found += steps.take(events[at : at + size])
        at += size
    kept = {int(one.event_id[1:]): one for outcome in found if isinstance(outcome, list) for one in outcome}
    expected = {
        row.pop("at"): {name: value + 0.0 for name, value in row.items() if isinstance(value, float)}
        for row in reference.to_dicts()
    }
    assert {at: one.fields for at, one in kept.items()} == expected
    assert [one.entity for one in kept.values()] == [row or "" for row in reference["sym"]]
    assert sum(outcome is Rejected.FILTERED for outcome in found) == len(events) - len(kept)


def test_types_are_fixed_by_the_first_value_and_casts_override() -> None:
    events = stream(
        {"x": None, "y": ""}, {"x": "1.5", "y": "a"}, {"x": "text", "y": 2}, {"x": True, "y": "b"}, {"x": 7, "y": "3"}
    )
    plain = preprocessor({"do": "derive", "fields": {"has": "CASE WHEN y IS NULL THEN 0 ELSE 1 END"}})
    assert fields(plain.take(events)) == [
        {"has": 0.0},
        {"has": 1.0, "x": 1.5},
        {"has": 0.0},
        {"has": 1.0},
        {"has": 1.0, "x": 7.0},
    ]
    assert plain.dropped == 3  # "text", true and 2
    cast = preprocessor(
        {"do": "cast", "fields": {"y": "string", "x": "bool"}}, {"do": "derive", "fields": {"n": "LENGTH(y)", "t": "x + 1"}}
    )
    assert fields(cast.take(events)) == [{}, {"n": 1.0}, {"n": 1.0}, {"n": 1.0, "t": 2.0}, {"n": 1.0, "t": 2.0}]


def test_a_text_that_is_a_number_keeps_its_zeros_where_it_names_an_entity() -> None:
    events = stream({"code": "000001", "p": 1}, {"code": 1, "p": 2}, {"code": "BRK.B", "p": 3}, {"p": 4})
    for steps in (
        [{"do": "entity", "fields": ["code"]}],
        [{"do": "rename", "fields": {"c": "code"}}, {"do": "entity", "fields": ["c"]}],
        [{"do": "cast", "fields": {"code": "string"}}, {"do": "entity", "expression": "COALESCE(code, '')"}],
    ):
        rows = preprocessor(*steps).take(events)
        assert [row[0].entity for row in rows if isinstance(row, list)] == ["000001", "1", "BRK.B", ""]
    used = preprocessor({"do": "filter", "expression": "code > 0"}, {"do": "entity", "fields": ["code", "p"]}).take(
        events[:1]
    )
    assert isinstance(used[0], list)
    assert used[0][0].entity == "1/1"


def test_a_time_is_read_once() -> None:
    rows = preprocessor(
        {"do": "cast", "fields": {"sent": "time"}}, {"do": "derive", "fields": {"delay": "(_time - sent) / 1e6"}}
    ).take(
        [
            event(0, {"sent": "2023-11-14T22:13:19.5Z"}),
            event(1, {"sent": START // SECOND}),
            event(2, {"sent": 12}),
            event(3, {"sent": "soon"}),
        ]
    )
    delays = [row["delay"] if row and "delay" in row else None for row in fields(rows)]
    assert delays == [0.5, 1.0, START / 1e6 + 2 - 12, None]


def test_what_a_filter_removes_is_told_apart() -> None:
    rows = preprocessor({"do": "filter", "expression": "x > 0"}).take(stream({"x": 1}, {"x": -1}, {"y": 1}, {"x": "nan"}))
    assert fields(rows[:1]) == [{"x": 1.0}]
    assert rows[1:] == [Rejected.FILTERED] * 3
    assert preprocessor({"do": "filter", "expression": "gone > 0"}).take(stream({"x": 1})) == [Rejected.FILTERED]


def test_the_universal_step_comes_first() -> None:
    steps = preprocessor({"do": "derive", "fields": {"y": "x * 2"}}, time="at", allowed_lateness_seconds=5.0)
    payloads: list[dict[str, Any]] = [{"at": at, "x": 1} for at in (100, 101, 102, 90)]
    events = stream(*payloads, {"x": 1}, {"at": 103, "x": 2})
    rows = steps.take([*events, events[0]])
    assert fields(rows) == [{"x": 1.0, "y": 2.0}] * 3 + [None, None, {"x": 2.0, "y": 4.0}, None]
    assert rows[3] is Rejected.LATE
    assert isinstance(rows[4], DeadLetter)
    assert "no time field 'at'" in rows[4].reason
    assert rows[6] is Rejected.DUPLICATE


def test_a_message_of_another_kind_is_a_dead_letter_and_a_gap_is_not() -> None:
    derive = {"do": "derive", "fields": {"y": "x * 2"}}
    ack, gap, inf, other = {"msg": "subscribed"}, {"x": None}, {"x": math.inf}, {"z": 3}
    rows = preprocessor(derive).take(stream(ack, gap, inf, other))
    assert isinstance(rows[0], DeadLetter)
    assert rows[0].reason == "the payload has no numeric field"
    assert fields(rows) == [None, {}, {}, {"z": 3.0}]
    only = preprocessor(derive, fields=["y"]).take(stream(other, {"x": 1}))
    assert isinstance(only[0], DeadLetter)
    assert "none of the watched fields (y)" in only[0].reason
    warming = preprocessor({"do": "features", "of": {"x": ["diff"]}, "keep": False}).take(stream(ack, {"x": 1}, {"x": 3}))
    assert isinstance(warming[0], DeadLetter)
    assert fields(warming)[1:] == [{}, {"x.diff": 2.0}]


def test_a_row_that_cannot_be_computed_is_a_dead_letter_and_the_rest_goes_on() -> None:
    steps = preprocessor(
        {"do": "cast", "fields": {"n": "string"}},
        {"do": "derive", "fields": {"v": "CAST(n AS INT)"}},
        {"do": "fill", "fields": ["v"], "value": 5.0},
    )
    rows = steps.take(stream({"n": "4", "k": 1}, {"n": "x5", "k": 3}, {"n": "6", "k": 1}))
    assert fields(rows) == [{"k": 1.0, "v": 4.0}, None, {"k": 1.0, "v": 6.0}]
    assert isinstance(rows[1], DeadLetter)
    assert rows[1].reason.startswith("steps[1] (derive): conversion from `str` to `i32` failed")


def test_types_that_do_not_fit_an_expression_are_told_in_words() -> None:
    rows = preprocessor({"do": "derive", "fields": {"y": "x * 2"}}).take(stream({"k": 1}, {"x": "text", "k": 1}, {"k": 2}))
    assert fields(rows) == [{"k": 1.0}, None, None]
    assert isinstance(rows[1], DeadLetter)
    assert rows[1].reason == ("steps[0] (derive): cannot be computed where x is text; a cast before it says what a field is")


def test_a_window_gives_rows_of_its_own() -> None:
    window = {"do": "window", "every": "2s", "aggregate": {"x": ["mean", "count"]}}
    rows = preprocessor(window, {"do": "derive", "fields": {"x.twice": "x.mean * 2"}}).take(
        [event(at, {"x": at, "y": 1}) for at in range(6)]
    )
    made = [row for outcome in rows if isinstance(outcome, list) for row in outcome]
    assert [row.fields for row in made] == [
        {"rows": 2.0, "x.count": 2.0, "x.mean": 0.5, "x.twice": 1.0},
        {"rows": 2.0, "x.count": 2.0, "x.mean": 2.5, "x.twice": 5.0},
    ]
    assert not {row.event_id for row in made} & {f"e{at}" for at in range(6)}
    assert [len(outcome) for outcome in rows if isinstance(outcome, list)] == [0, 0, 0, 1, 0, 1]


def test_rows_too_late_for_a_window_are_late() -> None:
    steps = preprocessor({"do": "window", "every": "2s", "aggregate": {"x": ["mean"]}})
    rows = steps.take([event(at, {"x": 1.0}, seconds) for at, seconds in enumerate((0, 4, 5, 9, 0.5))])
    assert rows[-1] is Rejected.LATE


def test_features_know_their_origin() -> None:
    steps = preprocessor(
        {"do": "rename", "fields": {"price": "p"}},
        {"do": "derive", "fields": {"mid": "(bid + ask) / 2", "size": "size * 2", "rel": "(ask - bid) / mid"}},
        {"do": "features", "of": {"price": ["log_return"], "mid": ["diff"]}},
    )
    assert steps.origins == {
        "price": "p",
        "price.log_return": "p",
        "mid": "ask, bid",
        "mid.diff": "ask, bid",
        "rel": "ask, bid",
    }


def test_time_and_entity_fields_are_not_watched_under_their_new_names_either() -> None:
    rename = {"do": "rename", "fields": {"when": "t", "who": "id"}}
    rows = preprocessor(rename, time="t", entity="id").take(stream({"t": START // SECOND, "id": 7, "x": 1}))
    assert fields(rows) == [{"x": 1.0}]


def test_the_number_of_fields_is_bounded_and_named_ones_find_room() -> None:
    steps = preprocessor({"do": "derive", "fields": {"y": "wanted + 1"}})
    for at in range(3 * MAX_COLUMNS):
        steps.take([event(at, {f"k{at}": 1.0})])
    rows = steps.take([event(10**6, {"wanted": 1.0, "one more": 1.0, "k0": 2.0}, 9)])
    assert fields(rows) == [{"k0": 2.0, "wanted": 1.0, "y": 2.0}]
    assert steps.dropped == 2 * MAX_COLUMNS + 1
    assert len(steps.state()["intake"]["kinds"]) == MAX_COLUMNS + 1
    select = preprocessor({"do": "select", "fields": ["k7*"]})
    rows = select.take([event(0, {f"k{at}": 1.0 for at in range(1000)})])
    assert len(fields(rows)[0] or {}) == 111
    assert select.dropped == 0


def test_the_values_kept_to_fill_are_bounded() -> None:
    steps = preprocessor(
        {"do": "entity", "fields": ["who"]}, {"do": "fill", "fields": ["x"], "max_rows": 9, "max_entities": 5}
    )
    for at in range(200):
        steps.take([event(at, {"who": f"w{at}", "x": 1.0, "y": 1})])
    assert len(steps.state()["operators"][1]) == 5
    rows = steps.take([event(300, {"who": "w199", "y": 1}), event(301, {"who": "w3", "y": 1})])
    assert fields(rows) == [{"x": 1.0, "y": 1.0}, {"y": 1.0}]


@pytest.mark.parametrize(
    ("bound", "filled"),
    [
        ({"max_rows": 1}, [1.0, 1.0, None, None]),
        ({"max_age": "2s"}, [1.0, 1.0, 1.0, None]),
        ({"value": 0}, [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_fill_holds_its_bound(bound: dict[str, Any], filled: list[float | None]) -> None:
    rows = preprocessor({"do": "fill", "fields": ["x"], **bound}).take(
        stream({"x": 1, "y": 1}, {"y": 1}, {"y": 1}, {"y": 1})
    )
    assert [row.get("x") if row else None for row in fields(rows)] == filled


def test_state_goes_from_no_steps_to_steps_and_back() -> None:
    events = stream({"x": 1}, {"x": 2})
    cleaner = Cleaner("s", SourceSettings())
    cleaner.take(events[0])
    steps = preprocessor({"do": "fill", "fields": ["x"], "max_rows": 3})
    steps.load(cleaner.state())
    assert steps.take(events)[0] is Rejected.DUPLICATE
    other = preprocessor({"do": "fill", "fields": ["x"], "max_rows": 4})
    other.load(steps.state())
    assert other.take(events) == [Rejected.DUPLICATE] * 2
    assert fields(other.take([event(5, {"y": 1})])) == [{"y": 1.0}]  # what other steps saw is forgotten
    same = preprocessor({"do": "fill", "fields": ["x"], "max_rows": 3})
    same.load(steps.state())
    assert fields(same.take([event(5, {"y": 1})])) == [{"x": 2.0, "y": 1.0}]


def test_what_the_steps_saw_starts_anew_where_they_changed_and_stays_otherwise() -> None:
    fill = {"do": "fill", "fields": ["x"], "max_rows": 9}
    changes: list[tuple[dict[str, Any], bool]] = [
        ({"steps": [fill], "exclude": ["z"], "allowed_lateness_seconds": 1.0}, True),
        ({"steps": [fill, {"do": "select", "fields": ["x", "y"]}]}, False),
        ({"steps": [fill], "entity": "who"}, False),
        ({"steps": [fill], "time": "at"}, False),
    ]
    for change, stays in changes:
        steps = preprocessor(fill)
        steps.take(stream({"x": 1, "y": 1}))
        steps.configure(SourceSettings.model_validate(change))
        rows = steps.take([event(1, {"y": 1, "at": START // SECOND + 1})])
        assert ("x" in (fields(rows)[0] or {})) == stays, change
        assert steps.take(stream({"x": 1})) == [Rejected.DUPLICATE]
    steps = preprocessor(fill)
    steps.take(stream({"x": 1, "y": 1}))
    steps.forget_time()
    assert fields(steps.take([event(1, {"y": 1}, -1e6)])) == [{"y": 1.0}]


def test_a_fault_of_an_operator_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    from qraft.preprocess.operators.columns import Select

    real = Select.take

    def take(self: Select, frame: pl.DataFrame) -> pl.DataFrame:
        if 2.0 in frame["x"]:
            raise AttributeError("a fault of this program")
        return real(self, frame)

    monkeypatch.setattr(Select, "take", take)
    rows = preprocessor({"do": "select", "fields": ["x"]}).take(stream({"x": 1}, {"x": 2}, {"x": 3}))
    assert fields(rows) == [{"x": 1.0}, None, {"x": 3.0}]
    assert isinstance(rows[1], DeadLetter)
    assert rows[1].reason == "steps[0] (select): a fault of this program"


def test_rows_are_clean_events() -> None:
    (row,) = preprocessor({"do": "derive", "fields": {"z": "0 * x", "n": "LN(0 * x)"}}).take(
        stream({"x": -1.0, "t": "text", "b": True})
    )
    assert row == [CleanEvent(event_id="e0", source="s", entity="", time_us=START, fields={"x": -1.0, "z": 0.0})]
    assert isinstance(row, list)
    assert math.copysign(1.0, row[0].fields["z"]) == 1.0


def test_a_row_alone_is_divided_as_among_others() -> None:
    events = stream({"price": 0.1}, {"price": 0.7}, {"price": 1700000003.3})
    steps = {"do": "derive", "fields": {"share": "price / 1e6", "third": "(price - 1) / 3"}}
    whole = preprocessor(steps).take(events)
    alone = preprocessor(steps)
    assert list(map(repr, whole)) == [repr(alone.take([event])[0]) for event in events]
