"""`qraft web`: the terminal interface in a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, UserError, config_file, load_settings


def web(  # noqa: PLR0917 each is an option
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8090,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the token; without it QRAFT_WEB_TOKEN, or a new one.")
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url", metavar="URL", help="Address under which a proxy shows it, such as https://ops.example."
        ),
    ] = "",
    sessions: Annotated[int, typer.Option("--sessions", min=1, max=100, help="Most terminals open at once.")] = 8,
) -> int:
    """Serves the terminal interface to browsers.

    On loopback it needs no token, as the REST interface; elsewhere one is taken from the file or from QRAFT_WEB_TOKEN, or
    made and printed as part of the address. Every tab is a `qraft tui` of its own, which ends with it.
    """
    import asyncio
    import logging
    import secrets

    from qraft.web.access import Access, checked_public_url, needs_token
    from qraft.web.server import WebServer, listen, serve_until_told

    load_settings(config, data_dir)
    public = checked_public_url(public_url) if public_url else ""
    given = _given_token(token_file)
    token = given or (secrets.token_urlsafe(32) if needs_token(host, public) else "")
    logging.basicConfig(level=logging.WARNING, format="qraft: %(message)s", stream=sys.stderr)
    with listen(host, port) as listener:
        chosen: int = listener.getsockname()[1]
        access = Access(host=host, token=token, public_url=public, port=chosen)
        server = WebServer(_command(config, data_dir), access, limit=sessions)
        address = public or f"http://{_name(host)}:{chosen}"
        shown = f"/?token={token}" if token and not given else ""
        print(f"serving the terminal on {address}{shown} (ctrl-c ends)", flush=True)
        asyncio.run(serve_until_told(server, listener))
    return 0


def _given_token(file: Path | None) -> str:
    from qraft.web.access import checked_token
    from qraft.web.session import TOKEN_VARIABLE

    if file is None:
        given = os.environ.get(TOKEN_VARIABLE, "")
        return checked_token(given, TOKEN_VARIABLE) if given else ""
    try:
        return checked_token(file.read_text(encoding="utf-8").strip(), str(file))
    except UnicodeDecodeError:
        raise UserError(f"{file}: the token is not text") from None


def _command(config: Path | None, data_dir: Path | None) -> list[str]:
    command = [sys.executable, "-m", "qraft.cli", "tui"]
    if (file := config_file(config)) is not None:
        command += ["--config", str(file.absolute())]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir.expanduser().absolute())]
    return command


def _name(host: str) -> str:
    from socket import gethostname

    from qraft.web.access import is_wildcard

    return gethostname().lower() if is_wildcard(host) else f"[{host}]" if ":" in host else host
