"""Scenes of the terminal interface: fixed data at a fixed time, so that a picture of them is always the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from textual.pilot import Pilot

from qraft.model import Notice, Pattern, us_from_iso
from tests.snapshots import world
from tests.snapshots.archive import Archive, Kept, mutes
from tests.snapshots.world import MINUTE, NOW_US, SECOND
from tui.app import QraftApp
from tui.cost import Cost, CostNow, Usage
from tui.feed.fake import FakeFeed, World
from tui.state.inbox import Past
from tui.state.session import Session
from tui.state.verdicts import Delivery
from tui.wiring import Wiring

PLAIN_ENVIRONMENT: Final = {"TZ": "UTC", "LANG": "C.UTF-8", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
"""What of the environment could be seen in a picture."""
REASON: Final = (
    '/etc/qraft/config.toml:12: sources.market.url: expected text that starts with ws:// or wss://, got "htp://feed"'
    " (and 2 more)"
)
NOTICES: Final = [
    Notice(
        timestamp="2026-11-22T14:08:02.000000Z", source="orders-us", kind="gap", text="17 events never came: 4410 to 4426"
    ),
    Notice(timestamp="2026-11-22T14:08:19.000000Z", source="", kind="config", text="configuration in force: changed market"),
    Notice(
        timestamp="2026-11-22T14:08:20.000000Z",
        source="market",
        kind="stale",
        text="no message for 30 s although the connection stands; connecting again",
    ),
]
LEVEL: Final = [
    Notice(timestamp="2026-11-22T14:08:20.000000Z", source="", kind="level", text="only the cheap detectors judge")
]
SAID: Final[dict[str, dict[str, Any]]] = {
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
COST: Final = CostNow(
    cpu_percent=6.2,
    frame_ms=11.8,
    frame_ms_p99=23.4,
    hertz=4.0,
    bytes_per_second=18_400.0,
    waited_ms_per_second=0.0,
    lag_ms=0.4,
    lag_ms_p99=12.0,
    rss_bytes=61_000_000,
    frames=4_812,
    written_bytes=22_100_000,
    dropped=0,
)
START_US: Final = NOW_US - 15 * MINUTE
LOST_US, BACK_US = NOW_US - 190 * SECOND, NOW_US - 170 * SECOND
"""When the connection goes and comes in the scene ``gap``."""


class SteadyCost(Cost):
    """Says the same whatever was measured: what a picture shows must not depend on the machine."""

    def __init__(self) -> None:
        super().__init__(lambda: Usage(0.0, 0))

    def snapshot(self, now: float) -> CostNow:
        """See ``Cost``."""
        return COST


@dataclass
class Scene:
    """An application that no feed is attached to, and its clock.

    Attributes:
        keys: what is pressed before the picture is taken.
    """

    app: QraftApp
    wiring: Wiring
    keys: tuple[str, ...] = ()
    now_us: int = NOW_US

    @property
    def session(self) -> Session:
        """What the operator sees and does."""
        return self.wiring.session

    def fold(self, at_us: int) -> None:
        """Takes what stands in the inbox."""
        self.session.fold(self.wiring.inbox.drain(), at_us)

    async def play(self, pilot: Pilot[Any]) -> None:
        """Presses the keys, each after all that was asked is answered and painted."""
        await self._settle(pilot)
        for key in self.keys:
            await pilot.press(key)
            await self._settle(pilot)

    async def _settle(self, pilot: Pilot[Any]) -> None:
        for _ in range(2):
            await pilot.pause()
            self.app.main.tick()
            await pilot.pause()
            if asked := [w for w in self.app.workers if w.group != "cost"]:
                await self.app.workers.wait_for_complete(asked)
        self.app.main.tick()
        await pilot.pause()
        await pilot.pause()


def build(
    name: str, data_dir: Path, *, keys: tuple[str, ...] = (), ascii_only: bool = False, theme_name: str = "dark"
) -> Scene:
    """The scene ``name``, ready to be played.

    Args:
        name: one of ``live``, ``frozen``, ``stale``, ``gap``, ``empty``, ``connecting``, ``unreachable``, ``warming``,
            ``muted``, or of what the engine may say (``SAID``).
        data_dir: an empty folder.
        keys: what is pressed then, by Textual's names.
        ascii_only: draw with ASCII characters only.
        theme_name: empty for the one that the environment asks for.
    """
    wiring = Wiring(FakeFeed(World(), rate=0), Archive(), data_dir=data_dir, user="me")
    outside = wiring.outside(
        engine="main",
        nats_url="nats://127.0.0.1:4222",
        clickhouse_url="http://127.0.0.1:8123",
        now_us=lambda: scene.now_us,
    )
    app = QraftApp(wiring.session, outside, ascii_only=ascii_only, theme_name=theme_name)
    app.cost = SteadyCost()
    scene = Scene(app, wiring, keys)
    if name not in _begun(scene, name):
        _fill(scene, name)
    scene.session.frame(scene.now_us)
    return scene


def _begun(scene: Scene, name: str) -> tuple[str, ...]:
    """Sets the scenes in which nothing was found yet; their names."""
    inbox = scene.wiring.inbox
    if name == "unreachable":
        inbox.link(False, "no connection to NATS: connection refused")
        scene.fold(NOW_US - 12 * SECOND)
    elif name in ("empty", "warming"):
        inbox.link(True)
        inbox.history()
        scene.fold(START_US)
        warm = name == "warming"
        since = NOW_US - 31 * SECOND if warm else NOW_US
        inbox.stats(world.stats(NOW_US, warm=0.62 if warm else 0.0, since_us=since))
        scene.fold(NOW_US)
    return "connecting", "unreachable", "empty", "warming"


def _fill(scene: Scene, name: str) -> None:
    """Lets a quarter of an hour pass."""
    inbox, session = scene.wiring.inbox, scene.session
    inbox.link(True)
    inbox.history()
    scene.fold(START_US)
    missed: list[Pattern] = []
    steps: list[tuple[int, Pattern | bool | None]] = [(_at(one), one) for one in world.live()]
    steps += [(NOW_US - back * SECOND, None) for back in range(60)]
    if name == "gap":
        steps += [(LOST_US, False), (BACK_US, True)]
    for at_us, what in sorted(steps, key=lambda step: step[0]):
        if isinstance(what, bool):
            inbox.link(what)
        elif what is None:
            inbox.stats(world.stats(at_us))
        elif name == "gap" and LOST_US < at_us < BACK_US:
            missed.append(what)
            continue
        else:
            inbox.patterns([what])
        scene.fold(at_us)
        if what is False:
            session.frame(at_us)
    inbox.past([Past(one) for one in missed])
    scene.fold(NOW_US)
    session.frame(NOW_US)
    _judge(scene)
    tale = world.TALES[0]
    board = session.board
    board.cursor = next(row.key for row in board.rows if (row.source, row.entity) == (tale.source, tale.entity))
    board.source_cursor = "market"
    _turn(scene, name)


def _judge(scene: Scene) -> None:
    """What was said on some of it."""
    session = scene.session
    archive = scene.wiring.history
    assert isinstance(archive, Archive)
    rows = {(row.source, row.entity): row for row in session.board.rows}
    for place, verdict, user, delivery in (
        (("sensors-hall-3", "press-04"), "confirmed", "ann", Delivery.STORED),
        (("orders-us", "search"), "false_positive", "me", Delivery.STORED),
        (("market", "ETH-USD"), "expected", "bo", Delivery.STORED),
        (("shuttle", ""), "false_positive", "me", Delivery.UNSENT),
        (("orders-us", "checkout"), "new_normal", "ann", Delivery.STORED),
    ):
        said = world.verdict_on(rows[place].peak, verdict, user, after_s=20)  # type: ignore[arg-type]  # a verdict in each row
        session.hear(said, delivery)
        if delivery is Delivery.STORED:
            archive.heard.append(Kept(rows[place], said))
    session.frame(NOW_US)


def _turn(scene: Scene, name: str) -> None:
    """What makes the scene what it is called."""
    inbox, session = scene.wiring.inbox, scene.session
    if name == "frozen":
        session.toggle_freeze(NOW_US)
        scene.now_us += 9 * SECOND
        inbox.patterns(world.flood(1204, NOW_US + SECOND))
        inbox.stats(world.stats(scene.now_us))
        scene.fold(scene.now_us)
    elif name == "stale":
        inbox.link(False)
        scene.fold(NOW_US + 2 * SECOND)
        scene.now_us += 42 * SECOND
    elif name == "muted":
        for mute in mutes(NOW_US):
            inbox.feedback(mute)
        scene.fold(NOW_US)
    elif name in SAID:
        said = world.stats(NOW_US, **SAID[name])
        if name == "degraded":
            said = msgspec.structs.replace(said, sources=world.lossy(said.sources))
        inbox.stats(said)
        scene.fold(NOW_US)


def _at(found: Pattern) -> int:
    return us_from_iso(found.timestamp)
