"""What a source's steps ask of the rows as they come in: which fields, and read as what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from qraft.config.expressions import columns, parse
from qraft.config.sources.steps import CastStep, DeriveStep, EntityStep, FillStep, FilterStep, RenameStep, SelectStep, Step
from qraft.config.sources.steps_features import FeaturesStep
from qraft.config.sources.steps_window import WindowStep
from qraft.preprocess.operators.columns import selected
from qraft.preprocess.values import Target


@dataclass(slots=True)
class Plan:
    """Attributes:
    declared: fields of the payload that are read as something from the start, so that a text such as "007" keeps its zeros.
    read: for each step, the fields of its own that `declared` has already read.
    reserved: fields of the payload that the steps name.
    wanted: which fields are needed; a select that comes early leaves the rest out from the start.
    """

    declared: dict[str, Target] = field(default_factory=dict)
    read: list[frozenset[str]] = field(default_factory=list)
    reserved: frozenset[str] = frozenset()
    wanted: Callable[[str], bool] = lambda _: True


def plan(steps: Sequence[Step]) -> Plan:
    """Follows the payload's fields through the steps, as far as they are the payload's own.

    A field is read as a cast says, or as text where it names the entity, from the start, unless a step before uses it.
    """
    made = Plan(wanted=_wanted(steps), reserved=frozenset(name for step in steps for name in _uses(step)))
    origin: dict[str, str | None] = {}
    used: set[str] = set()
    following = True
    for step in steps:
        done: set[str] = set()
        following = following and not isinstance(step, WindowStep | FeaturesStep)
        for name, target in _targets(step).items() if following else ():
            source = origin.get(name, name)
            if source is not None and source not in used and source not in made.declared:
                made.declared[source] = target
                done.add(name)
        made.read.append(frozenset(done))
        if isinstance(step, DeriveStep | FilterStep | EntityStep | FillStep):
            used.update(source for name in _uses(step) if (source := origin.get(name, name)) is not None)
        if isinstance(step, RenameStep):
            new = {name: origin.get(old, old) for name, old in step.fields.items()}
            origin |= dict.fromkeys(step.fields.values()) | new
        elif isinstance(step, DeriveStep):
            origin |= dict.fromkeys(step.fields)
    return made


def renamed(names: Iterable[str], steps: Sequence[Step]) -> tuple[str, ...]:
    """What these fields are called after the steps."""
    current = set(names)
    for step in steps:
        if isinstance(step, RenameStep):
            new = {name for name, old in step.fields.items() if old in current}
            current = (current - set(step.fields) - set(step.fields.values())) | new
    return tuple(sorted(current))


def _wanted(steps: Sequence[Step]) -> Callable[[str], bool]:
    needed: set[str] = set()
    for step in steps:
        if isinstance(step, SelectStep):
            patterns = (*step.fields, *needed)
            return lambda name: selected(patterns, name)
        if isinstance(step, RenameStep | WindowStep | FeaturesStep):
            break
        needed.update(_uses(step))
    return lambda _: True


def _targets(step: Step) -> dict[str, Target]:
    if isinstance(step, CastStep):
        return dict(step.fields)
    return dict.fromkeys(step.fields, "string") if isinstance(step, EntityStep) else {}


def _uses(step: Step) -> list[str]:  # noqa: PLR0911 - one return a kind of step
    """The fields that a step names and reads."""
    if isinstance(step, RenameStep):
        return list(step.fields.values())
    if isinstance(step, DeriveStep):
        return _read(*step.fields.values())
    if isinstance(step, FilterStep):
        return _read(step.expression)
    if isinstance(step, EntityStep):
        return step.fields if step.expression is None else _read(step.expression)
    if isinstance(step, WindowStep):
        return [*step.aggregate, *step.vwap, *step.vwap.values()]
    if isinstance(step, FeaturesStep):
        return list(step.of)
    return list(step.fields)


def _read(*expressions: str) -> list[str]:
    return [name for text in expressions for name in columns(parse(text))]
