"""`qraft explain` over a real ClickHouse."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from qraft import cli
from qraft.config import ClickHouseAddress, RunInfo, write_run
from qraft.config.store import StoreSettings
from qraft.model import CleanEvent, Contributor, Details, Feedback, Pattern, event_id, iso_from_us
from qraft.store import Block, Store
from tests.commands.stored import START_US, instance

SECOND_US = 1_000_000
Run = Callable[..., tuple[int, str, str]]


def pattern(number: int, row: int, *, lead: str = "price.log_return", confidence: float = 0.8) -> Pattern:
    return Pattern(
        pattern_id=f"{number:08x}-0000-5000-8000-000000000000",
        type="drift",
        kind="variance",
        timestamp=iso_from_us(START_US + row * SECOND_US),
        began=iso_from_us(START_US + (row - 40) * SECOND_US),
        source="market",
        entity="BTC",
        details=Details(
            prev_state={"label": "calm"},
            new_state={"label": "wild"},
            metrics={"decades": 6.2, "rows_since": 40.0, "odd_number": 1.5},
            confidence=confidence,
        ),
        contributors=[
            Contributor(field=lead, score=0.75, before=0.5, after=2.0, origin="price"),
            Contributor(field="volume", score=0.25, before=100.0, after=130.0),
        ],
        detector="spread",
        line=0.5,
        summary="price.log_return: spread 4.0x the last 40 s\x1b[2J",
    )


PATTERNS = [
    pattern(0x10, -4000),
    pattern(0x20, -2000, confidence=0.95),
    pattern(0x30, 300, lead="volume"),
    pattern(0x11, 500),
    pattern(0x40, 560),
    msgspec.structs.replace(pattern(0x50, 560), entity="ETH"),
]


@pytest.fixture
def data_dir(tmp_path: Path, clickhouse_url: str, database: str) -> Path:
    draw = random.Random(2)
    rows = [
        CleanEvent(
            event_id=event_id("market", str(row)),
            source="market",
            entity="BTC",
            time_us=START_US + row * SECOND_US,
            fields={"price.log_return": draw.gauss(0.0, 2.0 if row >= 460 else 0.5), "volume": draw.gauss(100.0, 5.0)},
        )
        for row in range(560)
    ]
    verdicts = [
        Feedback(
            feedback_id=f"fb{number}",
            pattern_id=PATTERNS[at].pattern_id,
            verdict="confirmed" if at else "false_positive",
            timestamp=PATTERNS[at].timestamp,
            source="market",
            detector="spread",
            user="ops1",
            note="seen it",
        )
        for number, at in enumerate((0, 3))
    ]

    async def store_all() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
            await store.write(Block(token="t", ingested_at=START_US, clean=rows, patterns=PATTERNS, feedback=verdicts))

    asyncio.run(store_all())
    return instance(tmp_path / "data", clickhouse_url, database)


@pytest.fixture
def run(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", "explain", *arguments, "--data-dir", str(data_dir)])
        status = cli.main()
        output = capsys.readouterr()
        return status, output.out, output.err

    return command


def test_all_is_on_one_screen(run: Run) -> None:
    status, out, err = run(PATTERNS[3].pattern_id)
    assert (status, err) == (0, "")
    said = out.splitlines()
    assert said[0] == "market/BTC: drift variance, found by spread"
    assert said[1].startswith("  price.log_return: spread 4.0x the last 40 s")
    assert "\x1b" not in out
    assert len(said) <= 40
    assert max(map(len, said)) <= 100
    text = "\n".join(said)
    assert "confidence  0.800 ██████████│█████░░░░ alert line 0.500" in text
    assert "there since 2026-11-18 11:14:20, 40 s before" in text
    assert "price.log_return (of price)        0.5          2" in text.replace("2.0", "2")
    assert "  75% ███████████████" in text.replace("75 %", "75%")
    assert "chance shows this about once in 10^6.2 rows" in text
    assert "odd number: 1.5" in text
    assert "verdicts (in force: confirmed)" in text
    assert "confirmed by ops1: seen it" in text


def test_the_windows_are_of_the_leading_field(run: Run) -> None:
    table = json.loads(run("00000011", "--json")[1])
    assert table["field"] == "price.log_return"
    assert table["reference"]["rows"] == 300
    assert table["reference"]["to"] == iso_from_us(START_US + 459 * SECOND_US)
    assert table["reference"]["spread"] == pytest.approx(0.5, rel=0.15)
    assert table["current"]["from"] == iso_from_us(START_US + 460 * SECOND_US)
    assert table["current"]["rows"] == 41 + 59
    assert table["current"]["spread"] == pytest.approx(2.0, rel=0.3)
    assert len(table["current"]["values"]) == 100
    assert table["meaning"]["rows_since"] == "40 rows since it began"
    status, out, _ = run("00000011")
    assert status == 0
    assert [line.split(":")[0].strip() for line in out.splitlines() if line.startswith(("  reference", "  current"))] == [
        "reference  300 rows over 4 min 59 s",
        "current    100 rows over 1 min 39 s",
    ]


def test_similar_findings_are_earlier_of_one_kind_and_mostly_the_same_fields_the_likest_first(run: Run) -> None:
    table = json.loads(run("00000011", "--json")[1])
    assert [(one["pattern"]["pattern_id"][:8], one["verdict"]) for one in table["similar"]] == [
        ("00000010", "false_positive"),
        ("00000020", None),
    ]
    assert table["similar_verdicts"] == {"none": 1, "false_positive": 1}
    assert "2 like it before:" in run("00000011")[1]
    assert "nothing like it was found before" in run("00000010")[1]


def test_without_verdict_it_says_how_to_give_one(run: Run) -> None:
    assert json.loads(run("00000040", "--json")[1])["verdict"] is None
    assert "no verdict on it; give one: qraft feedback 00000040-" in run("00000040")[1]


def test_without_stored_events_it_says_so(run: Run) -> None:
    assert "no stored events of price.log_return around it" in run("00000050")[1]


def test_a_prefix_must_be_of_one_id(run: Run) -> None:
    status, out, err = run("0000001")
    assert (status, out) == (1, "")
    assert err == (
        f'qraft: "0000001" begins several ids: {PATTERNS[0].pattern_id}, {PATTERNS[3].pattern_id}; give more letters\n'
    )
    assert run("ffff")[::2] == (1, 'qraft: no pattern "ffff" is stored; `qraft patterns` lists them\n')
    assert run(" ")[0] == 1


def test_the_servers_being_away_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["qraft", "explain", "0000", "--data-dir", str(tmp_path / "none")])
    assert cli.main() == 1
    assert "nothing is running under" in capsys.readouterr().err
    write_run(tmp_path / "away", RunInfo(clickhouse_url="http://127.0.0.1:1"))
    monkeypatch.setattr(sys, "argv", ["qraft", "explain", "0000", "--data-dir", str(tmp_path / "away")])
    assert cli.main() == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "does not answer" in said or "nothing is running" in said
