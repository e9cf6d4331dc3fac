from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qraft.config.sources.steps_features import Feature, FeaturesStep, feature


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("diff", Feature("diff", "diff", rows=1)),
        ("lag", Feature("lag", "lag_1", rows=1)),
        (" pct_change( 12 ) ", Feature("pct_change", "pct_change_12", rows=12)),
        ("rolling_mean(20)", Feature("rolling_mean", "rolling_mean_20", rows=20)),
        ("rolling_z(5m)", Feature("rolling_z", "z_5m", span_us=300_000_000)),
        ("ewm(0.1)", Feature("ewm", "ewm_0_1", alpha=0.1)),
        ("ewm(span = 19)", Feature("ewm", "ewm_span_19", alpha=0.1)),
        ("ewm(halflife=1)", Feature("ewm", "ewm_halflife_1", alpha=0.5)),
    ],
)
def test_a_text_means_a_feature(text: str, expected: Feature) -> None:
    assert feature(text) == expected


def problem(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        FeaturesStep.model_validate({"do": "features", **changes})
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"


ONE_OF = (
    "expected one of diff, pct_change, log_return, lag(n), rolling_mean|sum|std|min|max|median|z(n or duration), ewm(alpha)"
)
EWM = 'expected "ewm(0.1)" (alpha, up to 1), "ewm(span=20)" (1 or more) or "ewm(halflife=10)" (rows)'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("logreturn", f'{ONE_OF} (nearest: "log_return")'),
        ("rolling_avg(3)", f'{ONE_OF} (nearest: "rolling_max")'),
        ("", ONE_OF),
        ("lag(1", f'{ONE_OF} (nearest: "lag")'),
        ("lag(0)", "expected 1 to 10000 rows in the brackets"),
        ("diff(10001)", "expected 1 to 10000 rows in the brackets"),
        ("diff(5m)", "expected 1 to 10000 rows in the brackets"),
        ("rolling_std(1)", "expected 2 to 10000 rows in the brackets"),
        ("rolling_mean", 'expected how far back to look, such as "rolling_mean(20)" rows or "rolling_mean(5m)"'),
        ("rolling_mean(0s)", "expected a duration above zero"),
        ("rolling_mean(five)", 'expected a duration such as "500ms", "10s", "5m", "1h" or "1d"'),
        ("ewm", EWM),
        ("ewm()", EWM),
        ("ewm(0)", EWM),
        ("ewm(1.5)", EWM),
        ("ewm(nan)", EWM),
        ("ewm(span=0.5)", EWM),
        ("ewm(halflife=0)", EWM),
        ("ewm(half=3)", EWM),
    ],
)
def test_mistakes_in_features_are_plain_sentences(text: str, sentence: str) -> None:
    assert problem(of={"price": ["diff", text]}) == f"of.price.1: {sentence}"


TAKEN = "this name is taken by the row itself (_index, _time, _entity, _watermark, _id); expected another"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, ': nothing to make: expected of or calendar, such as of = { price = ["log_return"] }'),
        (
            {"of": {"_time": ["diff"]}},
            f"of._time.[key]: {TAKEN}",
        ),
        ({"of": {"price": []}}, "of.price: List should have at least 1 item after validation, not 0"),
        ({"calendar": ["day"]}, "calendar.0: Input should be 'time_of_day' or 'day_of_week'"),
        *(
            (
                {"calendar": ["time_of_day"], "time_zone": zone},
                'time_zone: expected a time zone such as "UTC" or "America/New_York"',
            )
            for zone in ("Mars/Olympus", "", "America", "../etc/passwd")
        ),
    ],
)
def test_mistakes_are_plain_sentences(changes: dict[str, Any], sentence: str) -> None:
    assert problem(**changes) == sentence
