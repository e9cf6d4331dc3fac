"""Two experiments side by side, and the best of many. Pure."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from qraft.replay.errors import ReplayError
from qraft.replay.experiments.record import Experiment

BASIC: Final = ("rows", "rejected", "late", "duplicates", "seconds", "patterns")
"""The first words of the figures that every replay has, whether scored or not."""

CHIEF: Final = "labelled.standard"
"""The figure that a replay against labels is judged by first: NAB's score, standard profile, at the alert line."""

_LESS_IS_BETTER: Final = frozenset(
    {
        *("seconds", "delay", "late", "rejected", "duplicates", "patterns", "false_positives", "false_alarms", "fp", "fn"),
        *("false_alarm_rate", "far", "missed", "missed_alarm_rate", "mar", "false_positive_rate", "false_alarms_per_day"),
    }
)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not the same in two experiments; None where one does not have it."""

    name: str
    a: Any
    b: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two experiments, and all figures.

    Attributes:
        config: settings, by dotted key.
        code: version or digest of the package.
        arguments: of the replay.
        inputs: files, by name, with their digests.
        figures: every figure that one of them has, in order; equal ones too.
    """

    config: list[Difference]
    code: list[Difference]
    arguments: list[Difference]
    inputs: list[Difference]
    figures: list[Difference]


def compare(a: Experiment, b: Experiment) -> Comparison:
    """What differs between ``a`` and ``b``."""
    return Comparison(
        config=_differences(_keys(tomllib.loads(a.config)), _keys(tomllib.loads(b.config))),
        code=_differences({"version": a.version, "code": a.code}, {"version": b.version, "code": b.code}),
        arguments=_differences(a.arguments, b.arguments),
        inputs=_differences({i.file: i.sha256 for i in a.inputs}, {i.file: i.sha256 for i in b.inputs}),
        figures=[Difference(name=name, a=a.figures.get(name), b=b.figures.get(name)) for name in {**a.figures, **b.figures}],
    )


def less_is_better(figure: str) -> bool:
    """Whether a smaller value of a figure is the better one, as its name tells."""
    return any(word in _LESS_IS_BETTER for word in figure.rpartition(": ")[2].split("."))


def best(experiments: Sequence[Experiment], figure: str) -> Experiment:
    """The best by a figure among those that are comparable: with the inputs of the newest that has it. Ties: the newest.

    Args:
        experiments: newest first.
        figure: its name; empty takes `CHIEF`.

    Raises:
        ReplayError: none has such a figure.
    """
    name = figure or CHIEF
    having = [one for one in experiments if name in one.figures]
    if not having:
        known = list(dict.fromkeys(f for one in experiments for f in one.figures if ": " not in f))
        close = difflib.get_close_matches(name, known, 1, 0.5)
        remedy = f'did you mean "{close[0]}"?' if close and figure else f"there are: {', '.join(known) or 'none'}"
        if not figure:
            raise ReplayError(f"best by which figure? None was scored against labels; give --by; {remedy}")
        raise ReplayError(f'no experiment has a figure "{name}"; {remedy}')
    alike = [one for one in having if one.inputs == having[0].inputs]
    sign = -1.0 if less_is_better(name) else 1.0
    return max(alike, key=lambda one: sign * one.figures[name])


def scores(experiment: Experiment) -> list[str]:
    """The names of the figures that only a scored replay has, of all inputs together."""
    return [name for name in experiment.figures if ": " not in name and name.partition(".")[0] not in BASIC]


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    return [Difference(name=name, a=a.get(name), b=b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)]


def _keys(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            out |= _keys(value, f"{above}{key}.")
        else:
            out[f"{above}{key}"] = value
    return out
