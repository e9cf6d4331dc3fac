"""The command line: `qraft COMMAND`. Commands load what they need when they run, so that `qraft --help` is quick."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from qraft import __version__
from qraft.commands import (
    alerts,
    archive,
    backup,
    cases,
    check,
    doctor,
    experiments,
    explain,
    feedback,
    ingest,
    keys,
    patterns,
    replay,
    run,
    sources,
    state,
    tap,
    tokens,
    tune,
    web,
)

USER_ERRORS = frozenset(
    {
        "qraft.api.errors.ApiError",
        "qraft.api.tokens.TokenError",
        "qraft.api.verdicts.FaultyFeedback",
        "qraft.api.verdicts.NothingToUndo",
        "qraft.bus.errors.BusError",
        "qraft.client.errors.ClientError",
        "qraft.commands.common.UserError",
        "qraft.config.load.ConfigError",
        "qraft.config.tls.LoginError",
        "qraft.embedded.process.ChildError",
        "qraft.replay.errors.ReplayError",
        "qraft.store.archive_errors.ArchiveError",
        "qraft.store.errors.StoreError",
        "qraft.web.errors.WebError",
    }
)
"""Exceptions whose text is a sentence for the user, by name, so that nothing is loaded to know them."""

app = typer.Typer(name="qraft", rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def qraft(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Watches live data streams, finds what changed in them, says which fields caused it, and learns from verdicts."""
    if version:
        print(f"qraft {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


for _command, _example in (
    (run.up, "qraft up --config config.toml"),
    (run.demo, "qraft demo --no-tui --seconds 30 --json"),
    (run.engine, "qraft engine --config config.toml"),
    (run.tui, "qraft tui --data-dir /var/lib/qraft"),
    (run.api, "qraft api --port 8080"),
    (web.web, "qraft web --port 8090"),
    (keys.keys, "qraft keys --config config.toml"),
    (check.check, "qraft check config.toml"),
    (ingest.ingest, "qraft ingest --source app app.ndjson"),
    (replay.replay, "qraft replay recordings/ --time timestamp --out results"),
    (tune.tune, "qraft tune host --target 5"),
    (patterns.patterns, "qraft patterns --since 2h --min-confidence 0.9"),
    (explain.explain, "qraft explain 0f6a3f1e"),
    (state.status, "qraft status"),
    (tap.tap, "qraft tap host --stage scores --rate 5"),
    (feedback.feedback, "qraft feedback 0f6a3f1e-6f0e-5c6b-9d3e-6a1b2c3d4e5f false_positive --note 'nightly backup'"),
    (backup.backup, "qraft backup /var/backups/qraft.tar.zst"),
    (backup.restore, "qraft restore /var/backups/qraft.tar.zst --data-dir /var/lib/qraft"),
    (doctor.doctor, "qraft doctor"),
):
    app.command(epilog=f"Example: {_example}")(_command)
app.command("test", epilog="Example: qraft test tests/ -k shift --junit results.xml")(cases.run_tests)
app.add_typer(alerts.app)
app.add_typer(experiments.app)
app.add_typer(sources.app)
app.add_typer(tokens.app)
app.add_typer(archive.app)


def main() -> int:
    """Runs the command that ``sys.argv`` asks for; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except typer.TyperException as error:
        return _say(_usage(error), error.exit_code)
    except OSError as error:
        return _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        if not any(f"{kind.__module__}.{kind.__qualname__}" in USER_ERRORS for kind in type(error).__mro__):
            raise
        return _say(str(error))
    return status if isinstance(status, int) else 0


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    text = error.format_message().rstrip(".")
    return text if context is None or text.endswith("?") else f"{text}; see `{context.command_path} --help`"


def _say(text: str, status: int = 1) -> int:
    for line in text.splitlines():
        print(f"qraft: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
