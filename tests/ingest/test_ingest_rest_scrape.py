"""Scrapes as rows: rates, means, quantiles, entities; by hand, by property, from recordings, from a real exporter."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import random
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qraft.config.sources.rest import PrometheusSettings
from qraft.ingest.rest_prometheus import read_exposition
from qraft.ingest.rest_scrape import Row, Scrapes, bucket_quantile
from tests.ingest.rest_server import Asked, Reply, polled, served

SECOND = 1_000_000


def scraped(texts: list[str], *, seconds: float = 10.0, openmetrics: bool = False, **keys: Any) -> list[list[Row]]:
    """The rows of each of some scrapes, so many seconds apart."""
    scrapes = Scrapes(PrometheusSettings.model_validate(keys))
    return [
        scrapes.rows(read_exposition(text.encode(), openmetrics=openmetrics), round(number * seconds * SECOND))
        for number, text in enumerate(texts)
    ]


def fields(texts: list[str], **keys: Any) -> dict[str, float]:
    """The fields of the last of some scrapes, which has one row."""
    rows = scraped(texts, **keys)[-1]
    assert len(rows) <= 1
    return rows[0].fields if rows else {}


def test_gauges_keep_their_value_and_what_is_not_finite_is_left_out() -> None:
    text = '# TYPE t gauge\nt{s="a"} 1.5\nt{s="b"} NaN\nt{s="c"} +Inf\nuntyped -2\n'
    assert fields([text]) == {"t.s=a": 1.5, "untyped": -2.0}


def test_the_first_scrape_primes_and_a_reset_is_left_out_once() -> None:
    texts = [f"# TYPE x_total counter\nx_total {value}\n" for value in (100, 150, 20, 50)]
    assert [row[0].fields if row else {} for row in scraped(texts)] == [
        {},
        {"x_per_second": 5.0},
        {},
        {"x_per_second": 3.0},
    ]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("x_total {}\n", "x_per_second"),  # by its name, where no type is given
        ("x_count {}\n", "x_count_per_second"),
        ("x_sum {}\n", "x_sum_per_second"),
        ("# TYPE x counter\nx {}\n", "x_per_second"),
        ("# TYPE x_total gauge\nx_total {}\n", ""),  # the type has the last word
        ("# TYPE x untyped\nx {}\n", ""),
        ("x {}\n", ""),
    ],
)
def test_what_is_a_counter(text: str, counts: str) -> None:
    found = fields([text.format(10), text.format(20)])
    assert found == ({counts: 1.0} if counts else {text.split("\n")[-2].split(" ", maxsplit=1)[0]: 20.0})


def test_settings_may_name_counters() -> None:
    assert fields(["n_vm_in 10\nn_free 5\n", "n_vm_in 30\nn_free 6\n"], counters=["n_vm_*"]) == {
        "n_vm_in_per_second": 2.0,
        "n_free": 6.0,
    }


HISTOGRAM = """# TYPE d histogram
d_bucket{{h="a",le="0.1"}} {0}
d_bucket{{h="a",le="0.5"}} {1}
d_bucket{{h="a",le="+Inf"}} {2}
d_sum{{h="a"}} {3}
d_count{{h="a"}} {2}
"""


@pytest.mark.parametrize("typed", [True, False])
def test_a_histogram_gives_its_rate_mean_and_quantiles(typed: bool) -> None:
    texts = [HISTOGRAM.format(10, 20, 30, 7.0), HISTOGRAM.format(50, 80, 130, 57.0)]
    texts = texts if typed else [text.split("\n", 1)[1] for text in texts]
    # 100 observations in 10 s that sum to 50: 40 up to 0.1, 20 more up to 0.5, 40 above.
    assert fields(texts, quantiles=[0.2, 0.5, 0.999]) == pytest.approx(
        {
            "d_count_per_second.h=a": 10.0,
            "d_mean.h=a": 0.5,
            "d_p20.h=a": 0.05,
            "d_p50.h=a": 0.3,
            "d_p99_9.h=a": 0.5,
        }
    )


def test_a_histogram_that_nothing_happened_to_has_a_rate_and_no_mean() -> None:
    assert fields([HISTOGRAM.format(1, 2, 3, 4.0)] * 2, quantiles=[0.5]) == {"d_count_per_second.h=a": 0.0}


def test_a_histogram_that_was_reset_is_left_out_once() -> None:
    texts = [HISTOGRAM.format(10, 20, 30, 7.0), HISTOGRAM.format(1, 2, 3, 0.7), HISTOGRAM.format(2, 4, 6, 1.4)]
    rows = scraped(texts, quantiles=[0.5])
    assert rows[:2] == [[], []]
    assert rows[2][0].fields.keys() == {"d_count_per_second.h=a", "d_mean.h=a", "d_p50.h=a"}


def test_a_summary_gives_its_rate_its_mean_and_its_own_quantiles() -> None:
    text = '# TYPE s summary\ns{{quantile="0.5"}} {0}\ns{{quantile="0.9"}} NaN\ns_sum {1}\ns_count {2}\n'
    assert fields([text.format(0.1, 10, 100), text.format(0.2, 15, 120)]) == pytest.approx(
        {"s.quantile=0.5": 0.2, "s_count_per_second": 2.0, "s_mean": 0.25}
    )


def test_openmetrics() -> None:
    text = (
        "# TYPE c counter\nc_total {0}\nc_created 1.7e9\n# TYPE i info\ni_info{{v=\"1\"}} 1\n"
        "# TYPE st stateset\nst{{st=\"on\"}} 1\n"
        "# TYPE g gaugehistogram\ng_bucket{{le=\"+Inf\"}} 5\ng_gcount 5\ng_gsum 7\n# TYPE u unknown\nu 3\n# EOF\n"
    )  # fmt: skip
    found = fields([text.format(1), text.format(21)], openmetrics=True, exclude=[])
    assert found == {"c_per_second": 2.0, "st.st=on": 1.0, "g_gcount": 5.0, "g_gsum": 7.0, "u": 3.0}


def test_labels_split_a_scrape_into_entities() -> None:
    text = 'load 1\nio{dev="a",host="x"} 1\nio{dev="b",host="x"} 2\nbusy{dev="a",host="x",mode="r"} 3\n'
    ((load, a, b),) = scraped([text], entity_labels=["dev", "host"])
    assert load == Row("", None, {"load": 1.0})
    assert a == Row("a/x", None, {"io": 1.0, "busy.mode=r": 3.0})
    assert b == Row("b/x", None, {"io": 2.0})


def test_times_of_the_exporter_make_rows_of_their_own_and_count_for_rates() -> None:
    texts = ["old_total 10 1000\nlevel 1\n", "old_total 40 7000\nlevel 1\n", "old_total 40 7000\nlevel 1\n"]
    first, second, third = scraped(texts)
    assert first == [Row("", None, {"level": 1.0})]
    assert second == [Row("", 7 * SECOND, {"old_per_second": 5.0}), Row("", None, {"level": 1.0})]
    assert third == [Row("", None, {"level": 1.0})]  # the exporter has nothing new


def test_globs_choose_and_the_first_named_get_room_first() -> None:
    text = 'a{x="1"} 1\na{x="2"} 1\na{x="3"} 1\nb 2\nc_info 3\nc 4\n'
    assert fields([text], include=["a", "b"]).keys() == {"a.x=1", "a.x=2", "a.x=3", "b"}
    assert fields([text], include=["a", "*"], max_fields=4).keys() == {"a.x=1", "a.x=2", "a.x=3", "b"}
    assert fields([text], max_fields=4).keys() == {"b", "c"}  # the fewest series first, each metric whole or not at all
    assert fields([text], exclude=["a", "b"]).keys() == {"c", "c_info"}
    assert fields(['d_bucket{le="1"} 1\nd_sum 1\nd_count 1\n'] * 2, include=["d"]).keys() == {"d_count_per_second"}


def test_which_fields_there_are_does_not_change_with_what_comes_later() -> None:
    scrapes = Scrapes(PrometheusSettings(max_fields=3))
    names = []
    for text in ('a{x="1"} 1\na{x="2"} 1\n', "b 1\n" + 'a{x="1"} 1\na{x="2"} 1\n', 'a{x="1"} 1\nb 1\nc 1\n'):
        (row,) = scrapes.rows(read_exposition(text.encode()), 0)
        names.append(set(row.fields))
    assert names == [{"a.x=1", "a.x=2"}, {"a.x=1", "a.x=2", "b"}, {"a.x=1", "b"}]
    assert scrapes.left_out == 1


@pytest.mark.parametrize(
    ("buckets", "half"),
    [
        ([(1.0, 10.0), (2.0, 20.0), (math.inf, 20.0)], 1.0),
        ([(1.0, 0.0), (2.0, 10.0), (math.inf, 10.0)], 1.5),
        ([(1.0, 0.0), (2.0, 0.0), (math.inf, 10.0)], 2.0),
        ([(-1.0, 10.0), (2.0, 10.0), (math.inf, 10.0)], -1.0),
        ([(1.0, 10.0), (2.0, 9.0), (math.inf, 20.0)], 1.0),  # counts that fall are an exporter's fault, and mended
        ([(1.0, 0.0), (math.inf, 0.0)], None),
        ([(1.0, None), (math.inf, 5.0)], None),
        ([(math.inf, 5.0)], None),
        ([(1.0, 5.0), (2.0, 5.0)], None),
        ([], None),
    ],
)
def test_quantiles_of_buckets(buckets: list[tuple[float, float | None]], half: float | None) -> None:
    assert bucket_quantile(0.5, buckets) == half


@given(st.lists(st.floats(0, 99), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(observed: list[float], quantile: float) -> None:
    bounds = [*range(10, 101, 10), math.inf]
    value = bucket_quantile(quantile, [(bound, float(sum(one <= bound for one in observed))) for bound in bounds])
    true = sorted(observed)[max(0, math.ceil(quantile * len(observed)) - 1)]
    upper = next(bound for bound in bounds if true <= bound)
    assert value is not None
    assert upper - 10 - 1e-6 <= value <= upper + 1e-6


steps = st.lists(st.tuples(st.floats(0, 1e6), st.booleans(), st.integers(1, 3_600_000)), max_size=30)


@given(steps, st.data())
def test_rates_account_for_all_that_was_counted_between_resets(
    counted: list[tuple[float, bool, int]], data: st.DataObject
) -> None:
    """Any scrapes of a counter, at any distance: each rate is what was counted since the scrape before, unless reset."""
    total, now, before = 0.0, 0, None
    scrapes = Scrapes(PrometheusSettings())
    for grown, reset, milliseconds in counted:
        now += milliseconds * 1000
        total = grown if reset else total + grown
        if data.draw(st.booleans(), "missed"):
            continue
        rows = scrapes.rows(read_exposition(f"x_total {total!r}\n".encode()), now)
        if before is None or total < before[0]:
            assert rows == []
        else:
            expected = (total - before[0]) / ((now - before[1]) / 1e6)
            assert rows == [Row("", None, {"x_per_second": expected})]
        before = (total, now)


def exposition(numbers: random.Random) -> str:
    buckets = sorted(numbers.randrange(100) for _ in range(3))
    return (
        "# HELP g Some text\n# TYPE g gauge\n" + "".join(f'g{{n="{n}"}} {numbers.random():.6f}\n' for n in range(4))
        + "# TYPE c_total counter\n" + "".join(f'c_total{{n="{n}"}} {numbers.randrange(10**6)}\n' for n in range(4))
        + "# TYPE d histogram\n"
        + "".join(f'd_bucket{{le="{le}"}} {buckets[n]}\n' for n, le in enumerate(("1", "2", "+Inf")))
        + f"d_sum {buckets[2]}.5\nd_count {buckets[2]}\nplain 12345\n"
    )  # fmt: skip


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_scrape_that_is_cut_anywhere_gives_nothing_wrong(seed: int, part: float) -> None:
    numbers = random.Random(seed)
    first, second = exposition(numbers), exposition(numbers)
    whole = fields([first, second])
    cut = fields([first, second[: round(part * len(second))]])
    assert cut.items() <= whole.items()


def recorded(recordings: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(recordings / "host_metrics" / "node_exporter_scrapes.jsonl.gz", "rt") as file:
        for line in file:
            yield json.loads(line)


def value_of(body: str, series: str) -> float:
    return float(next(line.rsplit(" ", 1)[1] for line in body.split("\n") if line.startswith(series + " ")))


async def test_a_recorded_exporter_replayed_live(sink: Any, recordings: Path) -> None:
    """The rates are those computed by hand from the recorded counters and the times of the scrapes."""
    scrapes = list(recorded(recordings))
    asked = 0

    def answer(_: Asked) -> Reply:
        nonlocal asked
        asked += 1
        scrape = scrapes[min(asked, len(scrapes)) - 1]
        return Reply(scrape["body"], headers={"Content-Type": scrape["content_type"]})

    def clock() -> int:
        return round(scrapes[min(max(asked, 1), len(scrapes)) - 1]["ts"] * 1e6)

    async with served(answer) as server:
        await polled(server.url, sink, lambda: asked > len(scrapes), clock=clock, interval_seconds=0.01)
    assert len(scrapes) == 110
    events = sink.events[:110]
    assert sink.letters == sink.notices == []
    series = {
        "node_context_switches_total": "node_context_switches_per_second",
        'node_cpu_seconds_total{cpu="0",mode="user"}': "node_cpu_seconds_per_second.cpu=0.mode=user",
        'node_network_transmit_bytes_total{device="eth0"}': "node_network_transmit_bytes_per_second.device=eth0",
        'node_disk_written_bytes_total{device="vda"}': "node_disk_written_bytes_per_second.device=vda",
    }
    assert not set(series.values()) & events[0].payload.keys()
    for number in range(1, 110):
        before, now = scrapes[number - 1], scrapes[number]
        for name, field in series.items():
            grown = value_of(now["body"], name) - value_of(before["body"], name)
            assert events[number].payload[field] == pytest.approx(grown / (now["ts"] - before["ts"]), rel=1e-6, abs=1e-9)
        assert events[number].payload["node_load1"] == value_of(now["body"], "node_load1")
    # Ten megabytes a second were written to the disk from 364 s to 394 s after the start.
    written = [event.payload.get("node_disk_written_bytes_per_second.device=vda", 0.0) for event in events]
    assert sum(written[93:98]) / 5 > 8e6 > 4 * sum(written[:90]) / 90
    assert not any(name.startswith(("go_", "node_time_seconds", "node_boot")) for e in events for name in e.payload)


async def test_a_recorded_exporter_by_disk_and_card(sink: Any, recordings: Path) -> None:
    bodies = [scrape["body"] for scrape in recorded(recordings)][:3]
    keys = {
        "format": "prometheus",
        "prometheus": {"entity_labels": ["device"], "include": ["node_disk_*", "node_network_*"]},
    }
    async with served(list(bodies)) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 3, **keys)
    assert {event.payload["entity"] for event in sink.events} == {"vda", "zram0", "eth0", "ifb0", "ifb1"}
    disks = [event.payload for event in sink.events if event.payload["entity"] in ("vda", "zram0")]
    assert disks[2].keys() == disks[3].keys() >= {"entity", "node_disk_io_now", "node_disk_written_bytes_per_second"}


async def test_the_full_recorded_scrape_is_bounded_and_the_operator_told(sink: Any, recordings: Path) -> None:
    body = (recordings / "prometheus" / "node_exporter_e2e-output.txt").read_bytes()
    async with served([body]) as server:
        await polled(server.url, sink, lambda: len(server.asked) > 3, prometheus={"max_fields": 40})
    assert max(len(event.payload) for event in sink.events) == 40
    ((kind, text),) = sink.notices
    assert kind == "fields"
    assert "have no room; choose with prometheus.include" in text
    assert sink.letters == []


async def test_the_awkward_recorded_cases(sink: Any, recordings: Path) -> None:
    folder = recordings / "prometheus"
    for case in ("client_side_timestamp", "histogram", "inconsistent_metrics", "summary"):
        async with served([(folder / f"node_exporter_{case}_metrics.prom").read_bytes()]) as server:
            await polled(server.url, sink, lambda: len(server.asked) > 3)
    assert sink.letters == []
    own = [event for event in sink.events if "metric_with_custom_timestamp" in event.payload]
    assert [event.timestamp for event in own] == ["2015-09-02T14:59:37.284000Z"]  # the same reading is taken once
    names = set().union(*(event.payload for event in sink.events))
    assert {"normal_metric", "go_goroutines"} & names == {"normal_metric"}
    assert "http_requests_per_second.code=200.foo=bar.method=get" in names
    assert "prometheus_tsdb_compaction_chunk_range_count_per_second" in names
    assert "event_duration_seconds_total.baz=inner_eval.quantile=0.99" in names
    assert "event_duration_seconds_total_count_per_second.baz=result_sort" in names


async def test_bad_lines_become_one_dead_letter_a_scrape(sink: Any) -> None:
    async with served(["a 1\nb one\nc{ 1\nd 2\na 3\n"]) as server:
        await polled(server.url, sink, lambda: bool(sink.events), format="prometheus")
    assert sink.events[0].payload == {"a": 1.0, "d": 2.0}
    letter = sink.letters[0]
    assert "3 of 5 lines cannot be used; line 2: not a number: 'one'" in letter.reason
    assert letter.original == b"b one\nc{ 1\na 3"


@asynccontextmanager
async def exporter() -> AsyncIterator[str]:
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        pytest.skip("prometheus-node-exporter (a Debian package) is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        program, f"--web.listen-address={address}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection(*address.split(":"))
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    break
        writer.close()
        await writer.wait_closed()
        yield f"http://{address}/metrics"
    finally:
        process.kill()
        await process.wait()


async def test_a_real_node_exporter(sink: Any) -> None:
    async with exporter() as url:
        await polled(url, sink, lambda: len(sink.events) >= 4, interval_seconds=0.2, prometheus={"include": ["node_*"]})
    last = sink.events[-1].payload
    assert last["node_memory_MemTotal_bytes"] > 0
    assert last["node_context_switches_per_second"] >= 0
    assert len(last) > 50
    assert last.keys() >= sink.events[1].payload.keys() - {"node_pressure_cpu_waiting_seconds_per_second"}
    assert sink.letters == []
