"""`qraft test`: test cases for detectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from qraft.commands.common import ConfigOption, JsonOption, load_settings
from qraft.commands.kernels import prepare_detectors
from qraft.commands.output import plain, print_json


def run_tests(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files of cases, or folders; of a folder every *.test.toml below it."),
    ] = None,
    *,
    only: Annotated[str, typer.Option("-k", metavar="TEXT", help="Only cases with this in their file or name.")] = "",
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write the results as JUnit XML.")
    ] = None,
    config: ConfigOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Cases at once; without it one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Runs test cases for detectors; status 1 where one fails.

    A case is a [[case]] in a file NAME.test.toml: a stream (a file, or one made up with faults in it) and the patterns that
    must be found in it. It is judged by the configuration in force.
    """
    from qraft.replay.cases import find_cases, junit as as_xml, lines, run_cases

    prepare_detectors()
    jobs = find_cases(paths or [], load_settings(config), only)
    began = time.perf_counter()
    outcomes = run_cases(jobs, workers=workers, progress=not as_json)
    seconds = time.perf_counter() - began
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_bytes(as_xml(outcomes, seconds))
    passed = all(one.passed for one in outcomes)
    if as_json:
        print_json(
            {
                "ok": passed,
                "seconds": round(seconds, 3),
                "cases": [
                    {
                        "file": str(one.path),
                        "name": one.name,
                        "passed": one.passed,
                        "reasons": one.reasons,
                        "error": one.error,
                        "rows": one.rows,
                        "patterns": one.patterns,
                        "seconds": round(one.seconds, 3),
                    }
                    for one in outcomes
                ],
            }
        )
    else:
        for line in lines(outcomes, seconds):
            print(plain(line))
    return 0 if passed else 1
