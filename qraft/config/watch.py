"""Follows config.toml: every edit, whatever makes it, as new settings or as the reason against them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import watchfiles

from qraft.config.load import ConfigError, load
from qraft.config.settings import Settings

POLL_SECONDS: Final = 2.0
"""The file is looked at this often even if the system reports nothing, as over network file systems and swapped symlinks."""
SETTLE_SECONDS: Final = 0.1
"""An edit is taken once the file has stayed as it is for so long: editors write in several goes."""
SETTLE_TRIES: Final = 50


async def watch(path: Path) -> AsyncGenerator[Settings | ConfigError]:
    """Yields what the file at ``path`` holds now and after each edit: the settings, or why they cannot be used.

    The folder is watched, not the file, so that a file put in its place (rename-and-replace) and a symlink that is made to
    point elsewhere are seen (Kubernetes swaps a link ``..data`` beside it); only a change of the content counts. This
    is done in a thread, not by watchfiles' asynchronous function, which at times swallowed a cancellation.
    """
    stop = threading.Event()
    looks = watchfiles.watch(
        path.parent,
        recursive=False,
        debounce=100,
        step=20,
        rust_timeout=round(POLL_SECONDS * 1000),
        yield_on_timeout=True,
        watch_filter=lambda _, changed: Path(changed).name == path.name or Path(changed).name.startswith(".."),
        stop_event=stop,
    )
    seen: bytes | None = b""
    try:
        while await asyncio.to_thread(next, looks, None) is not None:
            if _content(path) == seen:
                continue
            content = await _settled(path)
            if content == seen:
                continue
            seen = content
            try:
                yield await asyncio.to_thread(load, path)
            except ConfigError as error:
                yield error
    finally:
        stop.set()  # a look that is under way ends by this, within moments


async def _settled(path: Path) -> bytes | None:
    content = _content(path)
    for _ in range(SETTLE_TRIES):
        await asyncio.sleep(SETTLE_SECONDS)
        before, content = content, _content(path)
        if content == before:
            break
    return content


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return None
