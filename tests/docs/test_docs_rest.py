"""The page on the REST interface: its tokens open a guarded server, its program follows the stream, its tables are whole."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qraft.api.app import ROUTES, create_app
from qraft.api.tokens import ROLES
from qraft.bus import Bus, Publisher
from qraft.config.api import ApiSettings
from qraft.store import Store
from tests.api.sample import Serve, make_pattern, until_well
from tests.docs.pages import ROOT, blocks, commands, text_of, twin

PAGE = "docs/rest.md"
BOTH = pytest.mark.parametrize("page", [PAGE, twin(PAGE)])


def shown(file: str, folder: Path) -> Path:
    """A file that the page shows, in ``folder``."""
    (text,) = [block.text for block in blocks(PAGE) if block.file == file]
    path = folder / file
    path.write_text(text, encoding="utf-8")
    return path


@BOTH
def test_the_table_has_every_path_and_its_role(page: str) -> None:
    rows = re.findall(r"^\| `(GET|POST) ([^`]+)` \|.*\| (\S+) \|$", text_of(page), re.MULTILINE)
    told = {(method, re.sub(r"\{\w+\}", "{}", path)): role for method, path, role in rows}
    roles = {
        (method, re.sub(r"\{\w+\}", "{}", str(getattr(route, "path", "")))): role
        for router, role in ROUTES
        for route in router.routes
        for method in getattr(route, "methods", ())
    }
    assert {key: told.get(key) for key in roles} == roles
    app = create_app(lambda: pytest.fail("is not asked"), now=lambda: "")
    paths = {re.sub(r"\{\w+\}", "{}", path) for path in app.openapi()["paths"]}
    assert {path for _, path in told} == paths | {"/openapi.json"}


@BOTH
def test_every_filter_of_patterns_is_told(page: str) -> None:
    app = create_app(lambda: pytest.fail("is not asked"), now=lambda: "")
    known = {one["name"] for one in app.openapi()["paths"]["/api/patterns"]["get"]["parameters"]}
    assert {name for name in known if f"`{name}`" not in text_of(page)} == set()


@BOTH
def test_every_error_and_every_role_is_told(page: str) -> None:
    app = create_app(lambda: pytest.fail("is not asked"), now=lambda: "")
    known = {
        int(status)
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
        if int(status) >= 400
    }
    told = {
        int(one)
        for row in re.findall(r"^\| ([45][0-9, 、]+) \|", text_of(page), re.MULTILINE)
        for one in re.findall(r"\d+", row)
    }
    assert known <= told
    first = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", text_of(page), re.MULTILINE)
    assert [name for name in first if name in ROLES] == [*ROLES]


async def test_the_tokens_of_the_page_open_a_server_that_wants_them(
    *, store: Store, bus: Bus, serve: Serve, clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    program = tmp_path / "qraft"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m qraft.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "config.toml").write_text('[engine]\ndata_dir = "data"\n[api]\nauth = "tokens"\n', encoding="utf-8")
    given = [one.text for one in commands(PAGE) if re.search(r"qraft tokens |\$QRAFT_TOKEN", one.text)]
    assert len(given) == 5
    settings = ApiSettings(auth="tokens", rate_per_minute=0)
    async with serve(bus.url, clickhouse_url, database, settings=settings, data_dir=tmp_path / "data") as client:
        await until_well(client)
        assert (await client.get("/api/patterns")).status_code == 401
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QRAFT_")} | {
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "QRAFT_URL": str(client.base_url).rstrip("/"),
        }
        script = "set -e\n" + "\n".join(given) + '\necho; echo "$QRAFT_TOKEN"\n'
        ran = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert make_pattern(39).pattern_id in ran.stdout
        token = ran.stdout.split()[-1]
        answers = [
            await _ask(client, method, path, token) for method, path in (("GET", "/metrics"), ("POST", "/api/ingest/lab"))
        ]
        assert answers == [200, 403]
        removed = re.findall(r"qraft_[0-9a-f]{64}", ran.stdout)[0]
        assert await _ask(client, "GET", "/api/sources", removed) == 401


async def _ask(client: httpx.AsyncClient, method: str, path: str, token: str) -> int:
    json = {"volts": 3.3} if method == "POST" else None
    return (await client.request(method, path, json=json, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_the_program_that_follows_goes_on_over_its_restart(
    client: httpx.AsyncClient, bus: Bus, tmp_path: Path
) -> None:
    program = shown("follow.py", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "QRAFT_URL": str(client.base_url).rstrip("/"), "QRAFT_TOKEN": ""}
    publisher = Publisher(bus)

    place = tmp_path / "place"

    async def run(expected: list[str]) -> None:
        before = place.read_text(encoding="utf-8") if place.exists() else ""
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            if not before:  # it begins with what is published from now on
                while (await client.get("/metrics")).text.find("qraft_api_stream_clients 1.0") < 0:
                    await asyncio.sleep(0.05)
                await publisher.patterns([make_pattern(12), make_pattern(2)])
            for summary in expected:
                assert summary in (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            while not place.exists() or place.read_text(encoding="utf-8") in (
                "",
                before,
            ):  # it notes the place after it prints
                await asyncio.sleep(0.05)
        finally:
            process.terminate()
            await process.wait()

    await run(["(12)"])
    await publisher.patterns([make_pattern(4), make_pattern(14), make_pattern(16)])
    await run(["(14)", "(16)"])
