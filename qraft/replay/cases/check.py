"""Holds what was found against what a case expects. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from qraft.model import Pattern, us_from_iso
from qraft.preprocess.times import parse_time
from qraft.replay.cases.model import Case, Expect
from qraft.replay.rehearse import Finding

_SHOWN = 5


def failures(case: Case, found: Sequence[Finding]) -> list[str]:
    """Why the case fails: one text a reason, its further lines indented; none where it passes."""
    reasons = [reason for expect in case.expect if (reason := _unmet(expect, found))]
    most = 0 if case.quiet else case.at_most
    if most is not None and len(found) > most:
        wanted = "nothing" if most == 0 else f"at most {most} in all"
        reasons.append(_with(f"expected {wanted}, found {len(found)}", found))
    return reasons


def told(one: Finding) -> str:
    """A finding in a line: where, what, by whom, how surely, and its sentence."""
    pattern = one.pattern
    lead = f", {pattern.contributors[0].field} first" if pattern.contributors else ""
    entity = f", entity {pattern.entity}" if pattern.entity else ""
    what = f"{pattern.type} {pattern.kind}".rstrip()
    return (
        f"row {one.row} ({pattern.timestamp[:19]}): {what} by {pattern.detector}{lead}{entity}, "
        f"confidence {pattern.details.confidence:.3f}: {pattern.summary}"
    )


def _unmet(expect: Expect, found: Sequence[Finding]) -> str:
    matching = [one for one in found if _is_there(expect, one) and not _differs(expect, one.pattern)]
    if len(matching) == expect.count or (expect.count is None and matching):
        return ""
    said = f"expected {_described(expect)}"
    if expect.count is not None and matching:
        return _with(f"{said}, found {len(matching)}", matching)
    if there := [one for one in found if _is_there(expect, one)]:
        lines = [f"{told(one)} (not {', '.join(_differs(expect, one.pattern))})" for one in there[:_SHOWN]]
        return "\n".join([f"{said}, found there instead:", *(f"  {line}" for line in lines)])
    if like := [one for one in found if not _differs(expect, one.pattern)]:
        return _with(f"{said}, found elsewhere", like)
    return _with(f"{said}, found", found) if found else f"{said}, found no pattern at all"


def _with(said: str, found: Sequence[Finding]) -> str:
    more = [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "\n".join([f"{said}:", *(f"  {told(one)}" for one in found[:_SHOWN]), *more])


def _is_there(expect: Expect, one: Finding) -> bool:
    if expect.row is not None:
        return expect.row <= one.row <= expect.row + expect.within
    if expect.rows:
        return expect.rows[0] <= one.row <= expect.rows[1]
    if expect.times:
        return parse_time(expect.times[0]) <= us_from_iso(one.pattern.timestamp) <= parse_time(expect.times[1])
    return True


def _differs(expect: Expect, pattern: Pattern) -> list[str]:
    """In what a pattern is not what is expected, in the words of the case."""
    lead = pattern.contributors[0] if pattern.contributors else None
    fields = {lead.field, lead.origin} if lead is not None else set()
    checks = (
        (expect.type is None or pattern.type == expect.type, f"type {expect.type}"),
        (not expect.kind or pattern.kind == expect.kind, f"kind {expect.kind}"),
        (not expect.detector or pattern.detector == expect.detector, f"detector {expect.detector}"),
        (not expect.field or expect.field in fields, f"field {expect.field} first"),
        (expect.entity is None or pattern.entity == expect.entity, f"entity {expect.entity!r}"),
        (
            expect.confidence is None or pattern.details.confidence >= expect.confidence,
            f"confidence {expect.confidence} or more",
        ),
    )
    return [what for holds, what in checks if not holds]


def _described(expect: Expect) -> str:
    count = "a" if expect.count is None else "no" if expect.count == 0 else f"exactly {expect.count}"
    what = " ".join(part for part in (expect.type, expect.kind) if part) or "pattern"
    by = f" by {expect.detector}" if expect.detector else ""
    lead = f" with {expect.field} first" if expect.field else ""
    entity = f" of entity {expect.entity!r}" if expect.entity is not None else ""
    sure = f" of confidence {expect.confidence} or more" if expect.confidence is not None else ""
    return f"{count} {what}{by}{lead}{entity}{sure}{_place(expect)}"


def _place(expect: Expect) -> str:
    if expect.row is not None:
        return f" within {expect.within} rows of row {expect.row}" if expect.within else f" at row {expect.row}"
    if expect.rows:
        return f" in rows {expect.rows[0]} to {expect.rows[1]}"
    return f" from {expect.times[0]} to {expect.times[1]}" if expect.times else ""
