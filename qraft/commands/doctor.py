"""`qraft doctor`: looks at everything an instance stands on, and says how to mend what is not well."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qraft.commands import checks
from qraft.commands.checks import Check
from qraft.commands.common import (
    ConfigOption,
    DataDirOption,
    Instance,
    JsonOption,
    UserError,
    config_file,
    data_directory,
    find_instance,
    load_settings,
)
from qraft.commands.output import print_json


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
    ]
    try:
        instance = find_instance(settings, data_dir, need=())
    except UserError as error:
        return [*checked, Check("password", "fail", str(error), "set it, or leave clickhouse.password_env empty")]
    return [*checked, *asyncio.run(_servers(instance))]


async def _servers(instance: Instance) -> list[Check]:
    return list(
        await asyncio.gather(checks.nats(instance), checks.clickhouse(instance), checks.clock(instance.clickhouse_url))
    )
