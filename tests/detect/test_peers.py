from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from qraft.config import Settings
from qraft.config.detect import DetectSettings, PeersSettings
from qraft.config.sources import FileSource
from qraft.detect import EntityTable, Finding, freeze, thaw
from qraft.detect.clusters.peers import Peers
from qraft.model import Event, event_id, iso_from_us
from qraft.pipeline import Pipeline
from tests.detect.streams import LINES, START_US

SECOND = 1_000_000
CHANGE = 700
Floats = npt.NDArray[np.float64]
Told = list[tuple[int, str, Finding]]


def fleet(seed: int, rounds: int = 1000, entities: int = 12, fields: int = 3, groups: int = 1) -> Floats:
    """Values [rounds, entities, fields]; entity n is in group n modulo ``groups``, with a small place of its own."""
    draw = np.random.default_rng(seed)
    place = 12.0 * np.arange(groups)[:, None] * draw.choice([-1.0, 1.0], fields)
    own = place[np.arange(entities) % groups] + 0.5 * draw.normal(size=(entities, fields))
    return 100.0 + own + draw.normal(size=(rounds, entities, fields))


def rows(values: Floats) -> Iterator[tuple[int, str, dict[str, float]]]:
    for at, whole in enumerate(values.tolist()):
        for entity, row in enumerate(whole):
            yield START_US + at * SECOND + entity, f"host{entity}", {f"f{field}": value for field, value in enumerate(row)}


def told(values: Floats, settings: PeersSettings | None = None, line: float = 0.5) -> Told:
    peers = Peers(settings or PeersSettings())
    out = []
    for time_us, entity, row in rows(values):
        onset, state, warm, finding = peers.step(entity, time_us, row, line)
        assert (finding is not None) == (onset >= line)
        assert (state, warm) == (0.0, 1.0)
        if finding is not None:
            out.append(((time_us - START_US) // SECOND, entity, finding))
    return out


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("groups", [1, 3])
def test_an_entity_that_leaves_its_peers_is_told_once(seed: int, groups: int) -> None:
    values = fleet(seed, groups=groups)
    values[CHANGE:, 7, 1] += 9.0 if seed % 2 else -9.0
    ((at, entity, finding),) = told(values)
    assert entity == "host7"
    assert CHANGE < at <= CHANGE + 120
    assert finding.kind == "member"
    assert finding.contributors[0].field == "f1"
    assert finding.contributors[0].score > 0.5
    assert sum(one.score for one in finding.contributors) == pytest.approx(1.0)
    assert abs((finding.contributors[0].after or 0.0) - (finding.contributors[0].before or 0.0)) == pytest.approx(
        9.0, abs=1.5
    )
    assert finding.summary.startswith("host7 ")
    assert " peers: f1 " in finding.summary
    assert "where they are at" in finding.summary
    assert finding.began_us is not None
    assert abs((finding.began_us - START_US) // SECOND - CHANGE) <= 60
    assert all(math.isfinite(value) for value in finding.metrics.values())


def test_an_entity_that_joins_another_group_is_said_to() -> None:
    values = fleet(1, groups=2)
    values[CHANGE:, 2] = values[CHANGE:, 3] + 0.3
    ((_, entity, finding),) = told(values)
    assert (entity, finding.kind) == ("host2", "member")
    assert "it is now with the 6 like host1" in finding.summary


def test_entities_that_leave_together_split_their_group() -> None:
    values = fleet(2)
    values[CHANGE:, :4, 2] += 10.0
    ((_, entity, finding),) = told(values)
    assert finding.kind == "split"
    assert entity in {"host0", "host1", "host2", "host3"}
    assert finding.contributors[0].field == "f2"
    assert "and 3 more split off from 8 peers" in finding.summary


def test_entities_of_several_groups_that_meet_are_a_birth() -> None:
    values = fleet(3, groups=3, entities=18)
    values[CHANGE:, :4] = 160.0 + np.random.default_rng(1).normal(size=values[CHANGE:, :4].shape)
    ((_, _, finding),) = told(values)
    assert finding.kind == "birth"


def test_a_changed_spread_and_a_changed_rate_count() -> None:
    values = fleet(4)
    values[CHANGE:, 5, 0] = 100.0 + 8.0 * (values[CHANGE:, 5, 0] - 100.0)
    found = told(values)
    assert [(entity, finding.contributors[0].field) for _, entity, finding in found] == [("host5", "f0")]
    peers = Peers(PeersSettings())
    raised = []
    for time_us, entity, row in rows(fleet(5)):
        if entity == "host3" and time_us > START_US + CHANGE * SECOND and time_us // SECOND % 4:
            continue
        finding = peers.step(entity, time_us, row, 0.5).finding
        if finding is not None:
            raised.append((entity, finding.contributors[0].field))
    assert raised == [("host3", "rows")]


def test_what_moves_all_alike_is_nobodys_leaving() -> None:
    values = fleet(6, groups=2)
    values[CHANGE:] += 15.0
    values += 5.0 * np.sin(np.arange(len(values)) / 60.0)[:, None, None]
    assert told(values) == []


@pytest.mark.parametrize(("entities", "fields"), [(4, 1), (8, 1), (20, 3)])
def test_quiet_fleets(entities: int, fields: int) -> None:
    rounds = 20_000 // entities
    draw = np.random.default_rng(entities)
    size = (rounds, entities, fields)
    at = np.arange(rounds)[:, None, None]
    heavy = draw.standard_t(3, size) + 10.0 * draw.normal(size=(entities, fields))
    cycle = 3.0 * np.sin(2.0 * np.pi * (at / 1440.0 + draw.uniform(size=(entities, fields)))) + draw.normal(size=size)
    streams = [
        draw.normal(size=size),
        heavy,
        draw.normal(size=size).cumsum(axis=0),
        cycle,
        np.floor(draw.uniform(0, 7, size)),
    ]
    assert sum(len(told(values)) for values in streams) <= 1


def test_fewer_than_the_least_number_is_never_compared() -> None:
    values = fleet(7, entities=3)
    values[CHANGE:, 1] += 50.0
    assert told(values) == []


def test_the_window_is_in_event_time() -> None:
    values = fleet(8)
    values[CHANGE:, 7, 1] += 9.0
    ((slow, _, finding),) = told(values, PeersSettings(window_seconds=40.0))
    ((fast, _, _),) = told(values, PeersSettings(window_seconds=10.0))
    assert fast < slow
    assert finding.summary.endswith("for 2 min")


@pytest.mark.parametrize("at", [100, 500, 8399, 8900, 9200])
def test_a_restored_comparison_says_the_same(at: int) -> None:
    values = fleet(9, rounds=850)
    values[CHANGE:, 7, 1] += 9.0
    one, other = Peers(PeersSettings()), Peers(PeersSettings())
    findings = 0
    for number, (time_us, entity, row) in enumerate(rows(values)):
        if number == at:
            other = thaw(freeze(other))
        said = one.step(entity, time_us, row, 0.5)
        assert other.step(entity, time_us, row, 0.5) == said
        findings += said.finding is not None
    assert findings == 1


def test_the_table_tells_it_and_forgets_whom_it_lets_go() -> None:
    off = {name: {"enabled": False} for name in DetectSettings.model_fields if name not in {"line", "max_entities", "peers"}}
    settings = DetectSettings.model_validate({**off, "max_entities": 12})
    values = fleet(10, rounds=850)
    values[CHANGE:, 7, 1] += 9.0
    table, raised = EntityTable(settings), []
    for number, (time_us, entity, row) in enumerate(rows(values)):
        if number == 9000:
            state = table.state()
            table = EntityTable(settings)
            table.load(state)
        verdict = table.step(entity, time_us, row, LINES)
        for detector, judgement in verdict.raised:
            assert verdict.change >= judgement.onset >= 0.5
            raised.append((detector.name, entity))
    assert raised == [("peers", "host7")]
    for number in range(500):
        table.step(f"new{number}", START_US + 900 * SECOND + number, {"f0": 1.0}, LINES)
    assert len(table) == 12
    assert table._peers is not None
    assert len(table._peers._slots) == 12


def test_batches_change_nothing() -> None:
    settings = Settings(sources={"s": FileSource(adapter="file", path="rows.csv", entity="host")})
    values = fleet(11, rounds=820, entities=6, fields=1)
    values[CHANGE:, 3, 0] += 12.0
    events = [
        Event(
            event_id=event_id("s", str(number)),
            source="s",
            type="row",
            timestamp=iso_from_us(time_us),
            payload={**row, "host": entity},
        )
        for number, (time_us, entity, row) in enumerate(rows(values))
    ]
    whole = Pipeline(settings).step(events).patterns
    parts, draw, at = Pipeline(settings), np.random.default_rng(1), 0
    patterns = []
    while at < len(events):
        size = int(draw.integers(1, 400))
        patterns += parts.step(events[at : at + size]).patterns
        at += size
    assert patterns == whole
    (one,) = [pattern for pattern in whole if pattern.detector == "peers"]
    assert (one.entity, one.kind, one.type) == ("host3", "member", "cluster_change")


@pytest.mark.parametrize("seed", [0, 3])
def test_rows_that_become_rare_do_no_harm(seed: int) -> None:
    """Windows come in which no entity has rows enough to be compared."""
    draw, peers = np.random.default_rng(seed), Peers(PeersSettings())
    for time_us, entity, row in rows(fleet(seed, rounds=700)):
        if time_us - START_US < 300 * SECOND or draw.random() < 0.05:
            onset, state, warm, _ = peers.step(entity, time_us, row, 0.5)
            assert (state, warm) == (0.0, 1.0)
            assert 0.0 <= onset <= 1.0
