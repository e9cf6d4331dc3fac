"""The whole interface in Chinese: every screen, question and list, by its keys; and how Chinese is asked for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from qraft.model import Pattern, Scope
from tests.tui.desk import Desk
from tests.tui.heard import Heard
from tui import language
from tui.state.inbox import Past
from tui.state.pages import Page
from tui.zone import use_zone

ROOT = Path(__file__).parents[2]
SIZES = [(120, 36), (80, 24)]
MakePattern = Callable[..., Pattern]


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shows everything in Chinese, and fails where a text shown has none."""
    heard = Heard()
    monkeypatch.setattr(language, "_words", heard)
    yield
    use_zone("UTC")
    assert not heard.missed


@pytest.fixture
def desk(tmp_path: Path, make_pattern: MakePattern) -> Desk:
    return Desk(tmp_path, past=[Past(make_pattern(-600))])


async def filled(desk: Desk, pilot: Pilot[int], make_pattern: MakePattern) -> None:
    """Patterns arrive, and one is judged."""
    desk.wiring.inbox.stats(desk.world.stats(desk.now_us))
    patterns = [make_pattern(-i, source=f"主机{i}", entity="北京" if i % 2 else "") for i in range(6)]
    await desk.fold(pilot, *patterns, link=True)
    await desk.press(pilot, "c")


def row(desk: Desk, of: str) -> str:
    """The line of the screen that holds a text, blanks left out; the whole screen where none does."""
    lines = ["".join(line.split()) for line in desk.text().splitlines()]
    return next((line for line in lines if of in line), "\n".join(lines))


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("size", SIZES)
async def test_every_screen(desk: Desk, make_pattern: MakePattern, size: tuple[int, int]) -> None:
    async with desk.app.run_test(size=size) as pilot:
        await filled(desk, pilot, make_pattern)
        assert "变化内容" in row(desk, "最近类型数据源")
        assert "已确认" in desk.text()
        for key, page, heads in (
            ("O", Page.SOURCES, ("数据源状态条/秒", "字段当前最低最高覆盖率")),
            ("H", Page.HISTORY, ("最近类型数据源变化内容次数置信",)),
            ("B", Page.FEEDBACK, ("时间用户判定对象内容",)),
            ("P", Page.PIPE, ("引擎main", "本终端")),
        ):
            await desk.press(pilot, key)
            await desk.answered(pilot)
            assert desk.session.page is page
            assert all(head in row(desk, head) for head in heads), desk.text()
        await desk.press(pilot, "L", "enter")
        await desk.answered(pilot)
        assert desk.session.page is Page.EPISODE
        assert "告警线.50" in row(desk, "告警线")
        for key, heads in (
            ("1", "前后水平"),
            ("2", "字段之前之后变化占比"),
            ("3", "时间相距ID内容"),
            ("4", "时间用户判定内容"),
            ("5", "误报"),
        ):
            await desk.press(pilot, key)
            await desk.answered(pilot)
            assert heads in row(desk, heads), desk.text()


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("size", SIZES)
async def test_everything_that_is_asked(desk: Desk, make_pattern: MakePattern, size: tuple[int, int]) -> None:
    async with desk.app.run_test(size=size) as pilot:
        await filled(desk, pilot, make_pattern)
        for keys, said in (
            (("question_mark",), "按键"),
            (("slash", "x"), "enter保留"),
            (("m",), "静默范围"),
            (("m", "1"), "静默时长"),
            (("i",), "备注"),
            (("t",), "-15m"),
            (("colon",), "tab补全"),
            (("E",), "导出到"),
            (("F",), "没有已存的筛选"),
        ):
            await desk.press(pilot, *keys)
            assert said in row(desk, said), (keys, desk.text())
            await desk.press(pilot, "escape", "escape", "L")
        for typed, said in (
            ("filter 主机", "2告警6/6"),
            ("filters x", "没有名为x的筛选"),
            ("filter", ""),
            ("theme pink", "没有主题“pink”"),
            ("lang de", "没有语言“de”"),
            ("nonsense", "没有命令“nonsense”"),
            ("time tomorrow", "不是时间"),
            ("time -15m", "«"),
            ("now", ""),
            ("zone", "时间以"),
            ("sort", "排序"),
            ("muted", "静默的告警"),
            ("refresh", "重新查询"),
            ("sql", "已复制查询"),
            ("note 夜间发布", "已备注"),
            ("undo", "已撤销"),
            ("redo", "已重做"),
        ):
            await desk.command(pilot, typed)
            await desk.answered(pilot)
            assert said in row(desk, said), (typed, desk.text())
            if typed == "filter 主机":
                await desk.command(pilot, "save 主机")
                assert "已存为主机" in row(desk, "已存为")
                await desk.press(pilot, "F")
                assert "已存筛选" in row(desk, "已存筛选")
            await desk.press(pilot, "escape", "escape")


@pytest.mark.usefixtures("chinese")
async def test_what_goes_wrong(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, link=False)
        assert "NATS无响应" in row(desk, "NATS无响应")
        await filled(desk, pilot, make_pattern)
        desk.history.up = False
        for key, said in (("H", "ClickHouse无法应答"), ("B", "反馈"), ("P", "switchedoff"), ("O", "数据源"), ("L", "告警")):
            await desk.press(pilot, key, "r")
            await desk.answered(pilot)
            assert said in row(desk, said), desk.text()
        await desk.press(pilot, "left_curly_bracket", "left_square_bracket")
        await desk.answered(pilot)
        assert "ClickHouse无法应答" in row(desk, "ClickHouse无法应答")
        await desk.press(pilot, "right_curly_bracket", "space", "colon", "escape", "space")
        await desk.fold(pilot, link=False)
        assert "NATS已断开" in row(desk, "NATS已断开")
        desk.session.labels.mute(desk.session.board.rows[0], Scope(source="主机"), desk.now_us + 10**9, "主机", desk.now_us)
        await desk.tick(pilot)
        assert "未发送" in desk.text()


# --- the command line


def shown(folder: Path, *options: str, until: str, **environment: str) -> bytes:
    """What ``qraft tui`` writes to a terminal of 100 by 30 until a text comes, with no server in reach; then it is left."""
    fd, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    away = ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE", "NO_COLOR", "SSH_CONNECTION", "COLUMNS", "LINES")
    base = {k: v for k, v in os.environ.items() if k not in away and not k.startswith("QRAFT_")}
    nowhere = ["--nats", "nats://127.0.0.1:1", "--clickhouse", "http://127.0.0.1:1", "--data-dir", str(folder)]
    child = subprocess.Popen(
        [sys.executable, "-m", "qraft.cli", "tui", *nowhere, *options],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=folder,
        env={**base, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
        start_new_session=True,
    )
    os.close(inner)
    output = b""
    try:
        limit = time.monotonic() + 40
        while until.encode() not in output:
            assert time.monotonic() < limit, output[-2000:]
            assert child.poll() is None, output[-2000:]
            if select.select([fd], [], [], 0.2)[0]:
                output += os.read(fd, 65536)
        child.terminate()
        while child.poll() is None:
            assert time.monotonic() < limit
            if select.select([fd], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # on Linux the end of a terminal is an error
                    output += os.read(fd, 65536)
    finally:
        child.kill()
        child.wait()
        os.close(fd)
    return output


@pytest.mark.parametrize(
    ("options", "environment", "word"),
    [
        (["--lang", "zh"], {"LC_ALL": "C.UTF-8"}, "NATS 无响应"),
        ([], {"LANG": "zh_CN.UTF-8"}, "NATS 无响应"),
        (["--lang", "zh", "--ascii"], {"LANG": "zh_CN.UTF-8"}, "NATS does not answer"),
    ],
)
def test_the_language_asked_for_is_shown(tmp_path: Path, options: list[str], environment: dict[str, str], word: str) -> None:
    output = shown(tmp_path, *options, until=word, **environment)
    assert b"Traceback" not in output
    assert ("实时" in output.decode("utf-8", "replace")) is ("无响应" in word)
