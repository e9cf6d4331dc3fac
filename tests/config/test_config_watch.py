"""Edits of a real file, made in every way editors and deployments make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from qraft.config import ConfigError, Settings
from qraft.config.watch import watch

FIRST = "[sources.host]\nadapter = 'host'\n"
SECOND = FIRST + "[detect]\nline = 0.6\n"


async def next_of(edits: AsyncGenerator[Settings | ConfigError]) -> Settings | ConfigError:
    async with asyncio.timeout(20):
        return await anext(edits)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def rename_and_replace(path: Path, text: str) -> None:
    draft = path.with_name(".config.toml.swp")
    draft.write_text(text)
    draft.replace(path)


def delete_and_write(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def swap_symlink(path: Path, text: str) -> None:
    """As Kubernetes does: config.toml → ..data/config.toml, ..data → a folder; the second link is swapped."""
    fresh = path.parent / f"..{len(list(path.parent.iterdir()))}"
    fresh.mkdir()
    (fresh / path.name).write_text(text)
    link = path.parent / "..data_tmp"
    link.symlink_to(fresh.name)
    link.replace(path.parent / "..data")


@pytest.mark.parametrize("edit", [in_place, rename_and_replace, delete_and_write, swap_symlink])
async def test_every_way_of_editing_is_seen(tmp_path: Path, edit: Callable[[Path, str], None]) -> None:
    path = tmp_path / "config.toml"
    if edit is swap_symlink:
        swap_symlink(path, FIRST)
        path.symlink_to("..data/config.toml")
    else:
        path.write_text(FIRST)
    edits = watch(path)
    try:
        first = await next_of(edits)
        assert isinstance(first, Settings)
        assert first.detect.line == 0.5
        edit(path, SECOND)
        second = await next_of(edits)
        assert isinstance(second, Settings)
        assert second.detect.line == 0.6
        edit(path, "[detect]\nlien = 0.6\n")
        third = await next_of(edits)
        assert isinstance(third, ConfigError)
        assert str(third) == f'{path}:2: detect.lien: unknown key; did you mean "line"?'
        edit(path, FIRST)
        assert isinstance(await next_of(edits), Settings)
    finally:
        await edits.aclose()


async def test_a_file_that_is_gone_is_a_mistake_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FIRST)
    edits = watch(path)
    try:
        await next_of(edits)
        path.unlink()
        gone = await next_of(edits)
        assert isinstance(gone, ConfigError)
        assert "no such file" in str(gone)
        path.write_text(FIRST)
        assert isinstance(await next_of(edits), Settings)
    finally:
        await edits.aclose()


async def test_a_file_written_in_many_goes_is_taken_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FIRST)
    edits = watch(path)
    try:
        await next_of(edits)

        async def write_slowly() -> None:
            with path.open("w") as out:
                for character in SECOND:
                    out.write(character)
                    out.flush()
                    await asyncio.sleep(0.01)

        writing = asyncio.create_task(write_slowly())
        found = await next_of(edits)
        await writing
        assert isinstance(found, Settings)
        assert found.detect.line == 0.6
    finally:
        await edits.aclose()


async def test_no_task_is_left(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FIRST)
    before = asyncio.all_tasks()
    edits = watch(path)
    await next_of(edits)
    await edits.aclose()
    assert asyncio.all_tasks() == before
