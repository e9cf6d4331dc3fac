from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qraft.config.duration import microseconds
from qraft.config.sources.steps_window import WindowStep, quantile


def problem(**changes: Any) -> str:
    given = {"do": "window", "every": "1m", "aggregate": {"price": ["ohlc"]}, **changes}
    with pytest.raises(ValidationError) as caught:
        WindowStep.model_validate({key: value for key, value in given.items() if value is not None})
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"


DURATION = 'expected a duration such as "500ms", "10s", "5m", "1h" or "1d"'
KINDS = "expected one of ohlc, mean, sum, count, std, min, max, first, last, median, or a quantile such as p99"
TAKEN = "this name is taken by the row itself (_index, _time, _entity, _watermark, _id); expected another"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"every": "1 minute"}, f"every: {DURATION}"),
        ({"every": "1.5h"}, f"every: {DURATION}"),
        ({"every": "-1s"}, f"every: {DURATION}"),
        ({"every": "0s"}, "every: expected a duration above zero"),
        ({"every": "999999999w"}, "every: expected a duration of a hundred years at most"),
        ({"every": 60}, "every: Input should be a valid string"),
        ({"allowed_lateness": "soon"}, f"allowed_lateness: {DURATION}"),
        ({"length": "90s"}, ": length must be a multiple of every: 90s is none of 1m"),
        ({"length": "30s"}, ": length must be a multiple of every: 30s is none of 1m"),
        (
            {"aggregate": {"price": ["mean", "medain"]}},
            f'aggregate.price.1: {KINDS} (nearest: "median")',
        ),
        ({"aggregate": {"price": ["p100"]}}, f"aggregate.price.0: {KINDS}"),
        (
            {"aggregate": {"price": ["vwap"]}},
            'aggregate.price.0: vwap is a key of its own, as it needs a weight: vwap = { price = "size" }',
        ),
        (
            {"vwap": {"price": "_time"}},
            f"vwap.price: {TAKEN}",
        ),
        ({"aggregate": {"price": []}}, "aggregate.price: List should have at least 1 item after validation, not 0"),
        (
            {"aggregate": {}},
            ': nothing to make: expected aggregate or vwap, such as aggregate = { price = ["ohlc"] }',
        ),
        (
            {"every": "1s", "allowed_lateness": "1h"},
            ": max_open must be 3602 or more: so many stretches of every are open at once",
        ),
    ],
)
def test_mistakes_are_plain_sentences(changes: dict[str, Any], sentence: str) -> None:
    assert problem(**changes) == sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1us", 1),
        ("500ms", 500_000),
        ("10s", 10**7),
        ("5m", 3 * 10**8),
        ("1h", 36 * 10**8),
        ("1d", 864 * 10**8),
        ("2w", 12096 * 10**8),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize(
    ("kind", "share"), [("median", 0.5), ("p1", 0.01), ("p99", 0.99), ("p99.9", 0.999), ("p0.1", 0.001)]
)
def test_quantiles(kind: str, share: float) -> None:
    assert quantile(kind) == pytest.approx(share, rel=1e-15)


@pytest.mark.parametrize("kind", ["p0", "p100", "p05", "p", "p0.0", "mean", "p5x"])
def test_what_is_no_quantile(kind: str) -> None:
    assert quantile(kind) is None


def test_vwap_alone_is_enough() -> None:
    assert WindowStep.model_validate({"do": "window", "every": "10s", "vwap": {"price": "size"}}).length is None
