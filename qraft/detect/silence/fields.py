"""The fields of an entity's rows, numbered, and how long each has been there or away."""

from __future__ import annotations

from typing import Final

MAX_FIELDS: Final = 256
"""Fields that are followed; the one that has been away longest gives way."""

_LAYOUTS: Final = 64


class Fields:
    """Numbers the fields of one entity; about 200 bytes a field.

    For each row ``row`` is raised by one, and `change` called where its fields are not ``known``: both by whoever looks at
    the row, since a call costs more than they do.

    Attributes:
        row: rows so far.
        known: the fields of the row before, in its order.
        names: each field's name, by its number; a number is given anew when its field gave way.
        layout: the numbers of this row's fields, in the row's order.
        gone: for the fields that are not in this row, by number: the last row they were in. Who looks at ``came`` takes
            those that came out of it.
        left: the fields that were in the row before and are not in this one.
        came: the fields that are in this row and were not in the one before.
        renewed: numbers given to another field at this row.
    """

    __slots__ = (
        "_entered",
        "_index",
        "_layouts",
        "_present",
        "came",
        "gone",
        "known",
        "layout",
        "left",
        "names",
        "renewed",
        "row",
    )

    def __init__(self) -> None:
        self.row = 0
        self.known: tuple[str, ...] = ()
        self.names: list[str] = []
        self.layout: list[int] = []
        self.gone: dict[int, int] = {}
        self.left: list[int] = []
        self.came: list[int] = []
        self.renewed: list[int] = []
        self._index: dict[str, int] = {}
        self._layouts: dict[tuple[str, ...], list[int]] = {}
        self._entered: list[int] = []
        self._present: list[int] = []

    def present(self, field: int) -> int:
        """In how many rows a field was."""
        here = 0 if field in self.gone else self.row - self._entered[field] + 1
        return self._present[field] + here

    def change(self, names: tuple[str, ...]) -> None:
        """Takes a row with other fields than the one before."""
        row, before = self.row, self.layout
        self.renewed = []
        layout = self._layouts.get(names)
        if layout is None:
            layout = [self._number(name, names) for name in names]
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[names] = layout
        here, there = set(layout), set(before)
        self.left = [field for field in before if field not in here]
        self.came = [field for field in layout if field not in there]
        for field in self.left:
            self.gone[field] = row - 1
            self._present[field] += row - self._entered[field]
        for field in self.came:
            self._entered[field] = row
        self.layout, self.known = layout, names

    def _number(self, name: str, names: tuple[str, ...]) -> int:
        found = self._index.get(name)
        if found is not None:
            return found
        if len(self.names) < MAX_FIELDS:
            self.names.append(name)
            self._entered.append(self.row)
            self._present.append(0)
            self._index[name] = len(self.names) - 1
            return len(self.names) - 1
        kept = set(names)
        away = [(self.gone.get(at, self.row), at) for at, known in enumerate(self.names) if known not in kept]
        _, field = min(away)
        self._layouts.clear()
        del self._index[self.names[field]]
        self.gone.pop(field, None)
        if field in self.layout:
            self.layout = [at for at in self.layout if at != field]
        self.names[field], self._present[field] = name, 0
        self._index[name] = field
        self.renewed.append(field)
        return field
