"""The page on alerts: its receiver takes what is signed, its message has every key, its URLs are known."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import httpx
import msgspec
import pytest

from qraft.alerts import Notification, TargetError, Transition, make_sender, trial
from qraft.alerts.text import payload
from qraft.alerts.webhook import key_of, sign
from qraft.config.alerts import AlertTarget
from qraft.model import Verdict
from tests.docs.pages import blocks, text_of, twin

PAGE = "docs/alerts.md"
SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes ...").decode()
MOST_LINES = 24


class Receiver:
    """The receiver of the page, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 60)).decode().strip()


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    (text,) = [block.text for block in blocks(PAGE) if block.file == "receiver.py"]
    assert len([line for line in text.splitlines() if line.strip()]) <= MOST_LINES
    program = tmp_path / "receiver.py"
    program.write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        str(port),
        env={**os.environ, "HOOK_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                assert process.returncode is None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                break
        yield Receiver(process, f"http://127.0.0.1:{port}/qraft")
    finally:
        process.terminate()
        await process.wait()


async def sent(receiver: Receiver, secret: str, *messages: Notification) -> list[int]:
    """The statuses that these messages get."""
    target = AlertTarget(kind="webhook", url=receiver.url, secret_env="S")
    sender = make_sender("hook", target, 30.0, {"S": secret})
    try:
        return [(await sender.send(message, "")).status for message in messages]
    finally:
        await sender.close()


async def test_the_receiver_takes_what_is_signed_and_once(receiver: Receiver) -> None:
    first, second = (trial("hook", 0, name) for name in ("first", "second"))
    second = msgspec.structs.replace(second, transition="digest", severity="warning", rule="sure")
    assert await sent(receiver, SECRET, first, first, second) == [204, 204, 204]
    assert await receiver.line() == "[test] Qraft: a test message"
    assert "sure" in await receiver.line()


async def test_the_receiver_refuses_what_is_not_signed_so_or_is_old(receiver: Receiver) -> None:
    other = "whsec_" + base64.b64encode(b"another of 24 bytes ....").decode()
    assert await sent(receiver, other, trial("hook", 0, "forged")) == [403]
    body, now = b'{"title": "old"}', int(time.time())
    async with httpx.AsyncClient(trust_env=False) as client:
        for at, signed_at, status in ((now, now, 204), (now - 900, now - 900, 403), (now, now - 1, 403)):
            signature = sign(key_of(SECRET), f"m{at}", signed_at, body)
            headers = {"webhook-id": f"m{at}", "webhook-timestamp": str(at), "webhook-signature": signature}
            assert (await client.post(receiver.url, content=body, headers=headers)).status_code == status
        assert (await client.post(receiver.url, content=body)).status_code == 403


@pytest.mark.parametrize("page", [PAGE, twin(PAGE)])
def test_every_message_and_every_verdict_is_told(page: str) -> None:
    told = {
        name for row in re.findall(r"^\| (`[^|]+) \|", text_of(page), re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert {*get_args(Transition)} - {"test"} <= told
    assert {*get_args(Verdict)} <= told


def test_the_message_shown_has_every_key() -> None:
    (shown,) = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]
    assert list(shown) == [key for key in payload(trial("hook", 0, "x"), "") if key in shown]
    assert set(shown) == set(payload(trial("hook", 0, "x"), ""))


def test_every_apprise_url_shown_is_one() -> None:
    (urls,) = [block.text.split() for block in blocks(PAGE) if block.language == "text" and "://" in block.text]
    for url in urls:
        make_sender("one", AlertTarget(url_env="U"), 10.0, {"U": url})
    with pytest.raises(TargetError):
        make_sender("one", AlertTarget(url_env="U"), 10.0, {"U": "nonsense://x"})
