"""`qraft check`: every mistake of a configuration, or a summary of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qraft.commands.common import DEFAULT_FILE, JsonOption, UserError
from qraft.commands.keys import keymap_of
from qraft.commands.output import print_json

if TYPE_CHECKING:
    from qraft.config import Settings


def check(
    file: Annotated[Path | None, typer.Argument(help="The file to check; without it ./config.toml.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Checks a configuration; names each mistake.

    With file, line, key, what was expected and the nearest valid name; "ok" and the sources where there is none.
    """
    from qraft.config import ConfigError, load
    from qraft.config.alerts import warnings

    path = file or DEFAULT_FILE
    if file is None and not path.is_file():
        raise UserError(f"there is no {path} in {Path.cwd()}; name a file: `qraft check FILE`")
    try:
        settings = load(path)
        keymap_of(settings, path)
    except ConfigError as error:
        if as_json:
            problems = [{"file": p.file, "line": p.line, "key": p.key, "message": p.message} for p in error.problems]
            print_json({"ok": False, "file": str(path), "problems": problems})
            return 1
        raise
    if as_json:
        said = warnings(settings.alerts)
        print_json({"ok": True, "file": str(path), "problems": [], "warnings": said, "sources": _sources(settings)})
        return 0
    print(f"{path}: ok")
    for name, source in settings.sources.items():
        print(f"  {name}: {source.adapter} {source.place}{'' if source.enabled else ' (not enabled)'}")
    if not settings.sources:
        print("  no sources: only events published on NATS are watched")
    for name, rule in settings.alerts.rules.items():
        print(f"  alert {name}: to {', '.join(rule.to)}{'' if rule.enabled else ' (not enabled)'}")
    for warning in warnings(settings.alerts):
        print(f"  warning: {warning}")
    return 0


def _sources(settings: Settings) -> list[dict[str, Any]]:
    return [{"source": name, "adapter": s.adapter, "enabled": s.enabled} for name, s in settings.sources.items()]
