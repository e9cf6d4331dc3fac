"""Which operator does which step."""

from __future__ import annotations

from collections.abc import Iterable

from qraft.config.sources.steps import CastStep, DeriveStep, EntityStep, FillStep, FilterStep, RenameStep, SelectStep, Step
from qraft.config.sources.steps_window import WindowStep
from qraft.preprocess.operators.base import Operator
from qraft.preprocess.operators.columns import Cast, Rename, Select, cast_fields
from qraft.preprocess.operators.expression import Derive, Entity, Filter
from qraft.preprocess.operators.features import FeaturesOperator
from qraft.preprocess.operators.fill import FillConstant, FillPrevious
from qraft.preprocess.operators.window import WindowOperator


def make_operator(step: Step, source: str, read: Iterable[str] = ()) -> Operator:  # noqa: PLR0911 - one return a step
    """The operator of a step of a source; ``read`` names the fields that a cast finds already read."""
    match step:
        case SelectStep():
            return Select(step)
        case RenameStep():
            return Rename(step)
        case CastStep():
            return Cast(cast_fields(step, read))
        case DeriveStep():
            return Derive(step)
        case FilterStep():
            return Filter(step)
        case EntityStep():
            return Entity(step)
        case FillStep():
            return FillConstant(step) if step.value is not None else FillPrevious(step)
        case WindowStep():
            return WindowOperator(step, source)
        case _:
            return FeaturesOperator(step)
