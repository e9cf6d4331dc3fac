"""The commands that run something: `up`, `engine`, `tui`, `api`, `demo`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qraft.commands.common import (
    ConfigOption,
    DatabaseOption,
    DataDirOption,
    JsonOption,
    UserError,
    config_file,
    data_directory,
    find_instance,
    load_settings,
)
from qraft.commands.kernels import prepare_detectors
from qraft.commands.keys import keymap_of
from qraft.commands.over_ssh import instance_over_ssh
from qraft.web.lifeline import end_with_parent, in_browser

NoTuiOption = Annotated[bool, typer.Option("--no-tui", help="Stay in this terminal without the interface; Ctrl-C ends all.")]


def up(no_tui: NoTuiOption = False, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Starts everything, with the terminal interface in front.

    NATS and ClickHouse where the configuration says "embedded", the engine, the REST server. Leaving the interface, or
    Ctrl-C, ends all of it in order.
    """
    if not no_tui:
        _need_terminal()
    from qraft.engine import up as stack

    settings = load_settings(config)
    prepare_detectors()
    folder = data_directory(settings, data_dir)
    return stack.up(settings, config=config_file(config), data_dir=folder, tui=not no_tui)


def engine(config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Runs the engine alone, without interface.

    It reads the sources, finds patterns and stores them, until Ctrl-C or SIGTERM.
    """
    from qraft.engine import daemon

    settings = load_settings(config, data_dir)
    file = config_file(config)
    prepare_detectors()
    return daemon.run(
        settings,
        config=file.absolute() if file is not None else None,
        data_dir=data_directory(settings, data_dir),
    )


def tui(  # noqa: PLR0917 each is an option
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    nats: Annotated[str, typer.Option("--nats", metavar="URL", help="NATS to watch, in place of the running one's.")] = "",
    clickhouse: Annotated[
        str, typer.Option("--clickhouse", metavar="URL", help="ClickHouse to read, in place of the running one's.")
    ] = "",
    database: DatabaseOption = "",
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw with ASCII characters only.")] = False,
    theme: Annotated[
        str, typer.Option("--theme", help="dark, light, ansi, deuteranopia, tritanopia or mono; without it tui.theme.")
    ] = "",
    lang: Annotated[str, typer.Option("--lang", help="en or zh; without it tui.language, else the locale.")] = "",
    fps: Annotated[
        int | None, typer.Option("--fps", min=1, max=4, help="Most pictures a second, for slow lines; without it tui.fps.")
    ] = None,
    mouse: Annotated[bool, typer.Option("--mouse", help="Let the mouse work too; it is never needed.")] = False,
    ssh: Annotated[
        str,
        typer.Option(
            "--ssh",
            metavar="USER@HOST",
            help="Watch the engine on another machine through ssh; --data-dir, --nats and --clickhouse are that machine's.",
        ),
    ] = "",
) -> int:
    """Opens the terminal interface of a running engine, here or, with --ssh, on another machine."""
    _need_terminal()
    settings = load_settings(config, None if ssh else data_dir)
    keymap_of(settings, config_file(config))
    with contextlib.ExitStack() as held:
        if ssh:
            found = held.enter_context(instance_over_ssh(settings, ssh, data_dir, nats=nats, clickhouse=clickhouse))
            found = dataclasses.replace(found, database=database or found.database)
        else:
            need = ("nats", "clickhouse")
            found = find_instance(settings, data_dir, nats=nats, clickhouse=clickhouse, database=database, need=need)
        from tui import app
        from tui.language import LANGUAGES, chosen
        from tui.theme import ThemeError

        if lang and lang not in LANGUAGES:
            raise UserError(f'--lang: no language "{lang}"; there are {", ".join(LANGUAGES)}')
        try:
            return app.run(
                nats=found.nats,
                clickhouse=found.clickhouse,
                database=found.database,
                data_dir=found.data_dir,
                engine=found.engine,
                ascii_only=ascii_only,
                theme_name=theme or settings.tui.theme,
                language=chosen(lang or settings.tui.language, os.environ),
                keys=settings.tui.keys,
                zone=settings.tui.zone,
                fps=fps or settings.tui.fps,
                mouse=mouse or settings.tui.mouse,
                place=found.place,
                trouble=found.trouble,
            )
        except ThemeError as error:
            raise UserError(str(error)) from error


def api(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; without it api.host.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; without it api.port.")
    ] = None,
) -> int:
    """Serves the REST interface of a running engine."""
    from qraft.api.server import serve

    settings = load_settings(config, data_dir)
    found = find_instance(settings, data_dir, need=("nats", "clickhouse"))
    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    return serve(
        settings.api.model_copy(update=given),
        nats=found.nats,
        clickhouse=found.clickhouse,
        database=found.database,
        data_dir=found.data_dir,
    )


def demo(
    no_tui: NoTuiOption = False,
    seconds: Annotated[float | None, typer.Option("--seconds", min=1, help="End by itself after so many seconds.")] = None,
    as_json: JsonOption = False,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", "-d", help="Data directory; without it one that goes with the demo.")
    ] = None,
) -> int:
    """Shows Qraft at work on live, recorded and generated data.

    This machine's own metrics live, a recording of Shuttle data replayed fast, and a generated market over a WebSocket.
    """
    with_tui = not (no_tui or as_json)
    if with_tui:
        _need_terminal()
    from qraft.engine import demo as show

    prepare_detectors()
    return show.demo(tui=with_tui, seconds=seconds, as_json=as_json, data_dir=data_dir)


def _need_terminal() -> None:
    if in_browser():
        end_with_parent()
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        over_ssh = "; over ssh ask for one with `ssh -t`" if "SSH_CONNECTION" in os.environ else ""
        raise UserError(f"the interface needs a terminal{over_ssh}; `qraft up --no-tui` and `qraft patterns` do without one")
