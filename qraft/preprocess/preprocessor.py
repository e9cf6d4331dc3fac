"""One source's events made into rows by its steps, in micro-batches, with the same result however they are cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from qraft.config.sources import SourceSettings
from qraft.config.sources.steps import FillStep, FilterStep
from qraft.config.sources.steps_features import FeaturesStep
from qraft.config.sources.steps_window import WindowStep
from qraft.model import CleanEvent, Event
from qraft.preprocess.cleaner import Admitted, Cleaner, Rejected
from qraft.preprocess.fields import LARGEST, MAX_FIELDS, FieldFilter
from qraft.preprocess.intake import Intake, Own, Row, frame
from qraft.preprocess.operators.base import ENTITY, INDEX, OWN, ROW_ID, TIME, Operator
from qraft.preprocess.operators.making import make_operator
from qraft.preprocess.operators.stateless import Stateless
from qraft.preprocess.outcome import Outcome, cleaner_state, steps_digest
from qraft.preprocess.plan import plan, renamed
from qraft.preprocess.values import Kind

_LONGEST_REASON: Final = 300


class Preprocessor:
    """Takes one source's events in order, and does what its steps say.

    The universal step comes first, event by event: repeats, time, lateness. Then the operators work on a frame of what is
    left, and the finite numbers that are watched become rows. An event whose row an operator cannot work on is a dead
    letter.
    """

    def __init__(self, source: str, settings: SourceSettings) -> None:
        self._source = source
        self._cleaner = Cleaner(source, settings)
        self._given_up = 0
        self._settings = settings
        self._set_up(settings)

    @property
    def dropped(self) -> int:
        """Values left out since the start: not finite, out of range, of another type than their field, beyond a bound."""
        return self._given_up + self._intake.dropped + sum(_given_up(operator) for operator in self._operators)

    @property
    def evicted(self) -> int:
        """Entities whose past the features forgot to make room for others, since the start."""
        return sum(getattr(operator, "evicted", 0) for operator in self._operators)

    @property
    def shortened(self) -> int:
        """Values that left a rolling duration early because it held too many, since the start."""
        return sum(getattr(operator, "shortened", 0) for operator in self._operators)

    @property
    def origins(self) -> dict[str, str]:
        """Of which field of the source each feature is."""
        known: dict[str, str] = {}
        for operator in self._operators:
            known = {**known, **operator.origins(known)}
        return {name: origin for name, origin in known.items() if origin and origin != name}

    def configure(self, settings: SourceSettings) -> None:
        """Takes new settings. What the steps have seen stays unless they, or what time and entity are, have changed."""
        before = self._settings
        self._cleaner.configure(settings)
        if self._key(settings) != self._key(before):
            self._given_up = self.dropped
            self._set_up(settings)
        else:
            self._settings = settings
            self._watch(settings)

    def take(self, events: Sequence[Event]) -> list[Outcome]:
        """What became of each event."""
        outcomes: list[Outcome] = [[] for _ in events]
        piece = _Piece(self._intake.schema())
        for at, event in enumerate(events):
            admitted = self._cleaner.admit(event)
            if not isinstance(admitted, Admitted):
                outcomes[at] = admitted
                continue
            dropped = self._intake.dropped
            row, fresh = self._intake.read(event.payload)
            if fresh:  # its row, and all that follow, are in frames with more columns
                self._work(piece, events, outcomes)
                self._intake.admit(fresh)
                piece = _Piece(self._intake.schema())
            piece.own.append((at, admitted.time_us, admitted.entity, admitted.watermark, event.event_id))
            piece.rows.append(row)
            piece.dropped.append(self._intake.dropped > dropped)
        self._work(piece, events, outcomes)
        return outcomes

    def state(self) -> dict[str, Any]:
        """What was seen, as plain values. The steps' part belongs to the settings it was made with."""
        return {
            "cleaner": self._cleaner.state(),
            "key": self._key(self._settings),
            "given_up": self._given_up,
            "intake": self._intake.state(),
            "operators": [operator.state() for operator in self._operators],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` gave; of other steps, and of a `Cleaner`, what is common."""
        self._cleaner.load(cleaner_state(state))
        if state.get("key") != self._key(self._settings):
            return
        self._given_up = state["given_up"]
        self._intake.load(state["intake"])
        for operator, one in zip(self._operators, state["operators"], strict=True):
            operator.load(one)

    def forget_time(self) -> None:
        """Lets the watermark, and all that the steps have seen, start again."""
        self._cleaner.forget_time()
        self._given_up = self.dropped
        self._set_up(self._settings)

    def _set_up(self, settings: SourceSettings) -> None:
        self._settings = settings
        steps = settings.steps
        needs = plan(steps)
        self._intake = Intake(needs.declared, needs.reserved, needs.wanted)
        self._operators: list[Operator] = [
            make_operator(step, self._source, read) for step, read in zip(steps, needs.read, strict=True)
        ]
        windows = (at for at, step in enumerate(steps) if isinstance(step, WindowStep))
        self._filters = [at for at in range(next(windows, len(steps))) if isinstance(steps[at], FilterStep)]
        self._warms_up = any(isinstance(step, WindowStep | FeaturesStep | FillStep) for step in steps)
        self._watch(settings)

    def _watch(self, settings: SourceSettings) -> None:
        unwatched = renamed((settings.time, settings.entity), settings.steps)
        self._watched = FieldFilter(settings.fields, settings.exclude, unwatched)

    def _key(self, settings: SourceSettings) -> list[str]:
        return [steps_digest(settings.steps), settings.time, settings.entity]

    def _work(self, piece: _Piece, events: Sequence[Event], outcomes: list[Outcome]) -> None:
        """Does the steps on a piece of the batch, and writes what became of its events."""
        if not piece.rows:
            return
        faults: dict[int, str] = {}
        late: set[int] = set()
        filtered: set[int] = set()
        rows = frame(piece.own, piece.rows, piece.schema)
        for at, (operator, step) in enumerate(zip(self._operators, self._settings.steps, strict=True)):
            before = rows
            rows = self._step(operator, rows, f"steps[{at}] ({step.do})", faults, late)
            if at in self._filters and rows.height < before.height:
                filtered.update(set(before.get_column(INDEX).to_list()).difference(rows.get_column(INDEX).to_list()))
            if rows.is_empty():
                break
        made: dict[int, list[CleanEvent]] = {}
        for index, clean in self._cleaned(rows):
            made.setdefault(index, []).append(clean)
        for (index, *_), row, dropped in zip(piece.own, piece.rows, piece.dropped, strict=True):
            event = events[index]
            if index in made:
                self._given_up += index in faults  # another of its rows
                outcomes[index] = self._judged(event, made[index], row, dropped)
            elif index in faults:
                outcomes[index] = self._cleaner.dead(event, faults[index])
            elif index in late:
                outcomes[index] = Rejected.LATE
            elif index in filtered:
                outcomes[index] = Rejected.FILTERED

    def _step(
        self, operator: Operator, rows: pl.DataFrame, name: str, faults: dict[int, str], late: set[int]
    ) -> pl.DataFrame:
        """One step on a frame. Where it fails, it is done row by row, and the rows it fails on are left out."""
        try:
            out = operator.take(rows)
        except Exception:  # values may be anything, and polars' errors are of many kinds
            pieces = list(self._one_by_one(operator, rows, name, faults, late))
            return pl.concat(pieces, how="diagonal") if pieces else rows.clear()
        late.update(getattr(operator, "late", ()))
        return out

    def _one_by_one(
        self, operator: Operator, rows: pl.DataFrame, name: str, faults: dict[int, str], late: set[int]
    ) -> Iterator[pl.DataFrame]:
        whole = rows.partition_by(INDEX, maintain_order=True)  # an operator that remembers takes an event's rows together
        parts = (
            [part[at : at + 1] for part in whole for at in range(part.height)] if isinstance(operator, Stateless) else whole
        )
        for part in parts:
            index = part.get_column(INDEX)[0]
            try:
                yield operator.take(part)
            except Exception as error:  # as above
                said = f"{name}: {str(error).split(chr(10))[0] or type(error).__name__}"
                faults.setdefault(index, said[:_LONGEST_REASON])
            else:
                late.update(getattr(operator, "late", ()))

    def _cleaned(self, rows: pl.DataFrame) -> Iterator[tuple[int, CleanEvent]]:
        """Each row with the event that caused it. Fields are in order of their names, which no cut changes."""
        fields: list[dict[str, float]] = [{} for _ in range(rows.height)]
        for name, dtype in sorted(rows.schema.items()):
            if name in OWN or dtype != pl.Float64 or not self._watched(name):
                continue
            for row, value in zip(fields, rows.get_column(name).to_list(), strict=True):
                if value is None:
                    continue
                if -LARGEST <= value <= LARGEST and len(row) < MAX_FIELDS:
                    row[name] = value + 0.0
                else:
                    self._given_up += 1
        own = (rows.get_column(name).to_list() for name in (INDEX, ROW_ID, ENTITY, TIME))
        for index, row_id, entity, time_us, row in zip(*own, fields, strict=True):
            yield (
                index,
                CleanEvent(event_id=row_id, source=self._source, entity=entity, time_us=time_us, fields=row),
            )

    def _judged(self, event: Event, made: list[CleanEvent], row: Row, dropped: bool) -> Outcome:
        """The rows; but an event that is no reading, as a heartbeat is, is a dead letter rather than an empty row."""
        if len(made) > 1 or made[0].fields or made[0].event_id != event.event_id or dropped:
            return made
        numbers = self._warms_up and any(type(value) is float for value in row.values())
        if numbers or self._cleaner.gap(event.payload):
            return made
        return self._cleaner.dead(event, self._cleaner.no_numbers())


class _Piece:
    """Rows of one batch that have the same columns."""

    __slots__ = ("dropped", "own", "rows", "schema")

    def __init__(self, schema: dict[str, Kind]) -> None:
        self.schema = schema
        self.own: list[Own] = []
        self.rows: list[Row] = []
        self.dropped: list[bool] = []


def _given_up(operator: Operator) -> int:
    given_up: int = getattr(operator, "given_up", 0)
    return given_up
