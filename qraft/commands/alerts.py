"""`qraft alerts`: what is open and what was delivered; tries the targets; tries the rules on what was found before."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from qraft.commands.common import ConfigOption, DataDirOption, Instance, JsonOption, UserError, find_instance, load_settings
from qraft.commands.output import plain, print_json, print_table
from qraft.commands.servers import open_bus, open_store

if TYPE_CHECKING:
    from qraft.alerts import Notification, Outcome, Rules
    from qraft.config.alerts import AlertsSettings
    from qraft.model import Feedback, Pattern
    from qraft.store import StoredDelivery

MOST_PATTERNS: Final = 20_000
MOST_LABELS: Final = 10_000
TICK_US: Final = 10_000_000
MINUTE_US: Final = 60_000_000

app = typer.Typer(name="alerts", rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog="Example: qraft alerts test ops")
def alerts(
    context: typer.Context, config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> int:
    """Lists open alerts and recent deliveries; test tries the targets, replay the rules."""
    return 0 if context.invoked_subcommand is not None else _list(config, data_dir, 20, as_json=as_json)


@app.command("list", epilog="Example: qraft alerts list --limit 50")
def list_alerts(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many deliveries.")] = 20,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists open alerts, what is held back or waits, and the latest deliveries, newest first."""
    return _list(config, data_dir, limit, as_json=as_json)


@app.command("test", epilog="Example: qraft alerts test ops")
def try_targets(
    target: Annotated[str, typer.Argument(metavar="[TARGET]", help="Name of a target; without it all of them.")] = "",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Sends a test message to each target, and says of each whether it took it.

    Variables that hold URLs and secrets are those of this shell, not those of the engine.
    """
    settings = load_settings(config, data_dir).alerts
    if target and target not in settings.targets:
        known = ", ".join(settings.targets) or "none; describe one below [alerts.targets]"
        raise UserError(f'there is no target "{target}"; known: {known}')
    if not settings.targets:
        raise UserError("no target is configured; describe one below [alerts.targets]")
    outcomes = asyncio.run(_try(settings, [target] if target else list(settings.targets)))
    if as_json:
        lines = [{"target": name, "ok": one.ok, "status": one.status, "error": one.error} for name, one in outcomes]
        print_json({"ok": all(one.ok for _, one in outcomes), "targets": lines})
    else:
        for name, one in outcomes:
            print(f"{name}: ok" if one.ok else f"{name}: not delivered: {plain(one.error)}")
    return 0 if all(one.ok for _, one in outcomes) else 1


@app.command(epilog="Example: qraft alerts replay --since 24h")
def replay(
    *,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="15m, 24h, 7d, or an ISO 8601 time.")] = "24h",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Says what the rules would have sent for what was found and said since then; sends nothing.

    Goes by the time of the findings themselves. Edit the rules, run it again, and compare.
    """
    settings = load_settings(config, data_dir)
    if not settings.alerts.live:
        raise UserError("no rule is in force; describe one below [alerts.rules]")
    found = find_instance(settings, data_dir, need=("clickhouse",))
    patterns, said = asyncio.run(_stored(found, _moment(since)))
    messages = list(_played(settings.alerts, patterns, said))
    if as_json:
        from qraft.alerts.text import payload

        for message in messages:
            print_json(payload(message, settings.alerts.link))
        return 0
    from qraft.alerts.text import title

    for message in messages:
        print(f"{message.time[:19].replace('T', ' ')}  {message.transition:8}  {', '.join(message.to)}  {title(message)}")
    if len(patterns) >= MOST_PATTERNS:
        print(f"only the newest {MOST_PATTERNS} findings were looked at; name a later --since")
    sent = Counter(message.rule for message in messages)
    counts = ", ".join(f"{name} {sent[name]}" for name in settings.alerts.live)
    print(f"{len(patterns)} findings, {len(messages)} messages: {counts}")
    return 0


def _moment(text: str) -> int:
    """UTC microseconds of "24h" (that long ago) or of an ISO 8601 time."""
    from qraft.config.duration import microseconds
    from qraft.model import us_from_iso

    try:
        return us_from_iso(text) if "-" in text else time.time_ns() // 1000 - microseconds(text)
    except (ValueError, OverflowError):
        raise UserError(
            f'--since: "{text}" is neither a length of time such as 15m, 24h or 7d nor an ISO 8601 time'
        ) from None


def _list(config: Path | None, data_dir: Path | None, limit: int, *, as_json: bool) -> int:
    found = find_instance(load_settings(config, data_dir), data_dir, need=("nats", "clickhouse"))
    report, deliveries = asyncio.run(_ask(found, limit))
    if as_json:
        print_json({**report, "deliveries": deliveries})
        return 0
    if report["alerts"]:
        rows = [
            [
                one["opened"][:19].replace("T", " "),
                *(one["severity"], one["rule"]),
                plain(f"{one['source']}/{one['entity']}" if one["entity"] else one["source"]),
                str(one["patterns"]),
                *(one["pattern_id"], plain(one["acknowledged_by"]) or "-", plain(one["summary"])),
            ]
            for one in report["alerts"]
        ]
        headers = ["OPENED", "SEVERITY", "RULE", "WHERE", "FINDINGS", "PATTERN", "ANSWERED", "WHAT"]
        print_table(headers, rows, right=frozenset(["FINDINGS"]))
    else:
        print("no open alerts")
    for name, count in report["held"].items():
        if count:
            print(f"rule {name}: {count} held back by quiet hours or its limit")
    for line in report["waiting"]:
        why = f"; tried {line['attempts']} times, last: {plain(line['error'])}" if line["attempts"] else ""
        print(f"target {line['target']}: {line['messages']} waiting{why}")
    if deliveries:
        print()
        print_table(["AT", "TARGET", "RULE", "MESSAGE", "TRY", "OUTCOME", "WHY"], [_row(one) for one in deliveries])
    return 0


def _row(one: StoredDelivery) -> list[str]:
    from qraft.model import iso_from_us

    at = iso_from_us(one.attempted_us)[:19].replace("T", " ")
    return [at, one.target, one.rule, one.transition, str(one.attempt), one.outcome, plain(one.error)]


async def _ask(found: Instance, limit: int) -> tuple[dict[str, Any], list[StoredDelivery]]:
    async with open_bus(found) as bus, open_store(found) as store:
        return await bus.request("alerts"), await store.deliveries.recent(limit)


async def _try(settings: AlertsSettings, names: list[str]) -> list[tuple[str, Outcome]]:
    async def one(name: str) -> tuple[str, Outcome]:
        from qraft.alerts import Outcome, TargetError, make_sender, trial

        try:
            sender = await asyncio.to_thread(make_sender, name, settings.targets[name], settings.timeout_seconds)
        except TargetError as error:
            return name, Outcome(ok=False, error=str(error))
        try:
            message = trial(name, time.time_ns() // 1000, str(uuid.uuid4()))
            return name, await sender.send(message, settings.link)
        finally:
            await sender.close()

    return list(await asyncio.gather(*map(one, names)))


async def _stored(found: Instance, since_us: int) -> tuple[list[Pattern], list[Feedback]]:
    from qraft.store import LabelQuery

    async with open_store(found) as store:
        stored = await store.past.arrived(since_us, MOST_PATTERNS)
        labels = await store.labels.recent(LabelQuery(since_us=since_us, limit=MOST_LABELS))
    return [one.pattern for one in stored], [one.feedback for one in labels]


def _played(settings: AlertsSettings, patterns: list[Pattern], said: list[Feedback]) -> Iterator[Notification]:
    """What the rules tell of findings and verdicts, in the order of their own times."""
    from qraft.alerts import Rules as Machine
    from qraft.model import us_from_iso

    rules, now = Machine(settings), 0
    found: list[Pattern | Feedback] = [*reversed(patterns), *reversed(said)]
    items = [(us_from_iso(item.timestamp), order, item) for order, item in enumerate(found)]
    for time_us, _, item in sorted(items, key=lambda one: one[:2]):
        while _busy(rules) and now + TICK_US < time_us:
            now += TICK_US if now + MINUTE_US > time_us else MINUTE_US
            yield from rules.step(None, now)
        now = max(now, time_us)
        yield from rules.step(item, now)
    end = time.time_ns() // 1000
    while _busy(rules) and now < end:
        now += MINUTE_US
        yield from rules.step(None, now)


def _busy(rules: Rules) -> bool:
    return any(True for _ in rules.alerts) or any(rules.held().values())
