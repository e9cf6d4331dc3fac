"""`qraft up` with a REST server that other machines may reach: over HTTPS, with tokens."""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
from pathlib import Path

import httpx
import trustme

from qraft.config import read_run
from tests.e2e.harness import until
from tests.e2e.test_up import CONFIG, qraft, running, start_up

API = """
[api]
host = "0.0.0.0"
auth = "tokens"
tls_cert_file = "cert.pem"
tls_key_file = "key.pem"
"""


def certify(folder: Path) -> ssl.SSLContext:
    """Puts a certificate for loopback into a folder; the context trusts it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return trusting


async def test_up_serves_other_machines_over_https_with_tokens(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG + API, encoding="utf-8")
    trusting = certify(tmp_path)
    up = start_up(tmp_path)
    try:
        run = await running(tmp_path)
        assert run.api_url.startswith("https://127.0.0.1:")
        place = ["--config", str(tmp_path / "config.toml"), "--data-dir", str(tmp_path / "data")]
        made = await asyncio.to_thread(
            subprocess.run,
            qraft("tokens", "add", "grafana", "--role", "read", *place),
            capture_output=True,
            text=True,
            check=True,
        )
        async with httpx.AsyncClient(base_url=run.api_url, verify=trusting, trust_env=False, timeout=30) as client:
            assert (await client.get("/api/sources")).status_code == 401
            client.headers["Authorization"] = f"Bearer {made.stdout.strip()}"
            for _ in range(100):
                answer = await client.get("/readyz")
                if answer.status_code == 200:
                    break
                await asyncio.sleep(0.2)
            assert answer.json() == {"status": "ready"}
            assert (await client.get("/api/sources")).status_code == 200
            assert (await client.post("/api/ingest/app", json={"x": 1})).status_code == 403
        up.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(up.wait, 60) == 0
        await until(lambda: read_run(tmp_path / "data") is None, 5, "nothing runs")
    finally:
        up.kill()
        up.wait()
