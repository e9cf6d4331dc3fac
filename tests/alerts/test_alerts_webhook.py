"""The signed webhook against a real HTTP server."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from qraft.alerts import Outcome, Rules, TargetError, make_sender, trial
from qraft.alerts.webhook import key_of, retry_after, sign
from qraft.config.alerts import AlertTarget
from tests.alerts.findings import START, finding, settings
from tests.alerts.receiver import SECRET, receiving

TRIAL = trial("hook", START, "5c0f7a9e-0000-5000-8000-000000000001")


async def send(url: str, *, secret: str = SECRET, timeout: float = 20.0, ca_file: str = "", link: str = "") -> Outcome:
    environment = {"SECRET": secret} if secret else {}
    target = AlertTarget(kind="webhook", url=url, secret_env="SECRET" if secret else "", ca_file=ca_file)
    sender = make_sender("hook", target, timeout, environment)
    try:
        return await sender.send(Rules(settings()).step(finding(1), START)[0], link)
    finally:
        await sender.close()


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks (libraries' tests)."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_message_is_signed_and_says_all() -> None:
    with receiving() as hook:
        assert await send(f"{hook.url}/in?a=b", link="https://q.example/p/{pattern_id}") == Outcome(ok=True, status=200)
    got = hook.received[0]
    assert got.signed()
    assert got.path == "/in?a=b"
    assert abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 300
    message = got.message
    assert (message["type"], message["rule"], message["transition"]) == ("qraft.alert.open", "r", "open")
    assert message["notification_id"] == got.identity
    assert message["link"] == "https://q.example/p/pattern-1"
    assert message["top"]["contributors"][1]["field"] == "cpu"
    assert "[warning] r: drift in host" in message["title"]


async def test_without_a_secret_it_is_not_signed() -> None:
    with receiving() as hook:
        assert (await send(hook.url, secret="")).ok
    assert "webhook-signature" not in hook.received[0].headers
    assert "webhook-id" in hook.received[0].headers


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        *((status, False) for status in (204, 302, 307, 400, 401, 404, 410)),
        *((status, True) for status in (408, 425, 429, 500, 502, 503)),
    ],
)
async def test_what_may_be_tried_again(status: int, retry: bool) -> None:
    with receiving() as hook:
        hook.answers = [(status, {"Location": f"{hook.url}/elsewhere", "Retry-After": "7"})]
        outcome = await send(hook.url)
    assert (outcome.ok, outcome.status) == (status == 204, status)
    assert outcome.ok or outcome.retry == retry
    assert outcome.ok or not outcome.retry or outcome.retry_after == 7
    assert len(hook.received) == 1


async def test_one_that_does_not_answer_is_left_in_time() -> None:
    with receiving() as hook:
        hook.hold.clear()
        outcome = await send(hook.url, timeout=0.2)
    assert outcome == Outcome(ok=False, error="no answer within 0.2 s")


async def test_nobody_there_and_one_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def break_off() -> None:
            connection, _ = server.accept()
            connection.recv(10)
            connection.close()

        thread = threading.Thread(target=break_off)
        thread.start()
        broken = await send(url)
        await asyncio.to_thread(thread.join)
    assert not broken.ok
    assert broken.retry
    assert (await send(url)).error == "no connection"


async def test_certificates_are_checked(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with receiving(tmp_path / "server.pem") as hook:
        assert (await send(hook.url, ca_file=str(tmp_path / "ca.pem"))).ok
        for ca_file in ("", str(tmp_path / "stranger.pem")):
            outcome = await send(hook.url, ca_file=ca_file)
            assert not outcome.ok
            assert "certificate" in outcome.error
    assert len(hook.received) == 1


@pytest.mark.parametrize(
    ("target", "environment", "said"),
    [
        (AlertTarget(kind="webhook", url_env="HOOK"), {}, "HOOK is not set where the engine runs"),
        (AlertTarget(kind="webhook", url_file="/nowhere/url"), {}, "/nowhere/url cannot be read"),
        (AlertTarget(kind="webhook", url_env="HOOK"), {"HOOK": "ftp://secret-x"}, "starts with http:// or https://"),
        (
            AlertTarget(kind="webhook", url="http://127.0.0.1:9", secret_env="S"),
            {"S": "whsec_%%secret-x"},
            "what follows whsec_ in the secret is no base64",
        ),
        (AlertTarget(kind="webhook", url="https://127.0.0.1:9", ca_file="/nowhere"), {}, "holds no certificates"),
    ],
)
def test_a_target_that_cannot_be_used_says_why(target: AlertTarget, environment: dict[str, str], said: str) -> None:
    with pytest.raises(TargetError, match=said) as caught:
        make_sender("hook", target, 1, environment)
    assert "alerts.targets.hook" in str(caught.value)
    assert "secret-x" not in str(caught.value)


async def test_no_secret_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving() as hook:
        hook.answers = [500]
        outcome = await send(f"{hook.url}/services/T0PSECRET")
    assert "T0PSECRET" not in outcome.error + caplog.text
    assert SECRET not in outcome.error + caplog.text


def test_when_to_try_again() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("120", now) == 120
    assert retry_after("Thu, 01 Jan 2026 00:02:00 GMT", now) == 120
    assert retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now) == 0
    assert retry_after("soon", now) is None
    assert retry_after("", now) is None
