"""`qraft up`: an instance for as long as its terminal interface is open, or until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

from qraft.config import Settings
from qraft.config.dump import write_settings
from qraft.engine.runtime import set_up_logging, stop_on_signals
from qraft.engine.stack import Say, in_front, running


def up(settings: Settings, *, config: Path | None, data_dir: Path, tui: bool) -> int:
    """Runs an instance; its exit status.

    Args:
        settings: the configuration in force.
        config: the file it came from; None for the built-in defaults.
        data_dir: where everything is kept.
        tui: whether the terminal interface runs in front; leaving it ends the instance.

    Raises:
        ChildError: a part could not be started, or an instance runs on this data directory already.
    """
    prepare_logging(settings, data_dir, tui=tui)
    file = config if config is not None else write_settings(settings, data_dir / "config.toml")
    return asyncio.run(_up(settings, file, data_dir, tui=tui))


def prepare_logging(settings: Settings, data_dir: Path, *, tui: bool) -> None:
    """Logs to stderr, or, where the terminal is the interface's, to a file."""
    set_up_logging(settings.engine.log_level)
    if tui:
        path = data_dir / "logs" / "up.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        root = logging.getLogger()
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(root.handlers[0].formatter)
        root.handlers[:] = [handler]


def say_on_terminal(text: str) -> None:
    """One line of progress."""
    print(f"{text} …", flush=True)


async def _up(settings: Settings, config: Path, data_dir: Path, *, tui: bool) -> int:
    stop = stop_on_signals()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
    return await _with_instance(settings, config, data_dir, say_on_terminal, stop, tui=tui)


async def _with_instance(
    settings: Settings, config: Path, data_dir: Path, say: Say, stop: asyncio.Event, *, tui: bool
) -> int:
    async with running(settings, config, data_dir, say) as stack:
        if tui:
            status = await in_front(["tui", "--config", str(config), "--data-dir", str(data_dir)], stop)
        else:
            run = stack.run
            print(f"running: REST {run.api_url}, metrics {run.metrics_url}, data {data_dir}; Ctrl-C ends it", flush=True)
            await stop.wait()
            status = 0
        say("storing what is at hand and ending")
    return status
