"""Detectors of other packages: real packages with entry points on the path of a child process; the guide's own example."""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pytest

from qraft.config.base import Section
from qraft.config.detect import DetectSettings
from qraft.config.plugins import Loaded
from qraft.detect import DetectorPlugin, EntityDetectors, Finding, Judgement, freeze, thaw
from qraft.detect.guest import Guest
from qraft.detect.registry import BUILT_IN
from qraft.detect.report import QUIET
from qraft.model import Contributor
from tests.detect.streams import LINES
from tests.e2e.harness import EngineProcess, until

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "docs" / "writing-a-detector.md", ROOT / "docs" / "zh-CN" / "writing-a-detector.md"]
FILES = dict(re.findall(r"```\w+\n# (\S+)\n(.*?)```", GUIDES[0].read_text(encoding="utf-8"), re.DOTALL))
"""The example's files, as the guide shows them."""

ALONE = "[detect]\n" + "".join(f"{name}.enabled = false\n" for name in (*(one.name for one in BUILT_IN), "peers"))
"""A configuration in which no built-in detector runs."""
BESIDE_ADWIN = ALONE.replace("adwin.enabled = false", "adwin.enabled = true")

FAULTS = """
from qraft.config.base import Section
from qraft.detect import DetectorPlugin, Judgement
from qraft.detect.report import QUIET


class Settings(Section):
    enabled: bool = True
    at: int = 300


class Detector:
    def __init__(self, settings):
        self.settings, self.rows = settings, 0

    def step(self, time_us, row, line):
        self.rows += 1
        return self.fault(row) or QUIET if self.rows >= self.settings.at else QUIET


class Raises(Detector):
    def fault(self, row):
        return 1 / 0


class Wild(Detector):
    def fault(self, row):
        return Judgement(2.0, 0.0, 1.0, None)


class Spoils(Detector):
    def fault(self, row):
        row.clear()


class Ends(Detector):
    def fault(self, row):
        raise SystemExit


class Unkept(Detector):
    def fault(self, row):
        self.rule = lambda: row


def unmade(settings):
    raise OSError("no model file")


def plugin(make):
    return DetectorPlugin(settings=Settings, make=make, type="drift")


raises, wild, spoils, ends, unkept, never = map(plugin, (Raises, Wild, Spoils, Ends, Unkept, unmade))
"""


def install(site: Path, name: str, points: Mapping[str, str], modules: Mapping[str, str], version: str = "1.0") -> Path:
    """Puts a package into a folder as pip would, in place of any other version of it."""
    for old in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    dashed = name.replace("_", "-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dashed}\nVersion: {version}\n", encoding="utf-8")
    lines = "".join(f"{point} = {place}\n" for point, place in points.items())
    (info / "entry_points.txt").write_text(f"[qraft.detectors]\n{lines}", encoding="utf-8")
    for file, text in modules.items():
        (site / f"{file}.py").write_text(text, encoding="utf-8")
    return site


def install_jumps(site: Path, version: str = "1.0") -> Path:
    return install(site, "acme_jumps", {"jumps": "acme_jumps:plugin"}, {"acme_jumps": FILES["acme_jumps.py"]}, version)


def install_faults(site: Path) -> Path:
    names = ("raises", "wild", "spoils", "ends", "unkept", "never")
    return install(site, "acme_faults", {name: f"acme_faults:{name}" for name in names}, {"acme_faults": FAULTS})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the guide's package installed."""
    return install_jumps(tmp_path / "site")


def run(site: Path, *command: str) -> tuple[int, str, str]:
    found = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found.returncode, found.stdout, found.stderr


def qraft(site: Path, *command: str) -> tuple[int, str, str]:
    return run(site, "-m", "qraft.cli", *command)


def write(site: Path, name: str, text: str) -> str:
    (site.parent / name).write_text(text, encoding="utf-8")
    return name


def values(rows: int = 1200) -> list[tuple[float, float]]:
    """Two fields: one shifts for good at row 800, the other has a single spike at row 600."""
    draw = random.Random(7)
    return [(draw.gauss(8.0 * (n >= 800), 1.0), 30.0 if n == 600 else draw.gauss(0.0, 1.0)) for n in range(rows)]


def rows_file(site: Path) -> str:
    lines = "".join(f"{1_700_000_000 + n},{a:.6f},{b:.6f}\n" for n, (a, b) in enumerate(values()))
    return write(site, "rows.csv", f"t,a,b\n{lines}")


def test_the_guides_example_passes_its_own_cases(site: Path) -> None:
    write(site, "config.toml", ALONE)
    status, out, err = qraft(site, "test", "--workers", "1", write(site, "jumps.test.toml", FILES["jumps.test.toml"]))
    assert (status, err) == (0, ""), out
    assert "2 passed" in out


def test_the_guides_package_is_the_installed_one(site: Path) -> None:
    import tomllib

    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    points = project["entry-points"]["qraft.detectors"]
    assert (site / "acme_jumps-1.0.dist-info" / "entry_points.txt").read_text().splitlines()[1:] == [
        f"{name} = {place}" for name, place in points.items()
    ]
    blocks = [re.findall(r"```\w+\n.*?```", guide.read_text(encoding="utf-8"), re.DOTALL) for guide in GUIDES]
    assert blocks[0] == blocks[1]


def test_mistakes_in_a_section_name_file_line_key_and_nearest_name(site: Path) -> None:
    text = (
        "[detect.jumps]\nwarmup = 5\nenabeld = true\n[detect.jumsp]\nwarmup = 30\n"
        '[sources.s]\nadapter = "external"\ndetect.jumps.warmup = "x"\n'
    )
    status, _, err = qraft(site, "check", write(site, "config.toml", text))
    assert status == 1
    assert err.splitlines() == [
        "qraft: config.toml:2: detect.jumps.warmup: expected 20 or more, got 5",
        'qraft: config.toml:3: detect.jumps.enabeld: unknown key; did you mean "enabled"?',
        'qraft: config.toml:4: detect.jumsp: unknown key; did you mean "jumps"?',
        'qraft: config.toml:8: sources.s.detect.jumps.warmup: expected a whole number, got "x"',
    ]


def test_settings_are_written_and_read_back(site: Path) -> None:
    code = """
from pathlib import Path
from qraft.config import load
from qraft.config.dump import write_settings
settings = load(Path("config.toml"))
assert load(write_settings(settings, Path("dump.toml"))) == settings
print(settings.detect.jumps.warmup, settings.detect_for("s").jumps.warmup, settings.detect_for("s").jumps.enabled)
"""
    write(site, "config.toml", '[detect.jumps]\nwarmup = 50\n[sources.s]\nadapter = "external"\ndetect.jumps.warmup = 70\n')
    assert run(site, "-c", code) == (0, "50 70 True\n", "")
    assert "[detect.jumps]\nenabled = true\nwarmup = 50\n" in (site.parent / "dump.toml").read_text(encoding="utf-8")


def test_packages_that_cannot_be_used_are_told_and_stop_nothing(site: Path) -> None:
    modules = {
        "acme_bad": "from qraft.config.base import Section\nfrom qraft.detect import DetectorPlugin\n"
        "class Bare(Section):\n    at: int = 1\n"
        "class Asks(Section):\n    enabled: bool = True\n    at: int\n"
        "bare, asks = (DetectorPlugin(settings=s, make=print, type='drift') for s in (Bare, Asks))\n"
        "class Good(Section):\n    enabled: bool = True\n"
        "odd = DetectorPlugin(settings=Good, make=print, type='odd')\n"
        "good = DetectorPlugin(settings=Good, make=print, type='drift')\n",
        "acme_ends": "raise SystemExit(3)\n",
    }
    points = {
        "absent": "no_such_module:plugin",
        "asks": "acme_bad:asks",
        "bare": "acme_bad:bare",
        "Case": "acme_bad:good",
        "copy": "acme_bad:good",
        "ends": "acme_ends",
        "forest": "acme_bad:good",
        "line": "acme_bad:good",
        "none": "acme_bad:nothing",
        "odd": "acme_bad:odd",
    }
    install(site, "acme_bad", points, modules)
    text = "[detect.absent]\nenabled = true\nwhatever = [1]\n[detect.jumps]\nwarmup = 40\n"
    status, out, err = qraft(site, "check", write(site, "config.toml", text))
    assert (status, out.splitlines()[0]) == (0, "config.toml: ok")
    reasons = {
        "Case": "its name is not lower-case letters, digits and _ only, or means something else in settings",
        "absent": "No module named 'no_such_module'",
        "asks": "its settings have keys without a default: at",
        "bare": "its settings have no `enabled: bool`",
        "copy": "its name is not lower-case letters, digits and _ only, or means something else in settings",
        "ends": "3",
        "forest": "a detector or a key of [detect] of this name is there already",
        "line": "a detector or a key of [detect] of this name is there already",
        "none": "module 'acme_bad' has no attribute 'nothing'",
        "odd": "its `type` is none of drift, anomaly, cluster_change",
    }
    tail = "the others run; update or uninstall the package"
    assert err.splitlines() == [
        f"detector {name} of package acme-bad cannot be used: {reason}; {tail}" for name, reason in reasons.items()
    ]
    status, _, err = qraft(site, "check", write(site, "config.toml", "[detect.absnt]\nenabled = true\n"))
    assert status == 1
    assert err.splitlines()[-1] == 'qraft: config.toml:1: detect.absnt: unknown key; did you mean "absent"?'


def test_whatever_is_imported_first(site: Path) -> None:
    code = "import {}\nfrom qraft.config.detect import PLUGINS\nprint(*PLUGINS)"
    for module in ("qraft.detect", "qraft.detect.entity", "qraft.config.sources"):
        assert run(site, "-c", code.format(module)) == (0, "jumps\n", ""), module
    _, out, err = run(site, "-c", code.format("acme_jumps"))
    assert out == "\n"
    assert "detector jumps of package acme-jumps cannot be used: it was imported before qraft.config" in err


def test_a_replay_judges_with_it(site: Path) -> None:
    write(site, "config.toml", ALONE)
    rows = rows_file(site)
    status, _, err = qraft(site, "replay", rows, "--time", "t", "--out", "out", "--no-record", "--config", "config.toml")
    assert (status, err) == (0, "")
    found = patterns(site, "out")
    assert {(one["detector"], one["type"]) for one in found} == {("jumps", "anomaly")}
    at = {one["timestamp"]: one["contributors"][0]["field"] for one in found}
    assert at["2023-11-14T22:23:20.000000Z"] == "b"
    scores = next((site.parent / "out").rglob("rows*.csv")).read_text().splitlines()
    assert float(scores[1 + 600].split(",")[1]) >= 0.5
    assert all(float(line.split(",")[1]) < 0.5 for line in scores[1:601])


def patterns(site: Path, out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (site.parent / out / "patterns.jsonl").read_text().splitlines()]


def test_faults_rest_are_told_once_and_change_nothing_else(site: Path) -> None:
    rows = rows_file(site)
    write(site, "config.toml", BESIDE_ADWIN)
    arguments = (rows, "--time", "t", "--no-record", "--config", "config.toml")
    assert qraft(site, "replay", *arguments, "--out", "before")[0] == 0
    status, _, err = qraft(install_faults(site), "replay", *arguments, "--out", "after")
    assert status == 0
    told = [line for line in err.splitlines() if line.startswith("rows.csv: detector ")]
    who = "rows.csv: detector {} of package acme-faults 1.0: it rests, the others go on: "
    assert sorted(told) == sorted(err.splitlines())
    assert [line.partition(" (")[0] for line in sorted(told)] == [
        who.format("ends") + "SystemExit",
        who.format("never") + "OSError: no model file",
        who.format("raises") + "ZeroDivisionError: division by zero",
        who.format("wild") + "ValueError: onset, state and warm are in [0, 1], got 2.0, 0.0, 1.0",
    ]
    assert "(acme_faults.py:" in next(line for line in told if "raises" in line)
    found = patterns(site, "before")
    assert {one["detector"] for one in found} == {"adwin", "jumps"}
    assert patterns(site, "after") == found


RUN = """
import json, sys
from pathlib import Path
from qraft.config import parse
from qraft.model import Event, Feedback, encode, event_id, iso_from_us
from qraft.pipeline import Pipeline

events = []
for n, line in enumerate(Path(sys.argv[1]).read_text().splitlines()[1:]):
    t, a, b = map(float, line.split(","))
    stamp = iso_from_us(int(t * 1e6))
    events.append(Event(event_id("s", str(n)), "s", "row", stamp, {"a": a, "b": b}, {}))
for take_up, leave, first, last, config in json.loads(sys.argv[2]):
    pipeline = Pipeline(parse(config))
    if take_up:
        pipeline.restore(Path(take_up).read_bytes())
    result = pipeline.step(events[first:last])
    said = [encode(one).decode() for one in result.patterns]
    for one in result.patterns[:1]:
        pipeline.step([Feedback("f", one.pattern_id, "false_positive", one.timestamp, "s", one.detector)])
    Path(leave).write_bytes(pipeline.snapshot())
    result.notices += pipeline.step(events[last : last + 1]).notices
    notices = [[n.source, n.kind, n.text] for n in result.notices]
    print(json.dumps({"patterns": said, "notices": notices, "lines": pipeline.lines()["s"]}))
"""

Part = tuple[str, str, int, int, str]
"""A snapshot to take up ("" for none), one to leave, the first row, the one after the last, the configuration."""


def run_parts(site: Path, *parts: Part) -> list[dict[str, Any]]:
    """Pipelines one after the other in one process, each over a part of the stream."""
    status, out, err = run(site, "-c", RUN, rows_file(site), json.dumps(parts))
    assert status == 0, err
    found: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    for one in found:
        one["who"] = {json.loads(pattern)["detector"] for pattern in one["patterns"]}
    return found


def of(detector: str, found: dict[str, Any]) -> list[str]:
    return [one for one in found["patterns"] if json.loads(one)["detector"] == detector]


def test_state_outlives_a_restart_and_a_package_that_goes_leaves_the_others(site: Path) -> None:
    whole, half, rest, changed = run_parts(
        site,
        ("", "whole", 0, 1200, BESIDE_ADWIN),
        ("", "half", 0, 598, BESIDE_ADWIN),
        ("half", "rest", 598, 1200, BESIDE_ADWIN),
        ("half", "changed", 598, 1200, f"{BESIDE_ADWIN}jumps.warmup = 50\n"),
    )
    assert whole["who"] == {"adwin", "jumps"}
    assert whole["notices"] == half["notices"] == half["patterns"] == []
    assert whole["lines"]["jumps"] > whole["lines"]["ddm"] == 0.5  # its first pattern was refused
    assert rest["patterns"] == whole["patterns"]
    assert changed["notices"] == []
    assert of("adwin", changed) == of("adwin", whole) != []
    assert spike(whole)
    assert not spike(changed)  # it warms up anew

    install_jumps(site, "2.0")
    (newer,) = run_parts(site, ("half", "newer", 598, 1200, BESIDE_ADWIN))
    text = "detector jumps of package acme-jumps 1.0: its version is 2.0, that of its state another; it starts anew"
    assert newer["notices"] == [["s", "detector", text]]
    assert of("adwin", newer) == of("adwin", whole)
    assert not spike(newer)

    shutil.rmtree(site)
    site.mkdir()
    gone, again = run_parts(site, ("half", "gone", 598, 1100, BESIDE_ADWIN), ("gone", "again", 1100, 1200, BESIDE_ADWIN))
    text = "detector jumps of package acme-jumps 1.0: it is not there any more; its state is dropped, the others' stay"
    assert gone["notices"] == [["s", "detector", text]]
    assert gone["patterns"] + again["patterns"] == of("adwin", whole)
    assert again["notices"] == []


LIVE = """
import json, sys
from qraft.config import parse
from qraft.model import Event, encode, event_id, iso_from_us
from qraft.pipeline import Pipeline

values, several = json.loads(sys.argv[1])
events = [Event(event_id("s", str(n)), "s", "row", iso_from_us((1_700_000_000 + n) * 1_000_000), {"a": a, "b": b}, {})
          for n, (a, b) in enumerate(values)]
for level, *texts in several:
    pipeline = Pipeline(parse(texts[0]))
    patterns = []
    for at, text in enumerate(texts):
        pipeline.reconfigure(parse(text))
        pipeline.snapshot()
        result = pipeline.step(events[at * 598 : (at + 1) * 598], level=level)
        assert not result.notices
        patterns += [encode(one).decode() for one in result.patterns]
    print(json.dumps({"patterns": patterns}))
"""


def test_settings_changed_live_touch_its_own_detector_only(site: Path) -> None:
    several = [
        ("full", BESIDE_ADWIN, f"{BESIDE_ADWIN}line = 0.49\n"),
        ("full", BESIDE_ADWIN, f"{BESIDE_ADWIN}line = 0.49\njumps.warmup = 50\n"),
        ("full", BESIDE_ADWIN, f"{BESIDE_ADWIN}line = 0.49\njumps.enabled = false\n"),
        ("light", BESIDE_ADWIN, f"{BESIDE_ADWIN}line = 0.49\n"),
    ]
    status, out, err = run(site, "-c", LIVE, json.dumps([values(1196), several]))
    assert (status, err) == (0, "")
    same, changed, off, light = (json.loads(line) for line in out.splitlines())
    assert spike(same)
    assert not spike(changed)  # it warms up anew
    assert of("jumps", off) == []
    assert of("adwin", changed) == of("adwin", off) == of("adwin", same) != []
    assert light == same  # both are cheap


def spike(found: dict[str, Any]) -> list[str]:
    """What the package's detector said of the spike, row 600 and the one after it."""
    return [one for one in of("jumps", found) if "T22:23:2" in one]


def test_what_rests_goes_on_resting_and_what_cannot_be_kept_is_told(site: Path) -> None:
    first, second = run_parts(
        install_faults(site), ("", "half", 0, 700, BESIDE_ADWIN), ("half", "end", 700, 1199, BESIDE_ADWIN)
    )
    told = {text.split()[1]: text for _, _, text in first["notices"]}
    assert len(first["notices"]) == len(told)
    assert sorted(told) == ["ends", "never", "raises", "unkept", "wild"]
    assert "its state cannot be stored, so it starts anew whenever the engine does" in told["unkept"]
    assert first["who"] == {"jumps"}
    assert "adwin" in second["who"]
    assert [text.split()[1] for _, _, text in second["notices"]] == ["unkept"]


async def test_an_engine_tells_and_goes_on(
    site: Path, nats_url: str, clickhouse_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{install_faults(site)}{os.pathsep}{ROOT}")
    rows = rows_file(site)
    config: dict[str, object] = {
        "engine": {"barrier_seconds": 0.5},
        "nats": {"url": nats_url, "max_bytes": "64 MiB"},
        "clickhouse": {"url": clickhouse_url, "database": database},
        "detect": {name: {"enabled": False} for name in (*(one.name for one in BUILT_IN), "peers")},
        "sources": {"s": {"adapter": "file", "path": str(site.parent / rows), "time": "t"}},
    }
    engine = EngineProcess(site.parent / "engine", config)

    def asked(query: str) -> list[Any]:
        try:
            with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
                return list(client.query(query.format(database)).result_rows)
        except clickhouse_connect.driver.exceptions.Error:
            return []

    engine.start()
    try:
        found = "SELECT DISTINCT detector FROM {}.pattern_events"
        await until(lambda: asked(found) == [("jumps",)], 90, "the package's detector finds something")
        notices = "SELECT payload FROM {}.raw_events WHERE source = '_qraft'"
        await until(lambda: sum("package acme-faults" in str(one) for one in asked(notices)) >= 4, 30, "notices are stored")
        assert engine.stop() == 0
        assert "Traceback" not in engine.said()
        shutil.rmtree(site)
        engine.start()
        await until(
            lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 1,
            60,
            "the engine runs without the packages",
        )
        with (site.parent / rows).open("a") as file:
            file.write("1700009000,1.0,1.0\n")
        text = "detector jumps of package acme-jumps 1.0: it is not there any more"
        await until(lambda: any(text in str(one) for one in asked(notices)), 30, "what is gone is told")
        assert engine.stop() == 0
        assert "Traceback" not in engine.said()
    finally:
        if engine.alive():
            engine.kill()


class _Settings(Section):
    enabled: bool = True


FINDING = Finding({"a": 1.0}, {"a": 2.0}, (Contributor("x", 1.0),), "x jumped", {"z": 5.0}, "novelty")


def guest(say: Callable[[Mapping[str, float]], Any]) -> Guest:
    """A detector of a package that says of each row what ``say`` does."""

    class Says:
        def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
            return say(row)  # type: ignore[no-any-return]  # whatever it is

    part: Any = DetectorPlugin(settings=_Settings, make=lambda _: Says(), type="anomaly")
    return Guest("says", Loaded(part, "acme", "1.0", "acme"), _Settings())


@pytest.mark.parametrize(
    "said",
    [
        None,
        (),
        Judgement(math.nan, 0.0, 1.0, None),
        Judgement(0.2, -1.0, 1.0, None),
        Judgement(0.2, 0.0, 0.5, None),
        Judgement(0.7, 0.0, 1.0, None),
        Judgement(0.2, 0.0, 1.0, FINDING),
        Judgement(0.7, 0.0, 1.0, "found"),  # type: ignore[arg-type]
        Judgement(0.7, 0.0, 1.0, Finding({"a": object()}, {}, FINDING.contributors, "x")),
        Judgement(0.7, 0.0, 1.0, Finding({}, {}, FINDING.contributors, "x", {"z": math.inf})),
        Judgement(0.7, 0.0, 1.0, Finding({}, {}, FINDING.contributors, "x", {}, "variance")),
        Judgement(0.7, 0.0, 1.0, Finding({}, {}, FINDING.contributors, "")),
        Judgement(0.7, 0.0, 1.0, Finding({}, {}, (Contributor("x", "a"),), "x")),  # type: ignore[arg-type]
    ],
)
def test_what_no_detector_may_say_makes_it_rest(said: Any) -> None:
    one = guest(lambda _: said)
    assert one.step(0, {"x": 1.0}, 0.5) is QUIET
    assert [complaint.cause for complaint in one.complaints()] == ["failed"]
    assert one.step(1, {"x": 1.0}, 0.5) is QUIET
    assert one.complaints() == []


def test_what_it_says_is_taken_as_plain_values_of_its_own_row() -> None:
    numbers = {"a": 1.0}
    finding = Finding(numbers, {"a": (1, 2)}, FINDING.contributors, "x", {"z": np.float64(2.0)})

    def say(row: Any) -> Judgement:
        row.clear()
        return Judgement(float(np.float32(0.75)), np.float64(0.5), 1, finding)

    one, row = guest(say), {"x": 1.0}
    judgement = one.step(0, row, 0.5)
    numbers["a"] = 9.0
    assert judgement == Judgement(0.75, 0.5, 1.0, Finding({"a": 1.0}, {"a": [1, 2]}, FINDING.contributors, "x", {"z": 2.0}))
    assert {type(value) for value in judgement[:3]} == {float}
    assert row == {"x": 1.0}
    assert one.complaints() == []


def test_a_built_in_detector_that_raises_is_a_fault_of_ours() -> None:
    row: Any = {"x": "text"}
    with pytest.raises(ValueError, match="text"):
        EntityDetectors(DetectSettings()).step(0, row, LINES)


def test_a_state_holds_arrays_and_its_own_package_only() -> None:
    held: dict[str, Any] = {"a": np.arange(6.0).reshape(2, 3), "b": np.float64(2.5), "c": random.Random(3), "d": {1, 2}}
    back = thaw(freeze(held))
    assert np.array_equal(back["a"], held["a"])
    assert (back["b"], back["c"].random(), back["d"]) == (2.5, random.Random(3).random(), {1, 2})
    own = freeze(Contributor("x", 1.0))
    with pytest.raises(ValueError, match=r"qraft\.model"):
        thaw(own)
    assert thaw(own, packages=("qraft",)) == Contributor("x", 1.0)
    with pytest.raises(ValueError, match=r"qraft\.model"):
        thaw(own, packages=("qraf", "model"))
    for name in ("pickle.loads", "io.BytesIO", "sys.exit"):
        leads_out = (
            pickle.PROTO
            + b"\x04"
            + b"".join(pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode() for text in ("qraft.detect.state", name))
            + pickle.STACK_GLOBAL
            + pickle.STOP
        )
        with pytest.raises(ValueError, match="no snapshot"):
            thaw(leads_out)
