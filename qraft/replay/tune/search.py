"""Tries settings on a recorded stream: single changes first, then the best of them together; over all cores."""

from __future__ import annotations

import os
import tempfile
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from qraft.config import Settings
from qraft.config.detect import DetectSettings
from qraft.model import Event, Pattern, decode_event, encode_lines, us_from_iso
from qraft.replay.errors import ReplayError
from qraft.replay.rehearse import counting_bar, rehearse, with_detectors
from qraft.replay.tune.marks import Figures, Marks, Part, Slim, figures_of, utility
from qraft.replay.tune.space import Change, applied, changes
from qraft.replay.workers import Advance, run_all

_LEAST_GAIN: Final = 0.01
_LEAST_ROWS: Final = 200
_JOINED: Final = 6
"""How many of the best single changes are tried together with what is chosen so far."""
_ROUNDS: Final = 3
CHOSEN_ON: Final = 0.6
"""The share of the stream, from its begin, that settings are chosen on; they are checked on the rest."""
NEAR_ROWS: Final = 50
"""A finding within so many rows of another is about the same."""


@dataclass(frozen=True, slots=True)
class Job:
    """One trial: the events, the configuration that they are judged by, the source that they are of."""

    events: Path
    settings: Settings
    source: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings and what they find in the whole stream; ``changes`` is what makes them differ from those in force."""

    detect: DetectSettings
    changes: list[Change]
    found: list[Slim]


@dataclass(frozen=True, slots=True)
class Task:
    """A stream to tune for.

    Attributes:
        events: in the order in which they came.
        settings: the configuration in force.
        source: the events' source.
        marks: what is known about the stream.
        target: findings a day that are not too many.
        budget: most trials.
        times_us: event time of each event, UTC microseconds, in any order.
    """

    events: Sequence[Event]
    settings: Settings
    source: str
    marks: Marks
    target: float
    budget: int
    times_us: Sequence[int]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of it.

    Attributes:
        now: the settings in force, and what they find.
        best: the best on the first part; ``now`` itself where nothing is better.
        holds: whether it is no worse on the second part than the settings in force.
        parts: the part that was chosen on, and the part that was checked on.
        figures: of ``now`` on both parts, then of ``best`` on both.
        trials: how many settings were tried.
        near_us: how far apart two findings may be and still be about the same.
    """

    now: Trial
    best: Trial
    holds: bool
    parts: tuple[Part, Part]
    figures: tuple[Figures, Figures, Figures, Figures]
    trials: int
    near_us: int
    seconds: float


def tune(task: Task, *, workers: int | None = None, progress: bool = True) -> Proposal:
    """Searches settings that suit a stream better than those in force.

    Every trial judges all events on a fresh Pipeline; verdicts do not move its alert lines. Where nothing is known that must
    be found, only the alert line and sensitivities are tried: no detector is put in or out of work for its volume alone.

    Raises:
        ReplayError: there is too little to tune on.
    """
    began = clock.perf_counter()
    times = sorted(task.times_us)
    if len(times) < _LEAST_ROWS or times[0] == times[-1]:
        raise ReplayError(
            f"{len(times)} rows are too few to tune on; {_LEAST_ROWS} are the least, some thousands are better"
        )
    first, second = parts_of(times, task.marks.within(times[0], times[-1]))
    base = task.settings.detect_for(task.source)
    singles = changes(base, switches=bool(first.marks.wanted))[: task.budget - 1]
    expected = 1 + len(singles) + min((_ROUNDS - 1) * _JOINED, max(task.budget - 1 - len(singles), 0))

    with tempfile.TemporaryDirectory(prefix="qraft-tune-") as folder:
        path = Path(folder) / "events.ndjson"
        path.write_bytes(encode_lines(task.events))
        with counting_bar("trials", expected * len(task.events), shown=progress) as tell:
            runner = _Runner(task, path, workers, tell)
            now, *tried = runner.run(base, [[], *([one] for one in singles)])
            then = figures_of(now.found, first)

            def worth(trial: Trial) -> float:
                return utility(figures_of(trial.found, first), first, task.target, then)

            ranked = sorted(tried, key=lambda trial: (-worth(trial), trial.changes[0].force))
            best = now
            if ranked and worth(ranked[0]) > worth(now) + _LEAST_GAIN:
                best = ranked[0]
            helpful = [trial.changes[0] for trial in ranked if worth(trial) > worth(now) + _LEAST_GAIN]
            for _ in range(_ROUNDS - 1):
                joined = _joined(best, helpful)[: max(task.budget - runner.trials, 0)]
                if best is now or not joined:
                    break
                better = max(runner.run(base, joined), key=worth)
                if worth(better) <= worth(best) + _LEAST_GAIN:
                    break
                best = better
    figures = tuple(figures_of(trial.found, part) for trial in (now, best) for part in (first, second))
    return Proposal(
        now=now,
        best=best,
        holds=utility(figures[3], second, task.target, figures[1])
        >= utility(figures[1], second, task.target, figures[1]) - _LEAST_GAIN,
        parts=(first, second),
        figures=(figures[0], figures[1], figures[2], figures[3]),
        trials=runner.trials,
        near_us=near_us(times),
        seconds=clock.perf_counter() - began,
    )


def parts_of(times: Sequence[int], marks: Marks) -> tuple[Part, Part]:
    """The part to choose on and the part to check on.

    The cut is where the first has its share of what is known (verdicts or windows), or of the rows where little is known,
    but never in the first or last fifth of the rows. A stretch belongs to the part that it ends in.
    """
    ends = sorted(span.to_us for span in (*marks.wanted, *marks.unwanted))
    cut = times[int(len(times) * CHOSEN_ON)]
    if len(ends) >= 2:
        at = min(max(round(len(ends) * CHOSEN_ON), 1), len(ends) - 1)
        cut = (ends[at - 1] + ends[at]) // 2 + 1
    cut = min(max(cut, times[len(times) // 5]), times[len(times) * 4 // 5])
    begin, end = times[0], times[-1] + 1
    return (
        Part(begin, cut, marks.between(begin, cut), marks),
        Part(cut, end, marks.between(cut, end), marks),
    )


def near_us(times: Sequence[int]) -> int:
    """The time that `NEAR_ROWS` rows take, by the median interval; a second at least."""
    gaps = sorted(b - a for a, b in pairwise(times) if b > a)
    return max(NEAR_ROWS * (gaps[len(gaps) // 2] if gaps else 0), 1_000_000)


class _Runner:
    """Runs trials, and counts them."""

    def __init__(self, task: Task, path: Path, workers: int | None, tell: Callable[[int], None]) -> None:
        self._task = task
        self._path = path
        self._workers = workers or len(os.sched_getaffinity(0))
        self._tell = tell
        self._done = 0
        self.trials = 0

    def run(self, base: DetectSettings, several: Sequence[list[Change]]) -> list[Trial]:
        """A trial for each list of changes that is valid."""
        task = self._task
        valid = [(made, chosen) for chosen in several if (made := applied(base, chosen)) is not None]
        jobs = [Job(self._path, with_detectors(task.settings, task.source, made), task.source) for made, _ in valid]
        done = self._done
        found = run_all(run_trial, jobs, workers=min(self._workers, len(jobs)), tell=lambda rows: self._tell(done + rows))
        self._done += len(jobs) * len(task.events)
        self.trials += len(jobs)
        return [Trial(made, chosen, each) for (made, chosen), each in zip(valid, found, strict=True)]


def run_trial(job: Job, advance: Advance) -> list[Slim]:
    """What one configuration finds; ``advance`` is told the rows."""
    with job.events.open("rb") as lines:
        rows = [(number, decode_event(line)) for number, line in enumerate(lines)]
    return [slim(one.pattern) for one in rehearse(rows, job.settings, advance)]


def slim(pattern: Pattern) -> Slim:
    """A pattern as far as tuning needs it."""
    return Slim(
        pattern_id=pattern.pattern_id,
        time_us=us_from_iso(pattern.timestamp),
        entity=pattern.entity,
        type=pattern.type,
        kind=pattern.kind,
        detector=pattern.detector,
        field=pattern.contributors[0].field if pattern.contributors else "",
        confidence=pattern.details.confidence,
        summary=pattern.summary,
    )


def _joined(best: Trial, helpful: Sequence[Change]) -> list[list[Change]]:
    """The best settings with each of the most helpful changes of other keys."""
    taken = {change.key for change in best.changes}
    return [[*best.changes, one] for one in helpful if one.key not in taken][:_JOINED]
