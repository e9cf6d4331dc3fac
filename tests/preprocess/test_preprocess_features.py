from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from qraft.config.sources.steps_features import FeaturesStep
from qraft.preprocess.operators.base import ENTITY, INDEX, OWN, TIME
from qraft.preprocess.operators.features import FeaturesOperator
from qraft.preprocess.times import EARLIEST_US, LATEST_US
from tests.preprocess.frames import SECOND, START, Row, bits, close, in_pieces, places, rows_of_any_kind, walk, whole

STEPS = ["diff", "diff(3)", "pct_change", "pct_change(2)", "log_return", "log_return(5)", "lag", "lag(4)"]
ROLLING = ["rolling_mean", "rolling_sum", "rolling_std", "rolling_min", "rolling_max", "rolling_median", "rolling_z"]
EWM = ["ewm(0.1)", "ewm(span=20)", "ewm(halflife=2.5)"]
EVERYTHING = [*STEPS, *(f"{kind}({size})" for kind in ROLLING for size in ("2", "5", "3s")), *EWM]


def operator(**changes: Any) -> FeaturesOperator:
    return FeaturesOperator(FeaturesStep.model_validate({"do": "features", **changes}))


@given(
    rows=rows_of_any_kind,
    cuts=places,
    restores=places,
    shape=st.sampled_from(
        [{}, {"max_entities": 2}, {"max_rows": 3}, {"keep": False, "calendar": ["time_of_day", "day_of_week"]}]
    ),
)
@settings(max_examples=150, deadline=None)
def test_any_cut_and_any_restore_give_the_same_rows(
    rows: list[Row], cuts: list[int], restores: list[int], shape: dict[str, Any]
) -> None:
    def make() -> FeaturesOperator:
        return operator(of={"price": EVERYTHING, "size": ["pct_change", "rolling_z(3)", "ewm(0.5)"]}, **shape)

    frame, uncut = whole(rows), make()
    expected = uncut.take(frame)
    made, _, last = in_pieces(make, frame, cuts, restores)
    assert isinstance(last, FeaturesOperator)
    features = [name for name in expected.columns if name not in frame.columns]
    assert len(features) == len(EVERYTHING) + 3 + (4 if "calendar" in shape else 0)
    assert bits(made.select([*OWN, *features])) == bits(expected.select([*OWN, *features]))
    assert last.state() == uncut.state()
    assert all(value is None or math.isfinite(value) for column in expected.select(features) for value in column)


def test_many_rows_in_any_cut() -> None:
    rows = walk(3000, 1, disorder=5.0)
    of = {"price": ["rolling_mean(300)", "rolling_std(40)", "rolling_median(1m)", "rolling_z(1m)", "ewm(0.01)", "lag(100)"]}
    expected = operator(of=of).take(whole(rows))
    for size in (1, 16, 257):
        made, _, _ = in_pieces(lambda: operator(of=of), whole(rows), range(0, 3000, size), range(0, 3000, 97))
        assert bits(made.select(expected.columns)) == bits(expected)


def reference(rows: list[Row]) -> pl.DataFrame:
    """The features by one polars call over the rows that have a price, joined to all rows."""
    price, entity = pl.col("price"), ENTITY
    made = [
        price.diff().alias("diff"),
        price.diff(3).alias("diff_3"),
        price.pct_change().alias("pct_change"),
        price.pct_change(2).alias("pct_change_2"),
        (price / price.shift(1)).log().alias("log_return"),
        (price / price.shift(5)).log().alias("log_return_5"),
        price.shift(1).alias("lag_1"),
        price.shift(4).alias("lag_4"),
        price.ewm_mean(alpha=0.1, adjust=False, ignore_nulls=True).alias("ewm_0_1"),
        price.ewm_mean(span=20, adjust=False, ignore_nulls=True).alias("ewm_span_20"),
        price.ewm_mean(half_life=2.5, adjust=False, ignore_nulls=True).alias("ewm_halflife_2_5"),
    ]
    for size in (2, 5):
        mean, std = price.rolling_mean(size), price.rolling_std(size, ddof=1)
        made += [
            mean.alias(f"rolling_mean_{size}"),
            std.alias(f"rolling_std_{size}"),
            ((price - mean) / std).alias(f"z_{size}"),
        ]
        for kind in ("sum", "min", "max", "median"):
            made.append(getattr(price, f"rolling_{kind}")(size).alias(f"rolling_{kind}_{size}"))
    moment = pl.col("moment")
    mean, std = price.rolling_mean_by(moment, "3s"), price.rolling_std_by(moment, "3s", ddof=1)
    made += [mean.alias("rolling_mean_3s"), std.alias("rolling_std_3s"), ((price - mean) / std).alias("z_3s")]
    for kind in ("sum", "min", "max", "median"):
        made.append(getattr(price, f"rolling_{kind}_by")(moment, "3s").alias(f"rolling_{kind}_3s"))
    frame = whole(rows)
    features = (
        frame.filter(price.is_not_null())
        .with_columns(pl.col(TIME).cast(pl.Datetime("us")).alias("moment"))
        .select(INDEX, *(expression.over(entity) for expression in made))
    )
    return frame.select(INDEX).join(features, on=INDEX, how="left", maintain_order="left").drop(INDEX)


EXACT = ("lag", "diff", "rolling_min", "rolling_max")
"""Equal to the bit; the others are rounded otherwise in polars: within 1e-12 relative, where a spread is in them 1e-8."""


@pytest.mark.parametrize("seed", range(3))
def test_features_equal_one_polars_call_over_all_rows(seed: int) -> None:
    rows = walk(1000, seed, nulls=0.2)
    made = operator(of={"price": EVERYTHING}).take(whole(rows))
    expected = reference(rows)
    assert {f"price.{name}" for name in expected.columns} == set(made.columns) - set(whole(rows).columns)
    for name in expected.columns:
        ours, theirs = made[f"price.{name}"].to_list(), expected[name].to_list()
        assert sum(value is not None for value in ours) > 700
        if name.startswith(EXACT):
            assert ours == theirs, name
            continue
        relative, absolute = (1e-8, 1e-7) if name.startswith(("rolling_std", "z_")) else (1e-12, 1e-15)
        pairs = zip(ours, [None if value is not None and math.isnan(value) else value for value in theirs], strict=True)
        wrong = [pair for pair in pairs if not close(*pair, relative=relative, absolute=absolute)]
        assert not wrong, (name, wrong[:5])


@given(rows=rows_of_any_kind)
@settings(max_examples=100, deadline=None)
def test_a_rolling_duration_holds_what_lies_within_it_of_the_newest(rows: list[Row]) -> None:
    kinds = ["rolling_sum", "rolling_min", "rolling_max", "rolling_median", "rolling_mean"]
    made = operator(of={"price": [f"{kind}(3s)" for kind in kinds]}).take(whole(rows))
    seen: dict[str, list[Row]] = {}
    for n, row in enumerate(rows):
        found = [made[f"price.{kind}_3s"][n] for kind in kinds]
        if row.price is None or not math.isfinite(row.price):
            assert found == [None] * 5
            continue
        past = seen.setdefault(row.entity, [])
        past.append(row)
        newest = max(one.time for one in past)
        inside = [one.price for one in past if one.time > newest - 3 * SECOND and one.price is not None]
        if row.time <= newest - 3 * SECOND:
            assert found == [None] * 5
            continue
        assert found[:3] == [math.fsum(inside), min(inside), max(inside)]
        assert close(found[3], statistics.median(inside), absolute=1e-9)
        assert found[4] == statistics.fmean(inside) or close(found[4], statistics.fmean(inside))


def values_of(name: str, prices: list[float | None], *specs: str, **changes: Any) -> list[float | None]:
    rows = [Row(n, "", price) for n, price in enumerate(prices)]
    column: list[float | None] = operator(of={"price": list(specs)}, **changes).take(whole(rows))[f"price.{name}"].to_list()
    return column


@pytest.mark.parametrize(
    ("spec", "name", "prices", "expected"),
    [
        ("pct_change", "pct_change", [0.0, 5.0, 10.0, -5.0], [None, None, 1.0, -1.5]),
        ("log_return", "log_return", [0.0, 1.0, -1.0, 1.0, math.e], [None, None, None, None, 1.0]),
        ("log_return", "log_return", [1e-300, 1e99], [None, math.log(1e99) - math.log(1e-300)]),
        ("pct_change", "pct_change", [1e-300, 1e99], [None, None]),
        (
            "diff",
            "diff",
            [1.0, None, 3.0, math.nan, math.inf, 7.0, 1e101, 8.0],
            [None, None, 2.0, None, None, 4.0, None, 1.0],
        ),
        ("lag(2)", "lag_2", [1.0, None, 3.0, 4.0], [None, None, None, 1.0]),
        ("rolling_std(2)", "rolling_std_2", [1.0, 3.0, 3.0], [None, math.sqrt(2), 0.0]),
        ("rolling_z(2)", "z_2", [1.0, 3.0, 3.0], [None, math.sqrt(0.5), None]),
        ("rolling_std(1h)", "rolling_std_1h", [1.0, 3.0], [None, math.sqrt(2)]),
        ("rolling_mean(3)", "rolling_mean_3", [1.0, 2.0, None, 6.0, 10.0], [None, None, None, 3.0, 6.0]),
        ("rolling_median(2)", "rolling_median_2", [1.0, 2.0, -4.0], [None, 1.5, -1.0]),
        ("ewm(0.5)", "ewm_0_5", [4.0, None, 2.0, 0.0], [4.0, None, 3.0, 1.5]),
        ("ewm(1)", "ewm_1", [4.0, 2.0], [4.0, 2.0]),
    ],
)
def test_what_has_no_answer_is_null(spec: str, name: str, prices: list[float | None], expected: list[float | None]) -> None:
    found = values_of(name, prices, spec)
    assert [value if value is None else pytest.approx(value, rel=1e-15) for value in expected] == found


def test_a_large_value_that_has_left_a_window_leaves_no_trace() -> None:
    prices = [0.1, 1e99, 0.1, 0.2, 0.3]
    assert values_of("rolling_sum_3", prices, "rolling_sum(3)")[-1] == math.fsum([0.1, 0.2, 0.3])
    assert values_of("rolling_std_3", prices, "rolling_std(3)")[-1] == pytest.approx(0.1, rel=1e-15)


def test_entities_have_their_own_past() -> None:
    rows = [Row(0, "a", 1.0), Row(1, "b", 10.0), Row(2, "a", 2.0), Row(3, "b", 30.0)]
    made = operator(of={"price": ["diff"]}).take(whole(rows))
    assert made["price.diff"].to_list() == [None, None, 1.0, 20.0]


def test_the_least_recently_seen_entity_starts_afresh() -> None:
    rows = [Row(n, name, float(n)) for n, name in enumerate("aabacab")]
    features = operator(of={"price": ["lag"]}, max_entities=2)
    made = features.take(whole(rows))
    assert made["price.lag_1"].to_list() == [None, 0.0, None, 1.0, None, 3.0, None]
    assert features.evicted == 2


def test_rolling_durations_are_bounded() -> None:
    rows = [Row(n / 100, "", float(n)) for n in range(500)]
    features = operator(of={"price": ["rolling_min(1h)"]}, max_rows=100)
    assert features.take(whole(rows))["price.rolling_min_1h"].to_list() == [float(max(0, n - 99)) for n in range(500)]
    assert features.shortened == 400


def test_of_one_time_the_value_that_came_first_gives_way_first() -> None:
    rows = [Row(at, "", price) for at, price in ((5, 1.0), (5, 2.0), (4, 9.0), (5, 3.0))]
    made = operator(of={"price": ["rolling_sum(1m)"]}, max_rows=2).take(whole(rows))
    assert made["price.rolling_sum_1m"].to_list() == [1.0, 3.0, 3.0, 5.0]


def test_zero_has_no_sign() -> None:
    assert str(values_of("lag_1", [-0.0, 1.0], "lag")) == "[None, 0.0]"


def test_what_is_remembered_is_bounded() -> None:
    of = {"price": ["lag(50)", "rolling_z(20)", "rolling_mean(3s)", "ewm(0.1)"], "size": ["diff"]}
    features = operator(of=of, max_entities=3)
    sizes = []
    for part in range(4):
        features.take(whole([Row(part * 100 + row.at, row.entity, row.price, row.size) for row in walk(400, part)]))
        sizes.append(sum(len(item) for _, series in features.state()["entities"] for item, *_ in series))
    assert sizes[-1] <= sizes[0] == 3 * 8 * 51


def test_fields_pass_and_the_original_goes_when_it_should() -> None:
    rows = [Row(0, "", 1.0, 2.0)]
    kept = operator(of={"price": ["diff"]}).take(whole(rows))
    assert kept.columns == [*whole(rows).columns, "price.diff"]
    dropped = operator(of={"price": ["diff"], "absent": ["lag"]}, keep=False).take(whole(rows))
    assert dropped.columns == [*OWN, "size", "note", "price.diff", "absent.lag_1"]
    assert dropped.row(0)[:5] == whole(rows).row(0)[:5]


def test_text_is_no_value() -> None:
    made = operator(of={"note": ["lag", "rolling_mean(1s)"]}).take(whole([Row(0), Row(1)]))
    assert made["note.lag_1"].to_list() == made["note.rolling_mean_1s"].to_list() == [None, None]


def test_an_empty_frame_keeps_its_columns() -> None:
    made = operator(of={"price": EVERYTHING}, calendar=["day_of_week"]).take(whole([]))
    assert made.height == 0
    assert len(made.columns) == len(whole([]).columns) + len(EVERYTHING) + 2


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_the_calendar_is_the_wall_clocks(zone: str) -> None:
    start = datetime(2026, 3, 8, 3, 0, tzinfo=UTC)  # New York sets its clocks forward at 07:00 UTC
    rows = [Row(start.timestamp() - START / SECOND + 1800 * n) for n in range(400)]
    made = operator(calendar=["time_of_day", "day_of_week"], time_zone=zone).take(whole(rows))
    for n, row in enumerate(rows):
        local = datetime.fromtimestamp(row.time / SECOND, ZoneInfo(zone))
        day = (local.hour * 3600 + local.minute * 60 + local.second) / 86_400
        for label, share in (("day", day), ("week", (local.weekday() + day) / 7)):
            assert made[f"time.{label}_sin"][n] == pytest.approx(math.sin(share * math.tau), abs=1e-12)
            assert made[f"time.{label}_cos"][n] == pytest.approx(math.cos(share * math.tau), abs=1e-12)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_calendar_has_every_year_there_is(zone: str) -> None:
    rows = [Row((time - START) / SECOND) for time in (EARLIEST_US, LATEST_US)]
    made = operator(calendar=["time_of_day", "day_of_week"], time_zone=zone).take(whole(rows))
    for name in ("day", "week"):
        assert made.select(pl.col(f"time.{name}_sin") ** 2 + pl.col(f"time.{name}_cos") ** 2).to_series().to_list() == [
            pytest.approx(1),
            pytest.approx(1),
        ]


def test_the_calendar_goes_back_before_1970() -> None:
    made = operator(calendar=["day_of_week"]).take(whole([Row(-START / SECOND - 3 * 86_400)]))  # Monday 1969-12-29
    assert made.select("time.week_sin", "time.week_cos").row(0) == (0.0, 1.0)


def test_origins_go_through_to_the_source() -> None:
    given = {"mid": "bid", "other": "x"}
    features = {"of": {"mid": ["log_return", "rolling_z(20)"], "size": ["ewm(0.1)"]}, "calendar": ["time_of_day"]}
    made = {
        "mid.log_return": "bid",
        "mid.z_20": "bid",
        "size.ewm_0_1": "size",
        "time.day_sin": "time",
        "time.day_cos": "time",
    }
    assert operator(**features).origins(given) == {**given, **made}
    assert operator(**features, keep=False).origins(given) == {"other": "x", **made}
