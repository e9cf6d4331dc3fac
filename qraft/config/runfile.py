"""run.json: where a running instance's servers are found, written by who starts them, read by every other command."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One running instance: process ids by part, and the addresses of its servers."""

    pids: dict[str, int] = {}
    nats_url: str = ""
    clickhouse_url: str = ""
    database: str = "qraft"
    api_url: str = ""
    metrics_url: str = ""
    config: str = ""
    engine: str = "main"
    started: str = ""


def run_path(data_dir: Path) -> Path:
    """Where run.json stands below a data directory."""
    return data_dir / "run.json"


def last_good_path(data_dir: Path) -> Path:
    """Where the configuration that was in force last stands below a data directory."""
    return data_dir / "config.last.toml"


def read_run(data_dir: Path) -> RunInfo | None:
    """What runs under ``data_dir``; None when nothing does or what was written there is no longer alive."""
    try:
        info = msgspec.json.decode(run_path(data_dir).read_bytes(), type=RunInfo)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    return info if info.pids and any(map(alive, info.pids.values())) else None


def write_run(data_dir: Path, info: RunInfo) -> None:
    """Replaces run.json in one step, so that no reader sees half of it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    draft = data_dir / f".run.json.{os.getpid()}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(info), indent=2))
    draft.replace(run_path(data_dir))


def remove_run(data_dir: Path) -> None:
    """Takes run.json away; it is no mistake when it is gone already."""
    run_path(data_dir).unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether a process with this id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
