"""Apprise's services against real servers: JSON over HTTP, and e-mail over SMTP; no part of a URL is ever told."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from qraft.alerts import Notification, Rules, Sender, TargetError, make_sender, trial
from qraft.alerts.services import cleaned
from qraft.config.alerts import AlertTarget
from tests.alerts.findings import START, finding, settings
from tests.alerts.receiver import receiving


def message(confidence: float = 0.8) -> Notification:
    return Rules(settings()).step(finding(1, confidence), START)[0]


@contextlib.asynccontextmanager
async def sender(url: str, timeout: float = 20.0) -> AsyncIterator[Sender]:
    made = make_sender("ops", AlertTarget(url_env="OPS"), timeout, {"OPS": url})
    try:
        yield made
    finally:
        await made.close()


@dataclass
class Post:
    """A server that takes letters (RFC 5321, as little of it as a client needs)."""

    port: int = 0
    letters: list[bytes] = field(default_factory=list)
    refuse: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 post")
        while line := (await reader.readline()).strip():
            word = line.split()[0].upper()
            if word in (b"EHLO", b"HELO"):
                await say("250 post")
            elif word == b"RCPT" and self.refuse:
                await say("550 no such box")
            elif word == b"DATA":
                await say("354 go on")
                letter = await reader.readuntil(b"\r\n.\r\n")
                self.letters.append(letter.removesuffix(b".\r\n"))
                await say("250 taken")
            elif word == b"QUIT":
                await say("221 bye")
                break
            else:
                await say("250 ok")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def post() -> AsyncIterator[Post]:
    made = Post()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def test_a_letter_says_what_where_since_when_and_how_to_answer() -> None:
    async with (
        post() as box,
        sender(f"mailto://127.0.0.1:{box.port}/?from=qraft@example.org&to=ann@example.org&mode=insecure") as out,
    ):
        outcome = await out.send(message(), "https://q.example/p/{pattern_id}")
    assert outcome.ok, outcome
    letter = email.message_from_bytes(box.letters[0], policy=email.policy.default)
    assert letter["subject"] == "[warning] r: drift in host"
    assert "ann@example.org" in letter["to"]
    part = letter.get_body(("plain",))
    assert part is not None
    text = part.get_content()
    for line in (
        "host: cpu rose",
        "where: host",
        "since: 2026-01-01 00:00:00, latest 2026-01-01 00:00:00 (event time, UTC)",
        "confidence: 0.80 (warning)",
        "cpu: 10 -> 93.25 (70%)",
        "https://q.example/p/pattern-1",
        "qraft feedback pattern-1",
    ):
        assert line in text


async def test_a_letter_that_is_refused_may_be_sent_again() -> None:
    async with (
        post() as box,
        sender(f"mailto://127.0.0.1:{box.port}/?from=qraft@example.org&to=ann@example.org&mode=insecure") as out,
    ):
        box.refuse = True
        outcome = await out.send(message(), "")
    assert (outcome.ok, outcome.retry) == (False, True)
    assert outcome.error
    assert box.letters == []


async def test_json_over_http_and_its_failures() -> None:
    with receiving() as hook:
        async with sender(f"json://{hook.url.removeprefix('http://')}/way/T0PSECRETWAY") as out:
            assert (await out.send(message(0.95), "")).ok
            assert hook.messages[0]["title"] == "[critical] r: drift in host"
            assert hook.messages[0]["type"] == "failure"
            hook.answers = [500]
            failed = await out.send(message(), "")
    assert (failed.ok, failed.retry, failed.status) == (False, True, 500)


async def test_no_part_of_the_url_is_told_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving() as hook:
        hook.answers = [500]
        place = hook.url.removeprefix("http://")
        async with sender(f"json://T0PSECRETUSER:T0PSECRETWORD@{place}/T0PSECRETWAY?+X-Key=T0PSECRETKEY") as out:
            failed = await out.send(message(), "")
            port = place.partition(":")[2]
    async with sender(f"json://T0PSECRETUSER:T0PSECRETWORD@127.0.0.1:{port}/T0PSECRETWAY") as out:
        away = await out.send(message(), "")
    assert not failed.ok
    assert not away.ok
    assert "T0PSECRET" not in failed.error + away.error + caplog.text
    with pytest.raises(TargetError) as caught:
        make_sender("ops", AlertTarget(url_env="OPS"), 1, {"OPS": "nonsense://T0PSECRETWORD/x"})
    assert "alerts.targets.ops" in str(caught.value)
    assert "T0PSECRET" not in str(caught.value) + caplog.text


async def test_one_that_does_not_answer_is_left_and_not_asked_twice_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qraft.alerts.services.GRACE_SECONDS", 0.0)
    with receiving() as hook:
        hook.hold.clear()
        async with sender(f"json://{hook.url.removeprefix('http://')}?rto=30", timeout=0.5) as out:
            assert (await out.send(message(), "")).error == "no answer within 0.5 s"
            hook.hold.set()


def test_what_a_text_is_cleaned_of() -> None:
    url = "slack://tok-aaa/tok%2Dbbb/#channel?key=val"
    assert cleaned("failed: tok-aaa tok-bbb\n at channel (val)", url) == "failed: *** *** at channel (***)"


async def test_a_trial_says_so() -> None:
    with receiving() as hook:
        async with sender(f"json://{hook.url.removeprefix('http://')}") as out:
            assert (await out.send(trial("ops", START, "id"), "")).ok
    assert "test" in hook.messages[0]["title"]
    assert "Nothing was found" in hook.messages[0]["message"]
