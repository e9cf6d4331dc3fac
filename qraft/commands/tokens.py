"""`qraft tokens`: who may ask the REST interface; lists, adds and removes tokens."""

from __future__ import annotations

import difflib
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, JsonOption, UserError, data_directory, load_settings
from qraft.commands.output import print_json, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from qraft.api.tokens import Role, Token
    from qraft.config import Settings

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token: who or what uses it.")]

app = typer.Typer(name="tokens", rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: qraft tokens list")
def tokens(
    context: typer.Context, config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> int:
    """Lists the tokens of the REST interface; add or remove one. A running server follows by itself."""
    return 0 if context.invoked_subcommand is not None else _list(config, data_dir, as_json)


@app.command("list", epilog="Example: qraft tokens list --json")
def list_tokens(config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> int:
    """Lists the tokens: name, role, when they were made and when they end. Their text is stored nowhere."""
    return _list(config, data_dir, as_json)


@app.command(epilog="Example: qraft tokens add grafana --role read --expires 90d")
def add(  # noqa: PLR0917 each is an option
    name: NameArgument,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="What it opens: read, label or admin.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="End after so long, such as 12h or 30d; without it, never.")
    ] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Makes a token and prints it, once. read opens what is read, label also verdicts, admin also events sent in."""
    from qraft.api.tokens import NAME, make, read_tokens, utc_now, write_tokens

    if not re.fullmatch(NAME, name):
        raise UserError(f'"{name}" is no name of a token: letters, digits and _ . @ - only, 64 at most')
    opened, settings = _role(role), load_settings(config, data_dir)
    path = _path(settings, data_dir)
    present = read_tokens(path)
    if name in present:
        raise UserError(f"there is a token {name} already; `qraft tokens remove {name}` ends it, or take another name")
    now = utc_now()
    text, token = make(opened, now=now, expires=now + _length(expires) if expires else None)
    write_tokens(path, {**present, name: token})
    if as_json:
        print_json({"name": name, "role": opened, "token": text, "expires": _moment(token.expires, "")})
        return 0
    print(text)
    ends = f", ends {_moment(token.expires, '')}" if token.expires else ""
    print(f"qraft: {name} has the role {opened}{ends}; this is its only showing: keep it safe", file=sys.stderr)
    if settings.api.auth == "off":
        print('qraft: nobody is asked for a token yet; set api.auth = "tokens" in config.toml', file=sys.stderr)
    return 0


@app.command(epilog="Example: qraft tokens remove grafana")
def remove(name: NameArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Removes a token; it opens nothing from then on."""
    from qraft.api.tokens import read_tokens, write_tokens

    path = _path(load_settings(config, data_dir), data_dir)
    present = read_tokens(path)
    if name not in present:
        near = difflib.get_close_matches(name, present, 1)
        raise UserError(f"{path}: there is no token {name}" + (f"; did you mean {near[0]}?" if near else ""))
    write_tokens(path, {other: token for other, token in present.items() if other != name})
    print(f"{path}: removed {name}")
    return 0


def _list(config: Path | None, data_dir: Path | None, as_json: bool) -> int:
    from qraft.api.tokens import read_tokens, utc_now

    path, now = _path(load_settings(config, data_dir), data_dir), utc_now()
    found = sorted(read_tokens(path).items())
    if as_json:
        print_json({"file": str(path), "tokens": [_shown(name, token, now) for name, token in found]})
        return 0
    if not found:
        print("no tokens; `qraft tokens add NAME --role read` makes one")
        return 0
    rows = [
        [name, token.role, _moment(token.created), _moment(token.expires) + (" (over)" if token.expired(now) else "")]
        for name, token in found
    ]
    print_table(["name", "role", "made", "ends"], rows)
    return 0


def _shown(name: str, token: Token, now: datetime) -> dict[str, object]:
    return {
        "name": name,
        "role": token.role,
        "created": _moment(token.created),
        "expires": _moment(token.expires, ""),
        "expired": token.expired(now),
    }


def _path(settings: Settings, data_dir: Path | None) -> Path:
    from qraft.api.tokens import tokens_path

    return tokens_path(data_directory(settings, data_dir), settings.api.tokens_file)


def _role(text: str) -> Role:
    from qraft.api.tokens import ROLES

    for role in ROLES:
        if role == text:
            return role
    raise UserError(f'--role: there is no role "{text}"; there are {", ".join(ROLES)}')


def _length(text: str) -> timedelta:
    from qraft.config.duration import microseconds

    try:
        length = timedelta(microseconds=microseconds(text))
    except ValueError as error:
        raise UserError(f'--expires: {error}, got "{text}"') from None
    if length < timedelta(seconds=1):
        raise UserError(f'--expires: expected a second or more, got "{text}"')
    return length


def _moment(moment: datetime | None, never: str = "never") -> str:
    from datetime import UTC

    return never if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
