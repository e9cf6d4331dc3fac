"""`qraft backup` and `qraft restore`: everything of an instance in one file or folder, and back."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from qraft.commands.common import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    UserError,
    config_file,
    data_directory,
    load_settings,
)
from qraft.commands.output import duration, print_json

if TYPE_CHECKING:
    from qraft.commands.backup_make import Place
    from qraft.commands.backup_manifest import Manifest

T = TypeVar("T")


def backup(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file that ends with .tar.zst or .tar; anything else is a folder.")
    ],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Check the backup that is there; nothing is made.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the backup that is there, once the new one is whole.")
    ] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Copies everything of an instance: streams, tables, configuration, tokens, saved filters, experiments.

    The instance may run: its engine stands still for the moment in which the streams are copied, while sources go on. Only
    its owner may read a backup.
    """
    from qraft.commands.backup_file import BackupReader, BackupWriter
    from qraft.commands.backup_make import Place, make_backup

    begun = time.monotonic()
    if verify:
        manifest = BackupReader(path).check()
        if not as_json:
            print(f"{path} is whole, made {manifest.made} of Qraft {manifest.qraft}")
    else:
        settings = load_settings(config, data_dir)
        place = Place(settings, config_file(config), data_directory(settings, data_dir))
        _need_instance(place)
        with BackupWriter(path, replace=replace) as writer:
            manifest = _run(make_backup(place, writer, _teller(quiet=as_json)))
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    _sum_up(path, manifest, size, time.monotonic() - begun, as_json=as_json)
    return 0


def restore(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="What `qraft backup` made.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the instance holds first; asks.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Restores a backup onto an instance that is empty and whose engine does not run.

    Where no configuration is given or stands here, the backup's own is in force. That is put into the folder `restored` of
    the data directory in any case.
    """
    from qraft.commands.backup_file import BackupReader
    from qraft.commands.backup_make import Place
    from qraft.commands.backup_restore import RESTORED, check_fit, restore_backup, settings_of

    begun, say = time.monotonic(), _teller(quiet=as_json)
    reader = BackupReader(path)
    say(f"checking {path}")
    manifest = reader.check()
    file = config_file(config)
    settings = load_settings(config, data_dir) if file is not None else settings_of(reader)
    place = Place(settings, file, data_directory(settings, data_dir))
    check_fit(manifest, settings)
    told = _run(restore_backup(reader, manifest, place, _asker(yes=yes) if replace else None, say))
    for sentence in told:
        print(f"qraft: {sentence}", file=sys.stderr)
    size = sum(note.size for note in manifest.files)
    _sum_up(path, manifest, size, time.monotonic() - begun, as_json=as_json)
    if not as_json:
        use = file if file is not None else place.data_dir / RESTORED / "in-force.toml"
        print(f"start it: qraft up --config {use} --data-dir {place.data_dir}")
    return 0


def _need_instance(place: Place) -> None:
    from qraft.config import read_run
    from qraft.config.servers import EMBEDDED

    if read_run(place.data_dir) is not None:
        return
    for part, url in (("nats", place.settings.nats.url), ("clickhouse", place.settings.clickhouse.url)):
        if url == EMBEDDED and not (place.data_dir / part).is_dir():
            raise UserError(f"there is no instance under {place.data_dir}; name its data directory with --data-dir")


def _asker(*, yes: bool) -> Callable[[str], None]:
    def agree(there: str) -> None:
        if yes:
            return
        if not sys.stdin.isatty():
            raise UserError(f"the instance is not empty: {there}; --replace --yes deletes that")
        typer.confirm(f"The instance is not empty: {there}. Delete all of it?", abort=True)

    return agree


def _teller(*, quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else (lambda text: print(text, flush=True))


def _sum_up(path: Path, manifest: Manifest, size: int, seconds: float, *, as_json: bool) -> None:
    rows = {table.name: table.rows for table in manifest.tables}
    messages = {stream.name: stream.messages for stream in manifest.streams}
    if as_json:
        print_json(
            {
                "path": str(path),
                "made": manifest.made,
                "qraft": manifest.qraft,
                "schema": manifest.schema,
                "bytes": size,
                "seconds": round(seconds, 3),
                "held_seconds": manifest.held_seconds,
                "messages": messages,
                "rows": rows,
            }
        )
        return
    print(
        f"{path}: {sum(rows.values()):,} rows, {sum(messages.values()):,} messages, {size / 1024**2:,.1f} MiB "
        f"in {duration(seconds)}"
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs ``work``; SIGTERM ends it as Ctrl-C does, with everything put in order."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
