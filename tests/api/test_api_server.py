"""Where and how the server listens: TLS, addresses, its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from qraft.api.certificate import Certificate
from qraft.api.errors import ApiError
from qraft.api.server import certificate_of, listen
from qraft.bus import Bus
from qraft.config.api import ApiSettings
from tests.api.sample import Serve, until, until_well

AWAY = ("nats://127.0.0.1:1", "http://127.0.0.1:1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of this test run."""
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA, tmp_path: Path) -> ApiSettings:
    """Settings with a certificate for loopback."""
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    return ApiSettings(tls_cert_file=str(tmp_path / "cert.pem"), tls_key_file=str(tmp_path / "key.pem"))


async def test_with_a_certificate_it_speaks_https_only(authority: trustme.CA, certified: ApiSettings, serve: Serve) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serve(*AWAY, settings=certified, trusting=trusting) as client:
        assert client.base_url.scheme == "https"
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        own = {"origin": str(client.base_url).rstrip("/")}
        assert (await client.post("/api/feedback/x", json={"verdict": "confirmed"}, headers=own)).status_code == 503
        async with httpx.AsyncClient(trust_env=False) as doubting:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await doubting.get(client.base_url.join("/healthz"))
            with pytest.raises(httpx.RemoteProtocolError):
                await doubting.get(f"http://127.0.0.1:{client.base_url.port}/healthz")


def test_files_that_make_no_certificate_are_named(certified: ApiSettings, authority: trustme.CA, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    for content, said in (
        (authority.issue_cert("localhost").private_key_pem.bytes(), "KEY_VALUES_MISMATCH"),
        (b"nothing", "no certificate and its key in PEM"),
    ):
        other.write_bytes(content)
        with pytest.raises(ApiError, match=said):
            certificate_of(certified.model_copy(update={"tls_key_file": str(other)}))
    with pytest.raises(ApiError, match=r"api\.tls_key_file: .*none\.pem: No such file"):
        certificate_of(certified.model_copy(update={"tls_key_file": str(tmp_path / "none.pem")}))
    with pytest.raises(ValueError, match="tls_cert_file and tls_key_file go together"):
        ApiSettings(tls_cert_file="cert.pem")


def test_a_key_with_a_passphrase_is_not_asked_for(certified: ApiSettings, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(certified.tls_key_file).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    with pytest.raises(ApiError, match="has a passphrase"):
        certificate_of(certified.model_copy(update={"tls_key_file": str(tmp_path / "locked.pem")}))


async def shown(certificate: Certificate, trusting: ssl.SSLContext) -> bytes:
    """The certificate that a connection gets."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
    return bytes(found)


async def test_a_renewed_certificate_is_taken_up_without_a_restart(
    authority: trustme.CA, certified: ApiSettings, caplog: pytest.LogCaptureFixture
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    certificate = Certificate(certified.tls_cert_file, certified.tls_key_file)
    following = asyncio.create_task(certificate.follow(0.01))
    first = await shown(certificate, trusting)
    renewed = authority.issue_cert("127.0.0.1", "localhost")
    renewed.cert_chain_pems[0].write_to_path(certified.tls_cert_file)
    await until(lambda: "stays in use" in caplog.text)
    assert await shown(certificate, trusting) == first, "the key is not there yet"
    renewed.private_key_pem.write_to_path(certified.tls_key_file)
    for _ in range(200):
        if (now := await shown(certificate, trusting)) != first:
            break
        await asyncio.sleep(0.02)
    assert ssl.DER_cert_to_PEM_cert(now).split() == renewed.cert_chain_pems[0].bytes().decode().split()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def test_answers_are_sent_at_once() -> None:
    """Each would else wait 40 ms for the acknowledgement of its own head."""
    with (
        listen(ApiSettings()) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["192.0.2.1", "nothing.invalid"])
def test_an_address_of_another_machine_cannot_be_had(host: str) -> None:
    with pytest.raises(ApiError, match=rf"api\.port: {host}:0 cannot be had: .*choose another"):
        listen(ApiSettings(host=host, auth="tokens"))


async def test_open_streams_do_not_hold_up_the_end(
    bus: Bus, serve: Serve, clickhouse_url: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as outside:
        async with serve(bus.url, clickhouse_url, database) as client:
            await until_well(client)
            request = outside.build_request("GET", client.base_url.join("/api/stream"))
            answer = await outside.send(request, stream=True)
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            await anext(lines)
            assert "qraft_api_stream_clients 1.0" in (await client.get("/metrics")).text
        async for _ in lines:  # it was brought to an end, not broken off
            pass
    assert "graceful" not in caplog.text
