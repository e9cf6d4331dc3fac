"""`qraft feedback`: what an operator says on a pattern."""

from __future__ import annotations

import asyncio
import getpass
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import print_json
from qraft.commands.over_rest import UrlOption, client_of
from qraft.commands.servers import open_bus, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qraft.client import PatternDetail
    from qraft.model import Feedback, Pattern, Scope, Verdict

SCOPE_KEYS = ("source", "entity", "type", "detector")


class _Wish(NamedTuple):
    """What is to be said; ``keys`` of the scope and ``length_us`` for a mute only."""

    verdict: Verdict
    note: str
    user: str
    keys: frozenset[str] = frozenset()
    length_us: int = 0


def feedback(
    pattern_id: Annotated[str, typer.Argument(metavar="PATTERN_ID", help="As `qraft patterns` shows it.")],
    verdict: Annotated[
        str,
        typer.Argument(
            metavar="VERDICT",
            help="confirmed, false_positive, expected, new_normal, mute, note, or undo for the last you said.",
        ),
    ],
    *,
    note: Annotated[str, typer.Option("--note", help="Why, in your words; for `note` the note itself.")] = "",
    user: Annotated[str, typer.Option("--user", help="Who says it; without it the name you are logged in by.")] = "",
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long a mute lasts: 90m, 2h, 1d, up to 30d; without it an hour.")
    ] = "",
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            metavar="KEYS",
            help="What a mute covers: all that has the same of these as the pattern, of source, entity, type and detector, "
            "such as source,detector. entity means source,entity. Without it all four.",
        ),
    ] = "",
    url: UrlOption = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Says something on a pattern; prints its id once the stream holds it, which loses nothing.

    confirmed and false_positive move the alert line of the pattern's source and detector. A mute hides what it covers from
    everybody's screens until it ends; nothing else changes by it, nor by a note.
    """
    said = _verdict(verdict)
    if said != "mute" and (lasting or scope):
        raise UserError(f"--{'for' if lasting else 'scope'} is for a mute, not for {said}")
    if said == "note" and not note.strip():
        raise UserError("a note needs its text: --note TEXT")
    wish = _Wish(said, note, user)
    if said == "mute":
        wish = wish._replace(keys=_keys(scope), length_us=_length_us(lasting))
    if url:
        given = _give_there(url, pattern_id, wish)
    else:
        found = find_instance(load_settings(config, data_dir), data_dir, need=("nats", "clickhouse"))
        given = asyncio.run(_give(found, pattern_id, wish._replace(user=user or getpass.getuser())))
    if as_json:
        print_json(given)
    else:
        print(given.feedback_id)
    return 0


def _verdict(name: str) -> Verdict:
    from qraft.model import VERDICTS

    for known in VERDICTS:
        if name == known:
            return known
    raise UserError(f'"{name}" is not a verdict; expected one of {", ".join(VERDICTS)}{_nearest(name, VERDICTS)}')


def _length_us(text: str) -> int:
    from tui.state.mutes import parse_ttl

    try:
        return parse_ttl(text)
    except ValueError as error:
        raise UserError(f"--for: {error}") from None


def _keys(text: str) -> frozenset[str]:
    """The keys of the scope, all of them where none is given."""
    if not text:
        return frozenset(SCOPE_KEYS)
    keys = frozenset(key.strip() for key in text.split(","))
    for key in sorted(keys - set(SCOPE_KEYS)):
        raise UserError(f'--scope: "{key}" is none of {", ".join(SCOPE_KEYS)}{_nearest(key, SCOPE_KEYS)}')
    return keys | {"source"} if "entity" in keys else keys


def _nearest(name: str, known: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1, 0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _scope(pattern: Pattern | PatternDetail, keys: frozenset[str]) -> Scope:
    from qraft.model import Scope

    return Scope(**{key: getattr(pattern, key) for key in keys})


def _give_there(url: str, pattern_id: str, wish: _Wish) -> Feedback:
    """The server names the user by the token where none is given."""
    from qraft.model import iso_from_us

    until = iso_from_us(_now_us() + wish.length_us) if wish.length_us else ""
    with client_of(url) as client:
        scope = _scope(client.pattern(pattern_id), wish.keys) if wish.keys else None
        return client.feedback(pattern_id, wish.verdict, note=wish.note, user=wish.user, scope=scope, until=until)


async def _give(found: Instance, pattern_id: str, wish: _Wish) -> Feedback:
    from qraft.api.verdicts import all_said

    async with open_store(found) as store, open_bus(found) as bus:
        stored = await store.history.pattern(pattern_id)
        if stored is None:
            raise UserError(f"no pattern {pattern_id} is stored; `qraft patterns` lists them")
        said = await all_said(bus, store.history, stored.pattern) if wish.verdict == "undo" else []
        given = _composed(stored.pattern, said, wish)
        await bus.send_feedback(given)
    return given


def _composed(pattern: Pattern, said: Sequence[Feedback], wish: _Wish) -> Feedback:
    from qraft.api.verdicts import compose
    from qraft.model import iso_from_us

    now_us = _now_us()
    return compose(
        pattern,
        said,
        verdict=wish.verdict,
        note=wish.note,
        user=wish.user,
        feedback_id=str(uuid.uuid4()),
        timestamp=iso_from_us(now_us),
        scope=_scope(pattern, wish.keys) if wish.keys else None,
        until=iso_from_us(now_us + wish.length_us) if wish.length_us else "",
    )


def _now_us() -> int:
    from qraft.model import us_from_datetime

    return us_from_datetime(datetime.now(UTC))
