"""One row for each stretch of event time and entity: tumbling and hopping windows.

When a window closes: an event's rows are added first; then every window whose end plus the allowed lateness the event's
watermark has reached is closed, and its row belongs to that event. A row is late when an event before had closed the last
of its windows. Both depend on the events alone, and a window fed by another takes in what closes at the same event.

The time of a made row is the last microsecond that belongs to the window: by then its values could be known, and a longer
window, or the day of the week, sorts it to where its rows came from.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from qraft.config.duration import microseconds
from qraft.config.sources.steps_window import WindowStep
from qraft.model import derive_id
from qraft.preprocess.operators.base import ENTITY, INDEX, ROW_ID, TIME, WATERMARK
from qraft.preprocess.operators.numeric import numbers
from qraft.preprocess.operators.window_pane import Pane, Plan

ROWS: Final = "rows"
"""The made field that says how many rows the window had."""

_BEFORE_ALL: Final = -(2**63)
_AFTER_ALL: Final = 2**63


class _Entity:
    __slots__ = ("panes", "rows")

    def __init__(self) -> None:
        self.panes: dict[int, Pane] = {}
        self.rows = 0


class WindowOperator:
    """Takes one source's rows in order, gives the rows of the windows they close: by end, then by entity.

    A row's fields are ``rows`` and the made ones, always all of them; one is null where the window had no value of its field
    (``count`` is 0 then), and ``std`` below two. Numbers count, text and booleans do not.

    Attributes:
        late: ``INDEX`` of the rows of the last `take` that came too late for any window.
        given_up: rows that the bounds kept out of their windows, or took out again, since the start.
    """

    def __init__(self, settings: WindowStep, source: str) -> None:
        self._source = source
        self._every = microseconds(settings.every)
        self._length = self._every if settings.length is None else microseconds(settings.length)
        self._hold = self._length + microseconds(settings.allowed_lateness)
        self._max_entities = settings.max_entities
        self._max_open = settings.max_open
        self._plan = Plan(settings)
        own = {INDEX: pl.UInt32(), TIME: pl.Int64(), ENTITY: pl.String(), WATERMARK: pl.Int64(), ROW_ID: pl.String()}
        self._empty = pl.DataFrame(schema={**own, **dict.fromkeys([ROWS, *self._plan.names], pl.Float64())})
        self._max_rows = settings.max_values if self._plan.keeps_values else _AFTER_ALL
        self.late: list[int] = []
        self.given_up = 0
        self._mark = _BEFORE_ALL
        self._entities: dict[str, _Entity] = {}
        self._windows: dict[int, set[str]] = {}
        self._starts: list[int] = []
        self._closes_next = _AFTER_ALL

    def take(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of the windows that these rows close."""
        self.late = []
        made: list[list[Any]] = []
        indexes, marks = frame[INDEX].to_list(), frame[WATERMARK].to_list()
        values = zip(*(numbers(frame, name) for name in self._plan.columns), strict=True)
        rows = zip(indexes, marks, frame[TIME].to_list(), frame[ENTITY].to_list(), values, strict=True)
        for (index, mark, time, entity, row), following in zip(rows, [*indexes[1:], None], strict=False):
            self._add(index, time, entity, row)
            if index != following and mark > self._mark:
                self._mark = mark
                if mark >= self._closes_next:
                    self._close(index, made)
        return pl.DataFrame(made, schema=self._empty.schema, orient="row") if made else self._empty

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """Of which field of the source each made field is; ``rows`` is of none. No other field leaves a window."""
        return {made: before.get(field, field) for made, field in self._plan.names.items()}

    def state(self) -> dict[str, Any]:
        """The open windows, as plain values."""
        return {
            "mark": self._mark,
            "given_up": self.given_up,
            "entities": [
                [name, entity.rows, [[start, pane.state()] for start, pane in entity.panes.items()]]
                for name, entity in self._entities.items()
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave; the settings must be those it was made with."""
        self._entities, self._windows, self._starts, self._closes_next = {}, {}, [], _AFTER_ALL
        self._mark, self.given_up = state["mark"], state["given_up"]
        for name, rows, panes in state["entities"]:
            self._entities[name] = entity = _Entity()
            entity.rows = rows
            for start, saved in panes:
                entity.panes[start] = pane = Pane(self._plan)
                pane.load(saved)
                self._open(name, entity, start)

    def _add(self, index: int, time: int, name: str, row: tuple[float | None, ...]) -> None:
        start = time - time % self._every
        if start + self._hold <= self._mark:
            self.late.append(index)
            return
        entity = self._entities.pop(name, None) or _Entity()
        pane = entity.panes.get(start)
        if entity.rows >= self._max_rows or (pane is None and len(entity.panes) >= self._max_open):
            self._entities[name] = entity
            self.given_up += 1
            return
        if len(self._entities) >= self._max_entities:
            self._give_up_oldest()
        self._entities[name] = entity
        if pane is None:
            entity.panes[start] = pane = Pane(self._plan)
            self._open(name, entity, start)
        entity.rows += 1
        self._plan.add(pane, time, row)

    def _open(self, name: str, entity: _Entity, pane: int) -> None:
        """Opens the windows that hold a pane; those of the pane before are open already, but for one."""
        first = pane if pane - self._every in entity.panes else pane - self._length + self._every
        for start in range(first, pane + 1, self._every):
            if start + self._hold <= self._mark:
                continue
            if start not in self._windows:
                self._windows[start] = set()
                heapq.heappush(self._starts, start)
            self._windows[start].add(name)
        self._closes_next = self._starts[0] + self._hold

    def _close(self, index: int, made: list[list[Any]]) -> None:
        while self._starts and self._starts[0] + self._hold <= self._mark:
            start = heapq.heappop(self._starts)
            for name in sorted(self._windows.pop(start)):
                entity = self._entities[name]
                window = self._window(entity, start)
                row_id = derive_id("window", self._source, name, str(start), str(self._length))
                own = [index, start + self._length - 1, name, self._mark, row_id, float(window.rows)]
                made.append(own + self._plan.results(window))
                spent = entity.panes.pop(start, None)
                if spent is not None:
                    entity.rows -= spent.rows
                    if not entity.panes:
                        del self._entities[name]
        self._closes_next = self._starts[0] + self._hold if self._starts else _AFTER_ALL

    def _window(self, entity: _Entity, start: int) -> Pane:
        if self._length == self._every:
            return entity.panes[start]
        window = Pane(self._plan)
        for begin in sorted(begin for begin in entity.panes if start <= begin < start + self._length):
            window.merge(entity.panes[begin])
        return window

    def _give_up_oldest(self) -> None:
        name = next(iter(self._entities))
        entity = self._entities.pop(name)
        self.given_up += entity.rows
        for names in self._windows.values():
            names.discard(name)
