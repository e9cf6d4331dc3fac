"""The text format, line by line; held against the reference reader on real scrapes."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from qraft.ingest.records import RecordError
from qraft.ingest.rest_prometheus import Exposition, Sample, read_exposition


def read(text: str, *, openmetrics: bool = False) -> Exposition:
    return read_exposition(text.encode(), openmetrics=openmetrics)


LINES = [
    ("up 1", Sample("up", (), 1.0)),
    ("up\t1\t", Sample("up", (), 1.0)),
    ("  up 1e3 ", Sample("up", (), 1000.0)),
    ("up{} 1", Sample("up", (), 1.0)),
    ('up{b="2",a="1"} -0.5', Sample("up", (("a", "1"), ("b", "2")), -0.5)),
    ('up{ a = "1" , } 1', Sample("up", (("a", "1"),), 1.0)),
    ('up{a="1"}1', Sample("up", (("a", "1"),), 1.0)),
    ('up {a="1"} 1', Sample("up", (("a", "1"),), 1.0)),
    (r'up{a="\\x\"y\nz\q"} 1', Sample("up", (("a", '\\x"y\nz\\q'),), 1.0)),
    ('up{a="}{,= #"} 1', Sample("up", (("a", "}{,= #"),), 1.0)),
    ('up{a="ü"} 1', Sample("up", (("a", "ü"),), 1.0)),
    ("up 1 1700000000123", Sample("up", (), 1.0, 1_700_000_000_123_000)),
    ("up 1 -5", Sample("up", (), 1.0, -5000)),
    ("up +Inf", Sample("up", (), math.inf)),
    ("a:b_total 5 # {trace=\"x\"} 1 2", Sample("a:b_total", (), 5.0)),
    ('{"my.name","a.b"="1"} 2', Sample("my.name", (("a.b", "1"),), 2.0)),
]  # fmt: skip


@pytest.mark.parametrize(("line", "sample"), LINES)
def test_a_line(line: str, sample: Sample) -> None:
    assert read(f"{line}\n") == Exposition(samples=[sample])


BAD = [
    ("up", "not a sample"),
    ("up{a=\"1\"", "not a sample"),
    ("up{a=1} 1", "bad labels"),
    ("up{a} 1", "bad labels"),
    ('up{a="1" b="2"} 1', "bad labels"),
    ('up{a="1","n"} 1', "bad labels"),
    ('up{a="1",a="2"} 1', "the label a twice"),
    ('up{"down"} 1', "has two names"),
    ('{a="1"} 1', "has no name"),
    ("up one", "not a number: 'one'"),
    ("up 1_000", "not a number"),
    ("up 1 now", "not a time"),
    ("up 1 1e300", "not a time"),
    ("up 1 2 3", "not a sample"),
    ("5up 1", "not a sample"),
    ("# TYPE up blob", "no type of metric: 'blob'"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_line_costs_itself_alone(line: str, reason: str) -> None:
    found = read(f"before 1\n{line}\nafter 2\n")
    assert [sample.name for sample in found.samples] == ["before", "after"]
    ((number, said, text),) = found.bad
    assert (number, text) == (2, line)
    assert reason in said


def test_a_second_value_of_a_series_and_a_second_type_of_a_metric_are_bad() -> None:
    found = read('# TYPE x gauge\n# TYPE x gauge\nx{a="1",b="2"} 1\nx{b="2",a="1"} 2\n# TYPE x counter\nx 3\n')
    assert [sample.value for sample in found.samples] == [1, 3]
    assert [(line.number, line.reason) for line in found.bad] == [
        (4, "a second value of the same series"),
        (5, "a second, other type of the same metric"),
    ]
    assert found.types == {"x": "gauge"}


def test_comments_and_blank_lines_are_nothing() -> None:
    assert read("# any words\n#\n# HELP x what \\n it is\n\n  \n# UNIT x s\r\n") == Exposition()


def test_a_last_line_without_a_line_feed_is_not_trusted() -> None:
    found = read("a 1\nb 12")
    assert found.samples == [Sample("a", (), 1.0)]
    assert "truncated" in found.bad[0].reason


def test_openmetrics_has_seconds_and_an_end() -> None:
    found = read("# TYPE a counter\na_total 1 1700000000.5\n# EOF\ngarbage after", openmetrics=True)
    assert found.samples == [Sample("a_total", (), 1.0, 1_700_000_000_500_000)]
    assert found.bad == []
    assert read("a 1\n# EOF", openmetrics=True).bad == []
    with pytest.raises(RecordError, match="truncated: OpenMetrics ends with # EOF"):
        read("a 1\n", openmetrics=True)


def test_not_utf8() -> None:
    with pytest.raises(RecordError, match="not UTF-8: byte 0xff"):
        read_exposition(b"a 1\n\xff 2\n")


def reference(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, int | None]]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            time = None if sample.timestamp is None else round(float(sample.timestamp) * 1e6)
            found[sample.name, tuple(sorted(sample.labels.items()))] = (repr(float(sample.value)), time)
    return found


def ours(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, int | None]]:
    found = read(text)
    assert found.bad == []
    return {sample[:2]: (repr(sample.value), sample.time_us) for sample in found.samples}


def test_the_reference_reader_finds_the_same_in_real_scrapes(recordings: Path) -> None:
    texts = [path.read_text() for path in sorted((recordings / "prometheus").iterdir())]
    with gzip.open(recordings / "host_metrics" / "node_exporter_scrapes.jsonl.gz", "rt") as file:
        texts += [json.loads(line)["body"] for line in list(file)[::20]]
    assert len(texts) >= 11
    for text in texts:
        assert ours(text) == reference(text)
    assert max(len(ours(text)) for text in texts) == 3027


names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
values = st.floats() | st.sampled_from([0.0, 1e300])
labels = st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(max_size=8), max_size=3)


def written(name: str, labels: dict[str, str], value: float) -> str:
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in labels.items()}
    inner = ",".join(f'{key}="{one}"' for key, one in escaped.items())
    return f"{name}{{{inner}}} {value!r}\n" if inner else f"{name} {value!r}\n"


@given(st.lists(st.tuples(names, labels, values), max_size=8, unique_by=lambda one: (one[0], tuple(sorted(one[1].items())))))
def test_what_is_written_is_read(series: list[tuple[str, dict[str, str], float]]) -> None:
    found = read("".join(written(*one) for one in series))
    assert found.bad == []
    assert [repr(s) for s in found.samples] == [repr(Sample(n, tuple(sorted(ls.items())), v)) for n, ls, v in series]


@given(st.binary(max_size=80) | st.text(alphabet='ab{}="\\,# \n1.TYPE', max_size=80).map(str.encode))
@example(b'a{b="' + b"\\" * 70)
def test_nothing_makes_it_fail(raw: bytes) -> None:
    for openmetrics in (False, True):
        try:
            found = read_exposition(raw, openmetrics=openmetrics)
        except RecordError:
            continue
        assert len(found.samples) + len(found.bad) <= raw.count(b"\n") + 1


def test_a_long_bad_line_does_not_take_long() -> None:
    for line in ('a{b="' + '\\"' * 50_000, "a{" + 'b="c",' * 20_000, "a" * 100_000, "a " + "1 " * 50_000):
        assert len(read(f"{line}\n").bad) == 1
