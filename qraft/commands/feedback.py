"""`qraft feedback`: an operator's verdict on a pattern."""

from __future__ import annotations

import asyncio
import getpass
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import print_json
from qraft.commands.servers import open_bus, open_store

if TYPE_CHECKING:
    from qraft.model import Feedback, Verdict


def feedback(
    pattern_id: Annotated[str, typer.Argument(metavar="PATTERN_ID", help="As `qraft patterns` shows it.")],
    verdict: Annotated[
        str,
        typer.Argument(
            metavar="VERDICT", help="confirmed, false_positive, expected, new_normal, or undo for your last one."
        ),
    ],
    *,
    note: Annotated[str, typer.Option("--note", help="Why, in your words.")] = "",
    user: Annotated[str, typer.Option("--user", help="Who says it; without it the name you are logged in by.")] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Gives a verdict on a pattern; prints its id once it is stored.

    It moves the alert line of the pattern's source and detector.
    """
    said = _verdict(verdict)
    found = find_instance(load_settings(config, data_dir), data_dir, need=("nats", "clickhouse"))
    stored = asyncio.run(_give(found, pattern_id, said, note, user or getpass.getuser()))
    if as_json:
        print_json(stored)
    else:
        print(stored.feedback_id)
    return 0


def _verdict(name: str) -> Verdict:
    import difflib

    from qraft.model import VERDICTS

    for known in VERDICTS:
        if name == known:
            return known
    close = difflib.get_close_matches(name, VERDICTS, 1, 0.5)
    nearest = f'; did you mean "{close[0]}"?' if close else ""
    raise UserError(f'"{name}" is not a verdict; expected one of {", ".join(VERDICTS)}{nearest}')


async def _give(found: Instance, pattern_id: str, verdict: Verdict, note: str, user: str) -> Feedback:
    from qraft.api.verdicts import compose
    from qraft.model import iso_from_us, us_from_datetime

    async with open_store(found) as store:
        stored = await store.history.pattern(pattern_id)
        said = await store.history.feedback(pattern_id)
    if stored is None:
        raise UserError(f"no pattern {pattern_id} is stored; `qraft patterns` lists them")
    given = compose(
        stored.pattern,
        said,
        verdict=verdict,
        note=note,
        user=user,
        feedback_id=str(uuid.uuid4()),
        timestamp=iso_from_us(us_from_datetime(datetime.now(UTC))),
    )
    async with open_bus(found) as bus:
        await bus.send_feedback(given)
    return given
