"""Every way to log in to NATS, over TLS, against a real nats-server; and every way to be refused."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from qraft.bus import Bus, BusRejected, ensure_streams
from qraft.config import ConfigError, NatsAddress, Settings, load, parse
from qraft.embedded.process import free_port
from tests.secured import USER, Authority, Key, Operator, nats_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def tls(authority: Authority, *, verify: bool = False, name: str = "server", days: float = 90) -> str:
    """The tls part of a server's configuration."""
    pem = authority.issue(name, days=days)
    clients = f'ca_file: "{authority.file}", verify: true' if verify else ""
    return f'tls {{ cert_file: "{pem}", key_file: "{pem}", timeout: 5, {clients} }}'


def address(url: str, environment: dict[str, str] | None = None, **keys: Any) -> NatsAddress:
    settings = Settings.model_validate({"nats": {"url": url.replace("nats://", "tls://"), **keys}})
    return settings.nats.address(environment=environment or {})


async def said(wanted: NatsAddress) -> str:
    with pytest.raises(BusRejected) as caught:
        await Bus.connect(wanted, name="test", timeout=60)
    return str(caught.value)


async def works(wanted: NatsAddress) -> None:
    """The streams can be made and a request goes through."""
    bus = await Bus.connect(wanted, name="test", timeout=60)
    try:
        await ensure_streams(bus, partitions=1, max_bytes=1024**2)
    finally:
        await bus.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_user_and_password(tmp_path: Path, authority: Authority) -> None:
    config = f"authorization {{ user: qraft, password: s3cret }}\n{tls(authority)}"
    async with nats_server(tmp_path, config) as server:
        keys = {"user": "qraft", "password_env": "P", "tls_ca_file": str(authority.file)}
        await works(address(server.url, {"P": "s3cret"}, **keys))
        told = await said(address(server.url, {"P": "other"}, **keys))
        assert "refuses the login (Authorization Violation); check nats.user and nats.password_env" in told
        assert "other" not in told
        assert "user, token or key is missing" in await said(address(server.url, tls_ca_file=str(authority.file)))


async def test_a_token(tmp_path: Path, authority: Authority) -> None:
    async with nats_server(tmp_path, f"authorization {{ token: s3cret }}\n{tls(authority)}") as server:
        keys = {"token_env": "T", "tls_ca_file": str(authority.file)}
        await works(address(server.url, {"T": "s3cret"}, **keys))
        assert "check nats.token_env" in await said(address(server.url, {"T": "other"}, **keys))


async def test_an_nkey(tmp_path: Path, authority: Authority) -> None:
    key, other = Key.new(USER), Key.new(USER)
    (tmp_path / "user.nk").write_bytes(key.seed)
    (tmp_path / "other.nk").write_bytes(other.seed)
    (tmp_path / "broken.nk").write_bytes(b"SUAAA")
    config = f"authorization {{ users: [{{ nkey: {key.public} }}] }}\n{tls(authority)}"
    async with nats_server(tmp_path, config) as server:
        ca = {"tls_ca_file": str(authority.file)}
        await works(address(server.url, nkey_file=str(tmp_path / "user.nk"), **ca))
        assert "check nats.nkey_file" in await said(address(server.url, nkey_file=str(tmp_path / "other.nk"), **ca))
        assert "cannot be used" in await said(address(server.url, nkey_file=str(tmp_path / "broken.nk"), **ca))


async def test_credentials_of_an_operator(tmp_path: Path, authority: Authority) -> None:
    operator = Operator()
    async with nats_server(tmp_path, f"{operator.config}\n{tls(authority)}") as server:
        ca = {"tls_ca_file": str(authority.file)}
        good = operator.credentials(tmp_path / "user.creds")
        await works(address(server.url, credentials_file=str(good), **ca))
        late = operator.credentials(tmp_path / "late.creds", seconds=-60)
        assert "check nats.credentials_file" in await said(address(server.url, credentials_file=str(late), **ca))
        strange = Operator().credentials(tmp_path / "strange.creds")
        assert "check nats.credentials_file" in await said(address(server.url, credentials_file=str(strange), **ca))


async def test_a_certificate_of_the_client(tmp_path: Path, authority: Authority) -> None:
    async with nats_server(tmp_path, tls(authority, verify=True)) as server:
        own = str(authority.issue("client", "engine@qraft"))
        ca = {"tls_ca_file": str(authority.file)}
        await works(address(server.url, tls_cert_file=own, **ca))
        assert "the server asks for a certificate of the client; set nats.tls_cert_file" in await said(
            address(server.url, **ca)
        )
        strange = str(Authority(tmp_path / "strange").issue("client", "engine@qraft"))
        told = await said(address(server.url, tls_cert_file=strange, **ca))
        assert "nats.tls_cert_file" in told


async def test_certificates_that_are_not_accepted(tmp_path: Path, authority: Authority) -> None:
    async with nats_server(tmp_path, tls(authority)) as server:
        assert "set nats.tls_ca_file to the certificate of the authority" in await said(address(server.url))
        strange = Authority(tmp_path / "strange")
        assert "set nats.tls_ca_file" in await said(address(server.url, tls_ca_file=str(strange.file)))
        told = await said(address(f"{server.url}?server_host_name=nats.example", tls_ca_file=str(authority.file)))
        assert "write a name that it bears into the address" in told
    async with nats_server(tmp_path / "old", tls(authority, name="old", days=-2)) as server:
        assert "its certificate has expired" in await said(address(server.url, tls_ca_file=str(authority.file)))


async def test_no_secret_is_told_without_tls(tmp_path: Path) -> None:
    async with nats_server(tmp_path, "authorization { user: qraft, password: s3cret }") as server:
        wanted = address(server.url, {"P": "s3cret"}, user="qraft", password_env="P")
        assert "the server offers no TLS, so no login is told" in await said(wanted)
    assert "Authorization" not in (tmp_path / "server.log").read_text(encoding="utf-8")


async def test_files_that_cannot_be_used(tmp_path: Path, nats_url: str, authority: Authority) -> None:
    for key in ("nkey_file", "credentials_file", "tls_ca_file", "tls_cert_file"):
        assert f"nats.{key}: {tmp_path / 'absent'} cannot be" in await said(
            address(nats_url, **{key: str(tmp_path / "absent")})
        )
    (tmp_path / "other").write_text("something else\n", encoding="utf-8")
    for key in ("nkey_file", "credentials_file"):
        assert "it is a file of another kind" in await said(address(nats_url, **{key: str(tmp_path / "other")}))
    locked = tmp_path / "locked.pem"
    locked.write_bytes(_locked(authority.issue("client", "me@qraft").read_bytes()))
    assert "has a passphrase" in await said(address(nats_url, tls_cert_file=str(locked)))


def _locked(pem: bytes) -> bytes:
    """The same certificate with its key behind a passphrase."""
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key(pem, None)
    kept = pem[pem.index(b"-----BEGIN CERTIFICATE") :]
    lock = forms.BestAvailableEncryption(b"word")
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, lock) + kept


async def test_a_refused_login_is_told_at_once_and_not_hammered(tmp_path: Path) -> None:
    async with nats_server(tmp_path, "authorization { token: right }") as server:
        wanted = Settings.model_validate({"nats": {"url": server.url, "token_env": "T"}}).nats
        assert "refuses the login" in await said(wanted.address(environment={"T": "wrong"}))
    assert (tmp_path / "server.log").read_text(encoding="utf-8").count("authentication error") == 1


async def test_one_server_of_a_cluster_is_enough(tmp_path: Path, authority: Authority) -> None:
    ca = {"tls_ca_file": str(authority.file)}
    old = tls(authority, name="old", days=-2)
    async with nats_server(tmp_path / "a", tls(authority)) as good, nats_server(tmp_path / "b", old, name="b") as bad:
        away = f"nats://127.0.0.1:{free_port()}"
        urls = [url.replace("nats://", "tls://") for url in (away, bad.url, good.url)]
        bus = await Bus.connect(address(", ".join(urls), **ca), name="test", timeout=60)
        assert bus.client.connected_url is not None
        assert bus.client.connected_url.port == int(good.url.rpartition(":")[2])
        await bus.close()
        assert "its certificate has expired" in await said(address(",".join(urls[1:2]), **ca))


async def test_a_login_that_ends_while_connected_is_tried_again_with_what_the_file_holds_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """nats-py itself closes for good when a JWT expires; the bus says so, waits, and takes the new one."""
    operator, changes = Operator(), []
    path = operator.credentials(tmp_path / "user.creds", seconds=3)
    async with nats_server(tmp_path, operator.config) as server:
        wanted = Settings.model_validate({"nats": {"url": server.url, "credentials_file": str(path)}}).nats.address()
        with caplog.at_level(logging.ERROR):
            bus = await Bus.connect(wanted, name="test", on_change=changes.append, timeout=60)
            try:
                await until(lambda: changes)
                assert not bus.connected
                await until(lambda: "refuses the login" in caplog.text)
                operator.credentials(path)
                await until(lambda: changes == [False, True])
                assert bus.connected
            finally:
                await bus.close()
    assert caplog.text.count("check nats.credentials_file; trying again every 5 s") == 1


@contextlib.asynccontextmanager
async def limited(folder: Path) -> AsyncIterator[NatsAddress]:
    rights = 'permissions: { publish: ["qraft.events.>", "$JS.API.INFO"], subscribe: "_INBOX.>" }'
    async with nats_server(folder, f"authorization {{ users: [{{ user: u, password: p, {rights} }}] }}") as server:
        yield Settings.model_validate({"nats": {"url": server.url, "user": "u", "password_env": "P"}}).nats.address(
            environment={"P": "p"}
        )


async def test_what_a_login_may_not_do_is_told(tmp_path: Path) -> None:
    async with limited(tmp_path) as wanted:
        bus = await Bus.connect(wanted, name="test")
        try:
            with pytest.raises(BusRejected, match=r'subscription to "qraft.patterns.*this login lacks the permission'):
                await bus.watch_patterns(lambda _: None)
            with pytest.raises(BusRejected, match=r'publish to "qraft.ctl.pause"'):
                await bus.request("pause", {"source": "host"}, timeout=1)
            assert bus.connected
        finally:
            await bus.close()


def test_no_secret_shows_in_an_address() -> None:
    shown = repr(address("nats://h", {"P": "s3cret"}, user="u", password_env="P"))
    assert "s3cret" not in shown
    assert "s3cret" not in repr(address("nats://h", {"T": "s3cret"}, token_env="T"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('url = "nats://u:p@h"', "expected"),
        ('url = "nats://h"\nuser = "u"', "user and password_env go together"),
        ('url = "nats://h"\ntoken_env = "T"\nnkey_file = "x"', "expected one way to log in, got token_env and nkey_file"),
        ('url = "nats://h"\ntls_key_file = "k"', "tls_key_file needs tls_cert_file"),
        ('token_env = "T"', "token_env: the embedded server takes no login"),
        ("stream_replicas = 3", "stream_replicas: the embedded server is one"),
        ('url = "nats://h"\nstream_replicas = 6', "expected 5 or less"),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[nats]\n{text}\n")
    (problem,) = caught.value.problems
    assert message in problem.message
    assert "p@h" not in problem.message or "nats://u" in text  # told back as it was written, by whoever wrote it


def test_files_start_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[nats]\nurl = "tls://h"\ncredentials_file = "keys/user.creds"\ntls_ca_file = "/etc/ca.pem"\n'
        '[clickhouse]\nurl = "https://h"\nca_file = "ca.pem"\n',
        encoding="utf-8",
    )
    settings = load(tmp_path / "config.toml")
    assert settings.nats.credentials_file == str(tmp_path / "keys" / "user.creds")
    assert settings.nats.tls_ca_file == "/etc/ca.pem"
    assert settings.clickhouse.ca_file == str(tmp_path / "ca.pem")


def test_no_part_of_the_product_connects_by_itself() -> None:
    """nats-py's and clickhouse-connect's connects stand in one place each, which take the whole address."""
    found = {
        (file.relative_to(ROOT).as_posix(), node.func.attr)
        for folder in ("qraft", "tui")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("get_client", "get_async_client", "create_client")
        or ast.unparse(node.func).endswith("client.connect")
    }
    assert found == {
        ("qraft/bus/login.py", "connect"),
        ("qraft/ingest/nats.py", "connect"),
        ("qraft/store/client.py", "get_client"),
    }
