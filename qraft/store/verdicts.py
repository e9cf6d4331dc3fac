"""The verdict in force on a pattern: the last that came and was not taken back."""

from __future__ import annotations


def in_force(database: str, condition: str = "1") -> str:
    """A select of pattern_id, verdict, user, time_us and feedback_id: a row for each pattern that has a verdict in force.

    Each operator's last verdict counts until it is undone, and of several operators' the latest: so it is the last of all
    that were not undone. Order is arrival in the stream, not the operators' clocks.

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
            WHERE verdict != 'undo' AND feedback_id NOT IN (SELECT undoes FROM {rows} WHERE verdict = 'undo')
            GROUP BY pattern_id
        )"""
