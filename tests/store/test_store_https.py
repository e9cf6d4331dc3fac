"""ClickHouse over HTTPS: a real engine behind TLS, a local authority, and every way in which that can be wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from qraft.config import ClickHouseAddress, ConfigError, LoginError, Settings, parse
from qraft.config.store import StoreSettings
from qraft.embedded.process import free_port
from qraft.store import Store, StoreError, StoreRejected, StoreUnavailable
from tests.secured import Authority, behind_tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def address(port: int, environment: dict[str, str] | None = None, **keys: Any) -> ClickHouseAddress:
    settings = Settings.model_validate({"clickhouse": {"url": f"https://127.0.0.1:{port}", **keys}})
    return settings.clickhouse.address(environment=environment or {})


async def said(wanted: ClickHouseAddress, database: str = "q", kind: type[StoreError] = StoreRejected) -> str:
    with pytest.raises(kind) as caught:
        await Store.connect(wanted, database=database)
    return str(caught.value)


async def works(wanted: ClickHouseAddress, database: str) -> None:
    async with await Store.connect(wanted, database=database) as store:
        await store.migrate(StoreSettings())
        assert (await store.history.counts())["raw_events"] == 0


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
async def test_an_authority_of_ones_own(clickhouse_url: str, database: str, authority: Authority) -> None:
    async with behind_tls(clickhouse_url, authority.issue("server")) as port:
        await works(address(port, ca_file=str(authority.file)), database)
        await works(address(port, verify=False), database)
        unknown = "the certificate is not accepted (unable to get local issuer certificate); set clickhouse.ca_file to"
        assert unknown in await said(address(port))
        strange = Authority(authority.folder / "strange")
        assert unknown in await said(address(port, ca_file=str(strange.file)))


async def test_certificates_that_are_not_accepted(clickhouse_url: str, authority: Authority) -> None:
    ca = {"ca_file": str(authority.file)}
    async with behind_tls(clickhouse_url, authority.issue("old", days=-2)) as port:
        assert "its certificate has expired; renew it there" in await said(address(port, **ca))
    async with behind_tls(clickhouse_url, authority.issue("other", "clickhouse.example")) as port:
        assert "write a name that it bears into the address" in await said(address(port, **ca))


async def test_user_and_password(clickhouse_url: str, database: str, authority: Authority) -> None:
    keys = {"ca_file": str(authority.file), "user": "qraft", "password_env": "P"}
    async with behind_tls(clickhouse_url, authority.issue("server"), login=("qraft", "s3cret")) as port:
        await works(address(port, {"P": "s3cret"}, **keys), database)
        told = await said(address(port, {"P": "other"}, **keys))
        assert told.endswith("refuses the user qraft; check clickhouse.user and clickhouse.password_env")
    with pytest.raises(LoginError, match=r"clickhouse.password_env: the environment variable P is not set"):
        address(port, **keys)


async def test_a_certificate_of_the_client(clickhouse_url: str, database: str, authority: Authority) -> None:
    ca = {"ca_file": str(authority.file)}
    async with behind_tls(clickhouse_url, authority.issue("server"), clients=authority.file) as port:
        own = authority.issue("client", "engine@qraft")
        await works(address(port, cert_file=str(own), **ca), database)
        await works(address(port, {"P": "p"}, cert_file=str(own), password_env="P", **ca), database)
        missing = "the server asks for a certificate of the client; set clickhouse.cert_file and clickhouse.key_file"
        assert missing in await said(address(port, **ca))
        strange = Authority(authority.folder / "strange").issue("client", "engine@qraft")
        assert "clickhouse.cert_file" in await said(address(port, cert_file=str(strange), **ca))


async def test_the_wrong_protocol(clickhouse_url: str, authority: Authority) -> None:
    port = int(clickhouse_url.rpartition(":")[2])
    assert "that port does not speak TLS" in await said(address(port, ca_file=str(authority.file)))
    async with behind_tls(clickhouse_url, authority.issue("server")) as secured:
        plain = ClickHouseAddress(f"http://127.0.0.1:{secured}")
        assert "that port speaks TLS; write https:// into clickhouse.url" in await said(plain)


async def test_a_server_that_is_away_is_no_fault_of_the_login(authority: Authority) -> None:
    wanted = address(free_port(), ca_file=str(authority.file))
    assert "does not answer" in await said(wanted, kind=StoreUnavailable)


async def test_a_certificate_that_expires_while_connected_is_waited_out(
    clickhouse_url: str, database: str, authority: Authority
) -> None:
    """What is refused at the start stops the engine; later it may be mended over there, so the same call goes on."""
    async with behind_tls(clickhouse_url, authority.issue("server")) as port:
        store = await Store.connect(address(port, ca_file=str(authority.file)), database=database)
        await store.migrate(StoreSettings())
    async with behind_tls(clickhouse_url, authority.issue("old", days=-2), port=port):
        with pytest.raises(StoreUnavailable, match="its certificate has expired"):
            await store.history.counts()
    async with behind_tls(clickhouse_url, authority.issue("new"), port=port):
        assert (await store.history.counts())["raw_events"] == 0
        await store.close()


async def test_files_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    absent = str(tmp_path / "absent.pem")
    assert await said(address(port, ca_file=absent)) == (
        f"clickhouse.ca_file: {absent} cannot be used: No such file or directory"
    )
    assert f"clickhouse.cert_file: {absent} cannot be used" in await said(address(port, cert_file=absent))
    assert "clickhouse.cert_file" in await said(address(port, cert_file=str(authority.file)))


async def test_no_secret_is_shown(clickhouse_url: str, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    keys = {"ca_file": str(authority.file), "user": "qraft", "password_env": "P"}
    with caplog.at_level(logging.DEBUG):
        async with behind_tls(clickhouse_url, authority.issue("server"), login=("qraft", "s3cret")) as port:
            wanted = address(port, {"P": "wr0ng-word"}, **keys)
            assert "wr0ng-word" not in repr(wanted) + await said(wanted) + caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('url = "https://u:p@h"', "expected an address without secrets"),
        ('url = "https://h?password=p"', "expected an address without secrets"),
        ('url = "http://h"\nca_file = "ca.pem"', "ca_file: is for https:// only"),
        ("verify = false", "verify: is for https:// only"),
        ('url = "https://h"\nkey_file = "k.pem"', "key_file needs cert_file"),
        ('url = "tcp://h"', 'expected "embedded" or an address that starts with http:// or https://'),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[clickhouse]\n{text}\n")
    (problem,) = caught.value.problems
    assert message in problem.message
