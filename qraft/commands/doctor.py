"""`qraft doctor`: looks at everything an instance stands on, and says how to mend what is not well."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from qraft.commands import checks, checks_api, checks_tls
from qraft.commands.checks import Check
from qraft.commands.common import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    UserError,
    config_file,
    data_directory,
    load_settings,
)
from qraft.commands.output import print_json

if TYPE_CHECKING:
    from qraft.config import RunInfo, Settings


def doctor(config: ConfigOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> int:
    """Checks everything Qraft stands on.

    Configuration, packages, data directory, disk, ports, NATS, ClickHouse and clock; says how to mend each.
    """
    found = _examine(config, data_dir)
    failed = [check.name for check in found if check.state == "fail"]
    if as_json:
        print_json({"ok": not failed, "checks": found})
        return bool(failed)
    for check in found:
        print(f"{check.state:4}  {check.name}: {check.detail}")
        if check.fix:
            print(f"      to mend: {check.fix}")
    if failed:
        raise UserError(f"not well: {', '.join(failed)}")
    return 0


def _examine(config: Path | None, data_dir: Path | None) -> list[Check]:
    from qraft.config import ConfigError, Settings, read_run

    file = config_file(config)
    try:
        settings = load_settings(config)
        first = Check("configuration", "ok", str(file) if file is not None else "built-in defaults")
    except ConfigError as error:
        settings = Settings()
        first = Check(
            "configuration", "fail", "; ".join(map(str, error.problems)), f"edit {file}; the checks below use defaults"
        )
    folder = data_directory(settings, data_dir)
    checked = [
        first,
        checks.packages(),
        *checks.data_directory(settings, folder),
        *checks.ports(settings, read_run(folder)),
        *checks.programs(settings),
        *checks_api.of_api(settings.api, folder),
    ]
    return [*checked, *asyncio.run(_servers(settings, read_run(folder)))]


async def _servers(settings: Settings, run: RunInfo | None) -> list[Check]:
    urls = (run.nats_url, run.clickhouse_url) if run is not None else ("", "")
    database = run.database if run is not None else settings.clickhouse.database
    answers = await asyncio.gather(_nats(settings, urls[0]), _clickhouse(settings, urls[1], database))
    return [*answers[0], *answers[1]]


async def _nats(settings: Settings, url: str) -> list[Check]:
    from qraft.config import LoginError

    try:
        address = settings.nats.address(url)
    except LoginError as error:
        return [Check("NATS", "fail", str(error), "set it, or leave that key empty")]
    return [await checks.nats(address), *await asyncio.to_thread(lambda: [*checks_tls.of_nats(address)])]


async def _clickhouse(settings: Settings, url: str, database: str) -> list[Check]:
    from qraft.config import LoginError

    try:
        address = settings.clickhouse.address(url)
    except LoginError as error:
        return [Check("ClickHouse", "fail", str(error), "set it, or leave that key empty")]
    certificates = await asyncio.to_thread(lambda: [*checks_tls.of_clickhouse(address)])
    return [await checks.clickhouse(address, database), *certificates, await checks.clock(address)]
