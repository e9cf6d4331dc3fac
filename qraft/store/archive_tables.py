"""How each table is archived: its rows' id and order, how long they stay, and how a day of it is deleted. SQL only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from qraft.config.store import StoreSettings

ALL: Final = "all"
ORDINARY: Final = "ordinary"
IMPORTANT: Final = "important"


@dataclass(frozen=True, slots=True)
class ArchiveTable:
    """One table.

    Attributes:
        name: its name.
        id: the column by which repeats collapse.
        order: the columns by which its rows are sorted, so that they can be read back as they came.
        kinds: for each kind of rows the condition that picks them.
        daily: whether a partition is a day, so that it can be dropped.
        version: whether rows change and have versions.
    """

    name: str
    id: str
    order: tuple[str, ...]
    kinds: Mapping[str, str]
    daily: bool = True
    version: bool = False

    def days(self, kind: str, settings: StoreSettings) -> int:
        """How long rows of a kind stay."""
        long = kind == IMPORTANT or self.name == "pattern_feedback"
        return settings.important_days if long else settings.retention_days

    def present(self, database: str) -> str:
        """A select of the days of which it holds rows."""
        if not self.daily:
            return f"SELECT DISTINCT toDate(ingested_at) FROM {database}.{self.name}"
        return (
            "SELECT DISTINCT toDate(partition) FROM system.parts "
            f"WHERE database = '{database}' AND table = '{self.name}' AND active AND rows > 0"
        )

    def marks(self, database: str, day: date) -> str:
        """A select of rows and digest of each kind, in the order of ``kinds``; the order of rows does not count."""
        row = f"({self.id}, version)" if self.version else self.id
        parts = ", ".join(f"countIf({when}), sumIf(sipHash64({row}), {when})" for when in self.kinds.values())
        return f"SELECT {parts} FROM {self.rows(database, day)}"

    def rows(self, database: str, day: date) -> str:
        """The rows of a day, repeats left out, as they stand behind FROM."""
        return f"{database}.{self.name} FINAL WHERE toDate(ingested_at) = '{day}'"

    def delete(self, database: str, day: date, kind: str) -> str:
        """The statement that deletes a kind of rows of a day, and returns when they are gone.

        Where rows have versions all of them go, so that none before the last comes back.
        """
        if self.daily:
            return f"ALTER TABLE {database}.{self.name} DROP PARTITION '{day}'"
        which = (
            ""
            if kind == ALL
            else f" AND {self.id} IN (SELECT {self.id} FROM {self.rows(database, day)} AND {self.kinds[kind]})"
        )
        return (
            f"ALTER TABLE {database}.{self.name} DELETE WHERE toDate(ingested_at) = '{day}'{which} "
            "SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"
        )


TABLES: Final = {
    table.name: table
    for table in (
        ArchiveTable("raw_events", "event_id", ("ingested_at", "seq", "position", "timestamp", "event_id"), {ALL: "1"}),
        ArchiveTable("clean_events", "event_id", ("ingested_at", "source", "entity", "timestamp", "event_id"), {ALL: "1"}),
        ArchiveTable(
            "pattern_events",
            "pattern_id",
            ("ingested_at", "timestamp", "pattern_id"),
            {ORDINARY: "NOT important", IMPORTANT: "important"},
            daily=False,
            version=True,
        ),
        ArchiveTable("pattern_feedback", "feedback_id", ("ingested_at", "position"), {ALL: "1"}, daily=False),
        ArchiveTable("dead_letters", "dead_id", ("ingested_at", "dead_id"), {ALL: "1"}),
    )
}
"""Every table that can be archived, by name."""

Form = Literal["plain", "uuid", "hex"]
"""How a column stands in a Parquet file: as it is, a UUID as text, or bytes that need not be text as hex digits."""


def form_of(column: str, kind: str) -> Form:
    """How a column of this ClickHouse type is kept."""
    if kind == "UUID":
        return "uuid"
    return "hex" if column == "original" else "plain"


def selected(columns: Sequence[tuple[str, str]]) -> str:
    """The select list of columns, each a name and a type."""
    shown = {"plain": "`{}`", "uuid": "toString(`{}`) AS `{}`", "hex": "hex(`{}`) AS `{}`"}
    return ", ".join(shown[form_of(name, kind)].replace("{}", name) for name, kind in columns)
