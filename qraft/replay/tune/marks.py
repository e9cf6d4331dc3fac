"""How good the findings of a trial are: against verdicts, against labels, or by their number alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

Mode = Literal["verdicts", "labels", "volume"]
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Slim:
    """A finding, as far as it is compared and shown. ``entity`` is empty where the source is not split."""

    pattern_id: str
    time_us: int
    entity: str
    type: str
    kind: str
    detector: str
    field: str
    confidence: float
    summary: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends in it, UTC microseconds. ``entity`` and ``detector`` are None where it holds for all."""

    from_us: int
    to_us: int
    entity: str | None = None
    detector: str | None = None

    def holds(self, one: Slim) -> bool:
        """Whether a finding lies in it."""
        there = self.from_us <= one.time_us <= self.to_us
        return there and self.entity in (None, one.entity) and self.detector in (None, one.detector)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known about the stream.

    Attributes:
        mode: where it comes from.
        wanted: stretches in which something must be found: confirmed patterns, labelled windows.
        unwanted: stretches in which nothing may be: patterns that an operator called false.
    """

    mode: Mode
    wanted: tuple[Span, ...] = ()
    unwanted: tuple[Span, ...] = ()

    def within(self, first_us: int, last_us: int) -> Marks:
        """Those that touch a stretch of time, cut to it."""

        def cut(spans: Sequence[Span]) -> tuple[Span, ...]:
            return tuple(
                replace(one, from_us=max(one.from_us, first_us), to_us=min(one.to_us, last_us))
                for one in spans
                if one.from_us <= last_us and one.to_us >= first_us
            )

        return Marks(self.mode, cut(self.wanted), cut(self.unwanted))

    def between(self, from_us: int, until_us: int) -> Marks:
        """Those whose end lies in a part of time, the end excluded."""
        return Marks(
            self.mode,
            tuple(one for one in self.wanted if from_us <= one.to_us < until_us),
            tuple(one for one in self.unwanted if from_us <= one.to_us < until_us),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the stream's time, the end excluded, UTC microseconds.

    Attributes:
        marks: what is known about it: the stretches that end in it.
        known: what is known about the whole stream.
    """

    from_us: int
    until_us: int
    marks: Marks
    known: Marks

    @property
    def mode(self) -> Mode:
        """What it can be judged by: labels need a window in it, verdicts a verdict."""
        return self.marks.mode if self.marks.wanted or (self.marks.unwanted and self.marks.mode == "verdicts") else "volume"

    @property
    def days(self) -> float:
        """How long it is."""
        return max(self.until_us - self.from_us, 1) / _DAY_US


@dataclass(frozen=True, slots=True)
class Figures:
    """What a trial found in a part.

    Attributes:
        findings: all of them; ``a_day`` the same a day.
        wanted: how many stretches something had to be found in, ``kept`` in how many it was.
        unwanted: how many had to stay quiet, ``gone`` how many did.
        outside: findings in no wanted stretch; ``others`` those of them in no unwanted one either.
    """

    findings: int
    a_day: float
    wanted: int
    kept: int
    unwanted: int
    gone: int
    outside: int
    others: int


def figures_of(found: Sequence[Slim], part: Part) -> Figures:
    """What ``found`` means in a part."""
    here = [one for one in found if part.from_us <= one.time_us < part.until_us]
    marks = part.marks
    outside = [one for one in here if not any(span.holds(one) for span in part.known.wanted)]
    return Figures(
        findings=len(here),
        a_day=len(here) / part.days,
        wanted=len(marks.wanted),
        kept=sum(any(span.holds(one) for one in found) for span in marks.wanted),
        unwanted=len(marks.unwanted),
        gone=sum(not any(span.holds(one) for one in found) for span in marks.unwanted),
        outside=len(outside),
        others=sum(not any(span.holds(one) for span in part.known.unwanted) for one in outside),
    )


def utility(figures: Figures, part: Part, target: float, now: Figures) -> float:
    """How good figures are; more is better.

    With labels: the harmonic mean of the share of windows found and the share of findings in windows. With verdicts: twice
    the share of confirmed patterns kept, plus the share of false positives gone, minus up to a half for findings beyond the
    target, minus up to a quarter for findings lost that nobody called false and that were not too many. Where nothing is
    known of the part: minus the findings beyond the target, in targets. A part too short for the target allows one.

    Args:
        figures: of the part.
        part: which.
        target: findings a day that are not too many.
        now: the figures of the settings in force on the same part.
    """
    allowed = max(target * part.days, 1.0)
    excess = max(figures.findings - allowed, 0.0) / allowed
    if part.mode == "volume":
        return -excess
    if part.mode == "labels":
        precise = 1.0 - figures.outside / figures.findings if figures.findings else 0.0
        found = figures.kept / figures.wanted
        return 2.0 * precise * found / (precise + found) if precise + found else 0.0
    kept = 2.0 * figures.kept / figures.wanted if figures.wanted else 0.0
    gone = figures.gone / figures.unwanted if figures.unwanted else 0.0
    due = min(now.others, allowed)
    lost = max(1.0 - figures.others / due, 0.0) if due else 0.0
    return kept + gone - min(excess, 1.0) / 2.0 - lost / 4.0


def difference(old: Sequence[Slim], new: Sequence[Slim], near_us: int) -> tuple[list[Slim], list[Slim]]:
    """What is only in ``old`` and what is only in ``new``: findings of one detector and entity less than ``near_us`` apart
    are the same one.
    """

    def without(some: Sequence[Slim], others: Sequence[Slim]) -> list[Slim]:
        return [
            one
            for one in some
            if not any(
                (one.detector, one.entity) == (other.detector, other.entity) and abs(one.time_us - other.time_us) < near_us
                for other in others
            )
        ]

    return without(old, new), without(new, old)
