"""What operators said on patterns, in SQL: the rows as values, and the verdict in force, the last not taken back."""

from __future__ import annotations

from typing import Final

import msgspec

from qraft.model import ASIDES, Feedback, Scope, iso_from_us
from qraft.store.client import Row

FEEDBACK_COLUMNS: Final = (
    "feedback_id, pattern_id, verdict, toUnixTimestamp64Micro(timestamp), source, detector, note, user, undoes, scope, "
    "toUnixTimestamp64Micro(until)"
)
"""The columns of pattern_feedback that `feedback_of` reads, in its order."""

_NO_VERDICT: Final = ", ".join(f"'{word}'" for word in sorted({*ASIDES, "undo"}))


def feedback_of(row: Row) -> Feedback:
    """A feedback from the values of `FEEDBACK_COLUMNS`."""
    feedback_id, pattern_id, verdict, time_us, source, detector, note, user, undoes, scope, until_us = row
    return Feedback(
        feedback_id=feedback_id,
        pattern_id=pattern_id,
        verdict=verdict,
        timestamp=iso_from_us(time_us),
        source=source,
        detector=detector,
        note=note,
        user=user,
        undoes=undoes,
        scope=msgspec.json.decode(scope, type=Scope) if scope else None,
        until=iso_from_us(until_us) if until_us else "",
    )


def in_force(database: str, condition: str = "1") -> str:
    """A select of pattern_id, verdict, user, time_us and feedback_id: a row for each pattern that has a verdict in force.

    Each operator's last verdict counts until it is undone, and of several operators' the latest: so it is the last of all
    that were not undone. Order is arrival in the stream, not the operators' clocks. Mutes and notes are no verdicts.

    Args:
        database: its name.
        condition: which rows of pattern_feedback to look at; SQL of the caller's own making.
    """
    rows = f"(SELECT * FROM {database}.pattern_feedback FINAL WHERE {condition})"
    return f"""
        SELECT pattern_id, last.1 AS verdict, last.2 AS user, last.3 AS time_us, last.4 AS feedback_id
        FROM (
            SELECT
                pattern_id,
                argMax(
                    (toString(verdict), toString(user), toUnixTimestamp64Micro(timestamp), feedback_id),
                    (ingested_at, position)
                ) AS last
            FROM {rows}
            WHERE verdict NOT IN ({_NO_VERDICT}) AND feedback_id NOT IN (SELECT undoes FROM {rows} WHERE verdict = 'undo')
            GROUP BY pattern_id
        )"""
