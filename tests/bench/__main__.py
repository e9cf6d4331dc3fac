"""``python -m tests.bench``: one JSON line a figure. ``--quick`` takes smaller samples; names of groups pick some.

``python -m tests.bench detect`` measures detection instead; see its ``--help``.
"""

import argparse
import sys

GROUPS = ("start", "core", "service", "operate", "load", "soak", "terminal")


def main() -> None:
    if sys.argv[1:2] == ["detect"]:
        from tests.bench.detection.run import main as detect

        detect(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller samples, to see whether it runs")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, metavar="N", help="how long the load of the group terminal lasts")
    length.add_argument("--hour", action="store_const", const=60.0, dest="minutes", help="the same as --minutes 60")
    chosen = parser.parse_args()
    unknown = set(chosen.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}")
    groups = chosen.groups or GROUPS
    if "start" in groups:
        from tests.bench.start import start_times

        start_times(runs=3 if chosen.quick else 9)
    if "core" in groups:
        from tests.bench.core import pipeline_rate

        pipeline_rate(events=2_000 if chosen.quick else 20_000, runs=3 if chosen.quick else 5)
    if "service" in groups:
        from tests.bench.service import service_figures

        service_figures(quick=chosen.quick)
    if "operate" in groups:
        from tests.bench.operate import operate_figures

        operate_figures(quick=chosen.quick)
    if "load" in groups:
        from tests.bench.load import load_figures

        load_figures(quick=chosen.quick)
    if "soak" in groups:
        from tests.bench.soak import soak_figures

        soak_figures(quick=chosen.quick)
    if "terminal" in groups:
        from tests.bench.terminal import terminal_figures

        terminal_figures(quick=chosen.quick, minutes=chosen.minutes)


if __name__ == "__main__":
    main()
