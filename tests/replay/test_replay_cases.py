"""Test cases for detectors: what is written, what is generated, what fails and why."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from qraft.config import ConfigError, Settings, parse
from qraft.config.detect import DetectSettings
from qraft.config.load import parse_as
from qraft.detect import DETECTORS
from qraft.model import Contributor, Details, Event, Pattern, iso_from_us
from qraft.replay.cases import CaseFile, find_cases, junit, lines, run_cases
from qraft.replay.cases.check import failures
from qraft.replay.cases.model import Expect, Stream
from qraft.replay.cases.run import Outcome, load_cases, overridden
from qraft.replay.cases.stream import START_US, generate
from qraft.replay.errors import ReplayError
from qraft.replay.rehearse import Finding

SHIFT = """
[[case]]
name = "a shift is a drift"
[case.stream]
rows = 1500
fields = 2
seed = 3
[[case.stream.fault]]
kind = "shift"
row = 1000
field = "f1"
size = 8.0
[[case.expect]]
field = "f1"
row = 1000
within = 100

[[case]]
name = "so high a line is quiet"
quiet = true
stream = { rows = 600 }
detect.line = 0.999999
"""
DETECTOR, OTHER = DETECTORS[:2]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def case(**keys: Any) -> CaseFile:
    return CaseFile.model_validate({"case": [{"name": "x", "stream": {"rows": 100}, **keys}]})


def finding(row: int, **keys: Any) -> Finding:
    pattern = Pattern(
        pattern_id=f"p{row}",
        type=keys.get("type", "drift"),
        timestamp=iso_from_us(START_US + row * 1_000_000),
        source="s",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=keys.get("confidence", 0.7)),
        contributors=[Contributor(field=keys.get("field", "f0"), origin=keys.get("origin", ""), score=1.0)],
        detector=keys.get("detector", DETECTOR),
        entity=keys.get("entity", ""),
        kind=keys.get("kind", "mean"),
        summary="f0 rose",
    )
    return Finding(row, pattern)


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ('[[case]]\nname = "x"\nquiet = true\nstraem = { rows = 5 }', 4, "case[0].straem", 'did you mean "stream"?'),
        ('[[case]]\nname = "x"\nquiet = true\n[case.stream]\nrows = 5\nfelds = 3', 6, "case[0].stream.felds", '"fields"'),
        ('[[case]]\nname = "x"\nquiet = true\n[case.stream]\nrows = 0', 5, "case[0].stream.rows", "1 or more, got 0"),
        ('[[case]]\nname = "x"\nquiet = true', 1, "case[0]", "needs either file or stream"),
        ('[[case]]\nname = "x"\nstream = { rows = 5 }', 1, "case[0]", "expects nothing"),
        ('[[case]]\nname = "x"\nquiet = true\nfile = "a.csv"', 1, "case[0]", "needs time"),
        ('[[case]]\nname = "x"\nquiet = true\nstream = { rows = 5 }\ndetect.lin = 1', 5, "case[0].detect.lin", '"line"'),
        ('[[case]]\nname = "x"\nstream = { rows = 5 }\n[[case.expect]]\nkind = "meen"', 5, "case[0].expect[0].kind", "mean"),
        (
            '[[case]]\nname = "x"\nstream = { rows = 5 }\n[[case.expect]]\ndetector = "x"',
            5,
            "case[0].expect[0].detector",
            "",
        ),
        ('[[case]]\nname = "x"\nstream = { rows = 5 }\n[[case.expect]]\nwithin = 3', 4, "case[0].expect[0]", "needs row"),
        (
            '[[case]]\nname = "x"\nstream = { rows = 5 }\n[[case.expect]]\ntimes = ["a", "b"]',
            5,
            "case[0].expect[0].times",
            "a",
        ),
        ("cas = 1", 1, "cas", 'did you mean "case"?'),
        ("[[case]\n", 1, "", "not valid TOML"),
    ],
)
def test_each_mistake_names_file_line_and_key(text: str, line: int, key: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_as(CaseFile, text, "a.test.toml")
    problem = next(p for p in raised.value.problems if p.key == key)
    assert (problem.file, problem.line) == ("a.test.toml", line)
    assert said in problem.message


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "gap", "row": 5}, "a gap needs rows"),
        ({"kind": "gap", "row": 5, "rows": 2, "field": "f0"}, "takes whole rows"),
        ({"kind": "shift", "row": 5, "field": "f9"}, "the fields are f0"),
        ({"kind": "shift", "row": 100}, "the last row is 99"),
        ({"kind": "period", "row": 5}, "has no period"),
        ({"kind": "spread", "row": 5, "size": 0.0}, "factor above 0"),
    ],
)
def test_a_fault_that_cannot_be_is_a_mistake(fault: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Stream.model_validate({"rows": 100, "fault": [fault]})


def values(stream: dict[str, Any], field: str = "f0") -> dict[int, float | None]:
    rows: dict[int, Event] = dict(generate(Stream.model_validate(stream), "s"))
    return {row: event.payload.get(field) for row, event in rows.items()}


def with_fault(kind: str, **keys: Any) -> tuple[dict[int, float | None], dict[int, float | None]]:
    """A stream without and with a fault from row 100 on."""
    stream: dict[str, Any] = {"rows": 400, "fields": 2, "seed": 1, "kind": keys.pop("stream", "noise"), "period": 50.0}
    return values(stream), values({**stream, "fault": [{"kind": kind, "row": 100, "field": "f0", **keys}]})


def test_the_same_stream_is_made_again_and_another_seed_makes_another() -> None:
    assert values({"rows": 50, "seed": 1}) == values({"rows": 50, "seed": 1})
    assert values({"rows": 50, "seed": 1}) != values({"rows": 50, "seed": 2})
    assert values({"rows": 50, "seed": 1}) == values({"rows": 50, "seed": 1, "fields": 3})


def test_level_and_spread_are_those_asked_for() -> None:
    made = [v for v in values({"rows": 4000, "level": 100.0, "spread": 5.0}).values() if v is not None]
    assert statistics.fmean(made) == pytest.approx(100.0, abs=0.5)
    assert statistics.stdev(made) == pytest.approx(5.0, rel=0.05)
    named = dict(generate(Stream.model_validate({"rows": 3, "fields": ["a", "b"], "interval_seconds": 60.0}), "s"))
    assert [sorted(event.payload) for event in named.values()] == [["a", "b"]] * 3
    assert named[2].timestamp == iso_from_us(START_US + 120_000_000)


@pytest.mark.parametrize("stream", ["noise", "walk", "sine"])
def test_a_shift_moves_what_comes_after_and_nothing_else(stream: str) -> None:
    plain, shifted = with_fault("shift", size=4.0, stream=stream, rows=50)
    for row, value in plain.items():
        assert value is not None
        assert shifted[row] == pytest.approx(value + 4.0 * (100 <= row < 150))


def test_spread_period_freeze_dropout_spike_and_gap() -> None:
    plain, spread = with_fault("spread", size=3.0)
    assert all(spread[row] == pytest.approx((value or 0.0) * (3.0 if row >= 100 else 1.0)) for row, value in plain.items())
    plain, frozen = with_fault("freeze", rows=20)
    assert {frozen[row] for row in range(99, 120)} == {plain[99]}
    assert frozen[120] == plain[120]
    plain, dropped = with_fault("dropout", rows=5)
    assert [row for row, value in dropped.items() if value is None] == [100, 101, 102, 103, 104]
    plain, spiked = with_fault("spike", size=10.0)
    assert [row for row, value in spiked.items() if value != plain[row]] == [100]
    plain, gapped = with_fault("gap", rows=30, field="")
    assert sorted(plain.keys() - gapped.keys()) == list(range(100, 130))
    assert all(gapped[row] == plain[row] for row in gapped)
    sine: dict[str, Any] = {"rows": 400, "kind": "sine", "spread": 1e-9, "height": 1e9, "period": 50.0}
    slow, fast = values(sine), values({**sine, "fault": [{"kind": "period", "row": 100, "size": 0.5}]})
    assert slow[90] == pytest.approx(fast[90] or 0.0)
    rises = [[(a or 0.0) < 0 <= (b or 0.0) for a, b in pairwise(list(one.values())[90:])] for one in (slow, fast)]
    assert [sum(one) for one in rises] == [6, 12]
    assert not any(math.isnan(v or 0.0) for v in fast.values())


@pytest.mark.parametrize(
    ("expect", "passes"),
    [
        ({"type": "drift", "kind": "mean", "detector": DETECTOR, "field": "f0", "row": 40, "within": 20}, True),
        ({"row": 50}, True),
        ({"row": 49}, False),
        ({"row": 51, "within": 100}, False),
        ({"rows": [0, 50]}, True),
        ({"rows": [51, 99]}, False),
        ({"times": ["2026-01-01T00:00:50Z", "2026-01-01T00:00:50Z"]}, True),
        ({"times": ["2026-01-01T00:00:51Z", "2026-01-01T00:01:50Z"]}, False),
        ({"type": "anomaly"}, False),
        ({"kind": "variance"}, False),
        ({"detector": OTHER}, False),
        ({"field": "f1"}, False),
        ({"field": "price"}, True),
        ({"entity": "BTC"}, False),
        ({"confidence": 0.69}, True),
        ({"confidence": 0.71}, False),
        ({"count": 1}, True),
        ({"count": 2}, False),
        ({"count": 0}, False),
        ({"type": "anomaly", "count": 0}, True),
    ],
)
def test_an_expectation_holds_or_not(expect: dict[str, Any], passes: bool) -> None:
    (one,) = case(expect=[expect]).case
    assert (failures(one, [finding(50, origin="price")]) == []) == passes


def test_a_failure_says_what_was_found_instead() -> None:
    (one,) = case(expect=[{"kind": "variance", "row": 40, "within": 20}]).case
    (said,) = failures(one, [finding(50)])
    assert said.splitlines() == [
        "expected a variance within 20 rows of row 40, found there instead:",
        f"  row 50 (2026-01-01T00:00:50): drift mean by {DETECTOR}, f0 first, confidence 0.700: f0 rose (not kind variance)",
    ]
    assert failures(one, []) == ["expected a variance within 20 rows of row 40, found no pattern at all"]
    assert failures(one, [finding(90, kind="variance")])[0].startswith(
        "expected a variance within 20 rows of row 40, found elsewhere:\n  row 90"
    )
    (few,) = case(at_most=1).case
    assert failures(few, [finding(1), finding(2)])[0].startswith("expected at most 1 in all, found 2:")
    assert not failures(few, [finding(1)])
    (quiet,) = case(quiet=True).case
    assert failures(quiet, [finding(n) for n in range(9)])[0].splitlines()[-1] == "  and 4 more"


def test_overrides_leave_the_rest_as_it_is_in_force() -> None:
    base = DetectSettings.model_validate({"line": 0.8, "forest": {"trees": 7}})
    by = parse("[detect.forest]\nenabled = false").detect
    made = overridden(base, by)
    assert (made.line, made.forest.trees, made.forest.enabled) == (0.8, 7, False)
    assert overridden(base, None) is base


def test_cases_run_on_generated_streams_and_files_alike(tmp_path: Path) -> None:
    write(tmp_path / "a.test.toml", SHIFT)
    stream = load_cases(tmp_path / "a.test.toml").case[0].stream
    assert stream is not None
    rows = [f"{event.timestamp},{event.payload['f0']},{event.payload['f1']}\n" for _, event in generate(stream, "s")]
    write(tmp_path / "rows.csv", "t,f0,f1\n" + "".join(rows))
    write(
        tmp_path / "below" / "b.test.toml",
        '[[case]]\nname = "recorded"\nfile = "../rows.csv"\ntime = "t"\n[[case.expect]]\nfield = "f1"\nrows = [1000, 1100]\n'
        '[[case]]\nname = "away"\nfile = "none.csv"\ntime = "t"\nquiet = true\n'
        '[[case]]\nname = "wrong"\nfile = "../rows.csv"\ntime = "t"\nquiet = true\n',
    )
    jobs = find_cases([tmp_path], Settings())
    assert [(job.path.name, job.case.name) for job in jobs] == [
        ("a.test.toml", "a shift is a drift"),
        ("a.test.toml", "so high a line is quiet"),
        ("b.test.toml", "recorded"),
        ("b.test.toml", "away"),
        ("b.test.toml", "wrong"),
    ]
    outcomes = run_cases(jobs, workers=1, progress=False)
    assert [one.passed for one in outcomes] == [True, True, True, False, False], [one.reasons for one in outcomes]
    assert [one.rows for one in outcomes] == [1500, 600, 1500, 0, 1500]
    assert outcomes[0].patterns == outcomes[2].patterns
    assert outcomes[3].error == f"{tmp_path}/below/none.csv: no such file"
    assert "expected nothing" in outcomes[4].reasons[0]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"no file below it ends in \.test\.toml"):
        find_cases([tmp_path], Settings())
    with pytest.raises(ReplayError, match="no such file or folder"):
        find_cases([tmp_path / "none"], Settings())
    write(tmp_path / "a.test.toml", SHIFT)
    write(tmp_path / ".hidden" / "b.test.toml", "nonsense")
    with pytest.raises(ReplayError, match='none of 2 cases has "spike"'):
        find_cases([tmp_path], Settings(), "spike")
    assert [job.case.name for job in find_cases([tmp_path], Settings(), "IS QUIET")] == ["so high a line is quiet"]
    write(tmp_path / "c.test.toml", "x = 1")
    write(tmp_path / "d.test.toml", "y = 1")
    with pytest.raises(ConfigError) as raised:
        find_cases([tmp_path], Settings())
    assert {Path(p.file).name for p in raised.value.problems} == {"c.test.toml", "d.test.toml"}


def test_an_unknown_source_is_an_error_of_the_case(tmp_path: Path) -> None:
    write(tmp_path / "a.test.toml", '[[case]]\nname = "x"\nlike = "nobody"\nquiet = true\nstream = { rows = 5 }\n')
    (one,) = run_cases(find_cases([tmp_path], Settings()), workers=1, progress=False)
    assert one.error == 'no source "nobody" is configured; configured: none'


def test_like_judges_as_that_source_does(tmp_path: Path) -> None:
    settings = parse('[sources.s]\nadapter = "external"\nfields = ["f0"]\n[sources.s.detect]\nline = 0.99999\n')
    text = SHIFT.partition("[[case.expect]]")[0].replace("[case.stream]", 'like = "s"\nquiet = true\n[case.stream]')
    write(tmp_path / "a.test.toml", text)
    (one,) = run_cases(find_cases([tmp_path], settings), workers=1, progress=False)
    assert one.passed  # the field that shifts is not watched


def test_reports() -> None:
    path = Path("a.test.toml")
    outcomes = [
        Outcome(path, "good", [], "", 100, 1, 0.5),
        Outcome(path, "bad", ["expected a drift:\n  row 5 \x1b[0m"], "", 100, 1, 0.5),
        Outcome(path, "broken", [], "no such file", 0, 0, 0.0),
    ]
    said = list(lines(outcomes, 1.0))
    assert said[0] == "a.test.toml"
    assert said[1].split()[:2] == ["PASSED", "good"]
    assert said[-1] == "1 failed, 1 could not be run, 1 passed in 1.0 s"
    root = ElementTree.fromstring(junit(outcomes, 1.0))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    cases = root.findall("testsuite/testcase")
    assert [one.get("name") for one in cases] == ["good", "bad", "broken"]
    failure, error = cases[1].find("failure"), cases[2].find("error")
    assert failure is not None
    assert failure.get("message") == "expected a drift:"
    assert error is not None
    assert error.text == "no such file"


def test_every_key_of_an_expectation_is_used() -> None:
    """Each key narrows something: a key that does nothing would let cases pass that should not."""
    assert set(Expect.model_fields) == {
        *("type", "kind", "detector", "field", "entity", "confidence", "row", "within", "rows", "times", "count"),
    }
