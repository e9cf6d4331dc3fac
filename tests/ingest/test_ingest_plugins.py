"""Adapters of other packages: real packages on the path of a child process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
from typing import Annotated, Literal

from pydantic import Field

from qraft.config.sources import SourceSettings
from qraft.ingest import Clock, Sink
from qraft.ingest.batcher import Batcher
from qraft.model import Event, event_id, iso_from_us


class TickSource(SourceSettings):
    adapter: Literal["acme_ticks"]
    count: Annotated[int, Field(ge=1)]
    """How many ticks."""


class TickAdapter:
    def __init__(self, name: str, settings: TickSource, sink: Sink, clock: Clock) -> None:
        self.name, self.settings, self.sink, self.clock = name, settings, sink, clock

    async def run(self) -> None:
        async with Batcher(self.sink) as batcher:
            for n in range(self.settings.count):
                stamp = iso_from_us(self.clock())
                ident = event_id(self.name, str(n))
                tick = Event(event_id=ident, source=self.name, type="tick", timestamp=stamp, payload={"n": n})
                await batcher.put(tick, 99)


settings = TickSource


def make(name, settings, sink, resume, clock):
    return TickAdapter(name, settings, sink, clock)
'''

OTHER = 'the field `adapter` of its settings is not Literal["other_name"]'
RUN = """
import asyncio, sys
from qraft.config import load
from qraft.ingest import is_read, make_adapter
from pathlib import Path

class Sink:
    when_full, pressed = "block", False
    async def send(self, events): print([event.payload["n"] for event in events])

source = load(Path(sys.argv[1])).sources["a"]
assert is_read(source)
asyncio.run(make_adapter("a", source, Sink(), resume=None, clock=lambda: 0).run())
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package that brings one adapter that works and several that do not."""
    folder = tmp_path / "site"
    info = folder / "acme_ticks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ticks\nVersion: 1.0\n", encoding="utf-8")
    points = {
        "acme_ticks": "acme_ticks",
        "absent": "no_such_module:thing",
        "ends": "acme_ends",
        "file": "acme_ticks",
        "other_name": "acme_ticks",
        "no_maker": "acme_bare",
    }
    lines = "".join(f"{name} = {place}\n" for name, place in points.items())
    (info / "entry_points.txt").write_text(f"[qraft.adapters]\n{lines}", encoding="utf-8")
    (folder / "acme_ticks.py").write_text(MODULE, encoding="utf-8")
    (folder / "acme_ends.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    bare = MODULE[: MODULE.index("class TickAdapter")].replace("acme_ticks", "no_maker") + "settings = TickSource\n"
    (folder / "acme_bare.py").write_text(bare, encoding="utf-8")
    return folder


def run(site: Path, *command: str) -> tuple[int, str, str]:
    import os

    found = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parents[2]}"},
    )
    return found.returncode, found.stdout, found.stderr


def config(site: Path, text: str) -> str:
    path = site.parent / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path.name


def test_a_packages_adapter_is_checked_and_runs(site: Path) -> None:
    file = config(site, '[sources.a]\nadapter = "acme_ticks"\ncount = 3\nentity = "n"\n')
    status, out, err = run(site, "-m", "qraft.cli", "check", file)
    assert status == 0, err
    assert out.splitlines()[0] == f"{file}: ok"
    assert "a: acme_ticks" in out
    assert run(site, "-c", RUN, file)[:2] == (0, "[0, 1, 2]\n")


def test_packages_that_cannot_be_used_are_warned_of_and_stop_nothing(site: Path) -> None:
    status, _, err = run(site, "-m", "qraft.cli", "check", config(site, '[sources.h]\nadapter = "host"\n'))
    assert status == 0
    assert sorted(err.splitlines()) == [
        "adapter absent of package acme-ticks cannot be used: No module named 'no_such_module'",
        "adapter ends of package acme-ticks cannot be used: 3",
        "adapter file of package acme-ticks cannot be used: an adapter of this name is there already",
        "adapter no_maker of package acme-ticks cannot be used: it has no callable `make`",
        f"adapter other_name of package acme-ticks cannot be used: {OTHER}",
    ]


def test_mistakes_in_the_packages_own_keys_name_key_and_line(site: Path) -> None:
    file = config(site, '[sources.a]\nadapter = "acme_ticks"\ncount = 0\nconut = 1\n')
    status, _, err = run(site, "-m", "qraft.cli", "check", file)
    assert status == 1
    said = [line for line in err.splitlines() if line.startswith("qraft:")]
    assert said == [
        f"qraft: {file}:3: sources.a.count: expected 1 or more, got 0",
        f'qraft: {file}:4: sources.a.conut: unknown key; did you mean "count"?',
    ]


def test_an_unknown_adapter_is_told_with_all_there_are(site: Path) -> None:
    status, _, err = run(site, "-m", "qraft.cli", "check", config(site, '[sources.a]\nadapter = "acme_tick"\n'))
    assert status == 1
    said = err.splitlines()[-1]
    for name in ("host", "file", "websocket", "rest", "nats", "external", "acme_ticks"):
        assert f'"{name}"' in said
    assert said.endswith('did you mean "acme_ticks"?')


def test_whatever_is_imported_first(site: Path) -> None:
    for module in ("qraft.ingest.batcher", "qraft.config", "qraft.engine.intake"):
        code = f"import {module}\nfrom qraft.config.sources import PLUGINS\nprint(list(PLUGINS))"
        assert run(site, "-c", code)[1] == "['acme_ticks']\n", module
    _, out, err = run(site, "-c", "import acme_ticks\nfrom qraft.config.sources import PLUGINS\nprint(list(PLUGINS))")
    assert out == "[]\n"
    assert "adapter acme_ticks of package acme-ticks cannot be used: it was imported before qraft.config" in err
