"""Settings that suit a stream better, searched by replaying it."""

from qraft.replay.tune.marks import Figures, Marks, Part, Slim, Span, difference
from qraft.replay.tune.material import file_task, stored_task
from qraft.replay.tune.search import Proposal, Task, Trial, tune
from qraft.replay.tune.space import value_at

__all__ = [
    "Figures",
    "Marks",
    "Part",
    "Proposal",
    "Slim",
    "Span",
    "Task",
    "Trial",
    "difference",
    "file_task",
    "stored_task",
    "tune",
    "value_at",
]
