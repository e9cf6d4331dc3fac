"""Scenes of the terminal interface: fixed data at a fixed time, so that a picture of them is always the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qraft.model import Feedback, Notice, iso_from_us, us_from_iso
from tui.app import QraftApp, Wiring
from tui.feed.fake import FakeFeed, World
from tui.history.fake import FakeHistory, invented
from tui.state.session import Session
from tui.state.verdicts import Delivery

START_US = us_from_iso("2026-11-22T14:00:00Z")
NOW_US = us_from_iso("2026-11-22T14:08:21Z")
SCENES = ("live", "frozen", "stale", "empty", "warming", "unreachable", "degraded", "refused", "notice", "pressed")


REASON = (
    '/etc/qraft/config.toml:12: sources.market.url: expected text that starts with ws:// or wss://, got "htp://feed"'
    " (and 2 more)"
)
NOTICES = [
    Notice(timestamp="2026-11-22T14:08:02.000000Z", source="shuttle", kind="gap", text="17 events never came: 4410 to 4426"),
    Notice(timestamp="2026-11-22T14:08:19.000000Z", source="", kind="config", text="configuration in force: changed market"),
    Notice(
        timestamp="2026-11-22T14:08:20.000000Z",
        source="market",
        kind="stale",
        text="no message for 30 s although the connection stands; connecting again",
    ),
]
LEVEL = [Notice(timestamp="2026-11-22T14:08:20.000000Z", source="", kind="level", text="only the cheap detectors judge")]
SAID: dict[str, dict[str, Any]] = {
    "degraded": {"level": "light", "lag_seconds": 12.4, "notices": LEVEL, "notice_counts": {"level": 1}},
    "refused": {"config_error": REASON},
    "notice": {"notices": NOTICES, "notice_counts": {"gap": 1, "config": 1, "stale": 1}},
    "pressed": {
        "level": "archive",
        "lag_seconds": 41.0,
        "config_error": REASON,
        "notices": NOTICES,
        "notice_counts": {"gap": 1, "config": 1, "stale": 5},
    },
}
"""What the engine says in scenes in which something is to be told."""


@dataclass
class Scene:
    """An application that no feed is attached to, and its clock."""

    app: QraftApp
    wiring: Wiring
    session: Session
    world: World
    now_us: int = NOW_US


def build(name: str, data_dir: Path, *, ascii_only: bool = False) -> Scene:
    """The scene ``name``, ready to run."""
    world = World()
    wiring = Wiring(FakeFeed(world, rate=0), FakeHistory(), data_dir=data_dir, user="me")
    outside = wiring.outside(engine="main", nats_url="nats://127.0.0.1:4222", now_us=lambda: scene.now_us)
    app = QraftApp(wiring.session, outside, ascii_only=ascii_only)
    scene = Scene(app, wiring, wiring.session, world)
    inbox, session = wiring.inbox, wiring.session

    def fold(at_us: int) -> None:
        session.fold(inbox.drain(), at_us)

    if name == "unreachable":
        inbox.link(False, "no connection to NATS: connection refused")
        fold(NOW_US - 12_000_000)
        return scene
    inbox.link(True)
    inbox.history()
    fold(START_US)
    if name == "empty":
        inbox.stats(world.stats(NOW_US, warm=0.0, processed=0))
        fold(NOW_US)
        return scene
    if name == "warming":
        inbox.stats(world.stats(NOW_US, warm=0.62, processed=1500))
        fold(NOW_US)
        return scene
    patterns = []
    for i in range(60):
        at = START_US + i * 8_000_000
        patterns.append(world.pattern(at))
        inbox.patterns(patterns[-1:])
        fold(at)
    for second in range(60):
        at = NOW_US - (59 - second) * 1_000_000
        inbox.stats(world.stats(at))
        fold(at)
    session.frame(NOW_US)
    for row in session.rows:
        session.charts.wanted(row.peak, row.peak_us, NOW_US)
        session.charts.answer(row.peak.pattern_id, invented(row.peak))
    _judge(session, 2, "confirmed", "ann", Delivery.STORED)
    _judge(session, 3, "false_positive", "me", Delivery.STORED)
    _judge(session, 5, "false_positive", "me", Delivery.UNSENT)
    session.frame(NOW_US)
    session.cursor[session.pane] = session.rows[1].key
    if name == "frozen":
        session.toggle_freeze(NOW_US)
        inbox.patterns([world.pattern(NOW_US + 1_000_000) for _ in range(1204)])
        scene.now_us += 9_000_000
        inbox.stats(world.stats(scene.now_us))
        fold(scene.now_us)
    if name in SAID:
        said = world.stats(NOW_US, **SAID[name])
        if name == "degraded":
            said = msgspec.structs.replace(said, sources=world.lossy(said.sources))
        inbox.stats(said)
        fold(NOW_US)
    if name == "stale":
        scene.now_us += 42_000_000
        inbox.link(False)
        fold(NOW_US + 2_000_000)
    session.frame(scene.now_us)
    return scene


def _judge(session: Session, index: int, verdict: str, user: str, delivery: Delivery) -> None:
    pattern = session.rows[index].peak
    feedback = Feedback(
        feedback_id=f"verdict-{index}",
        pattern_id=pattern.pattern_id,
        verdict=verdict,  # type: ignore[arg-type]  # one of the verdicts at every call
        timestamp=iso_from_us(NOW_US - 60_000_000),
        source=pattern.source,
        user=user,
    )
    session.store.judge(feedback, delivery)


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Scene]:
    """Makes a scene: ``scene("live")``."""

    def make(name: str, *, ascii_only: bool = False) -> Scene:
        return build(name, tmp_path, ascii_only=ascii_only)

    return make
