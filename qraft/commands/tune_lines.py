"""How `qraft tune` says what it found: lines for people, plain values for scripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from qraft.commands.output import duration

if TYPE_CHECKING:
    from qraft.replay.tune import Proposal, Slim, Task

_SHOWN: Final = 8


def lines(stream: str, task: Task, proposal: Proposal, owner: str, verdicts: Mapping[str, str]) -> Iterator[str]:
    """The proposal in lines.

    Args:
        stream: what was tuned for, as the user named it.
        task: what was asked.
        proposal: what came of it.
        owner: the configured source whose detectors are changed; empty for [detect].
        verdicts: the verdicts in force, by pattern id.
    """
    first, second = proposal.parts
    span = duration((second.until_us - first.from_us) / 1e6)
    took = duration(proposal.seconds)
    yield f"{stream}: {len(task.events):,} rows over {span}; {proposal.trials} settings tried in {took}"
    yield _known(task)
    yield ""
    yield from _table(task, proposal)
    yield ""
    if not proposal.best.changes:
        yield "no change helps: the settings in force are the best of those tried"
        return
    yield "change" if proposal.holds else "the best on the first part is this change, but it does no good on the second:"
    yield from (f"  {key}  {_value(old)} -> {_value(new)}" for key, old, new in _changed(proposal))
    if not proposal.holds:
        yield "so nothing is proposed; more verdicts, or more rows (--rows), may tell more"
        return
    for title, found in zip(("would go", "would come"), _difference(proposal), strict=True):
        yield f"{title} ({len(found)})"
        yield from (f"  {_said(one, verdicts)}" for one in found[:_SHOWN])
        if len(found) > _SHOWN:
            yield f"  and {len(found) - _SHOWN} more"
    yield ""
    where = f"source {owner}" if owner else "every source that has no detectors of its own"
    yield f"to have it, add to the configuration (it then holds for {where}), or give --write:"
    yield ""
    yield from toml_of(proposal, owner).splitlines()


def as_builtins(task: Task, proposal: Proposal, owner: str) -> dict[str, Any]:
    """The proposal as plain values, for JSON."""
    gone, came = _difference(proposal)
    names = ("now_chosen_on", "now_checked_on", "best_chosen_on", "best_checked_on")
    return {
        "mode": task.marks.mode,
        "rows": len(task.events),
        "trials": proposal.trials,
        "seconds": round(proposal.seconds, 3),
        "proposed": bool(proposal.best.changes) and proposal.holds,
        "holds": proposal.holds,
        "changes": [{"key": key, "now": old, "proposed": new} for key, old, new in _changed(proposal)],
        "figures": {name: dataclasses.asdict(figures) for name, figures in zip(names, proposal.figures, strict=True)},
        "would_go": [dataclasses.asdict(one) for one in gone],
        "would_come": [dataclasses.asdict(one) for one in came],
        "toml": toml_of(proposal, owner) if proposal.best.changes and proposal.holds else "",
    }


def toml_of(proposal: Proposal, owner: str) -> str:
    """What to write: every detector setting that is not the default, since a source's own table stands for the whole."""
    import tomli_w

    from qraft.config.detect import DetectSettings

    settings = _beyond(proposal.best.detect.model_dump(mode="json"), DetectSettings().model_dump(mode="json"))
    table: dict[str, Any] = {"detect": settings}
    return tomli_w.dumps({"sources": {owner: table}} if owner else table)


def _beyond(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            if below := _beyond(value, defaults.get(key, {})):
                out[key] = below
        elif value != defaults.get(key):
            out[key] = value
    return out


def _known(task: Task) -> str:
    marks = task.marks
    if marks.mode == "verdicts":
        return f"known: {len(marks.wanted)} confirmed, {len(marks.unwanted)} false positives among the verdicts on it"
    if marks.mode == "labels":
        return f"known: {len(marks.wanted)} labelled windows"
    return (
        f"known: no verdicts, so this is by volume alone: at most {task.target:g} findings a day (--target); "
        "whether they are right, it cannot tell"
    )


def _table(task: Task, proposal: Proposal) -> Iterator[str]:
    now_first, now_second, best_first, best_second = proposal.figures
    first, second = proposal.parts
    yield f"{'':24}  {'chosen on':^25}  {'checked on':^25}"
    yield f"{'':24}  {duration(first.days * 86_400):^25}  {duration(second.days * 86_400):^25}"
    yield f"{'':24}  {'now':>12} {'proposed':>12}  {'now':>12} {'proposed':>12}"
    rows: list[tuple[str, Any]] = [
        ("findings", lambda f: f"{f.findings:,}"),
        ("findings a day", lambda f: f"{f.a_day:,.2f}"),
    ]
    if task.marks.mode == "verdicts":
        rows.insert(0, ("false positives gone", lambda f: _of(f.gone, f.unwanted)))
        rows.insert(0, ("confirmed kept", lambda f: _of(f.kept, f.wanted)))
    elif task.marks.mode == "labels":
        rows.insert(0, ("findings outside", lambda f: f"{f.outside:,}"))
        rows.insert(0, ("windows found", lambda f: _of(f.kept, f.wanted)))
    for name, said in rows:
        cells = [said(figures) for figures in (now_first, best_first, now_second, best_second)]
        yield f"{name:24}  {cells[0]:>12} {cells[1]:>12}  {cells[2]:>12} {cells[3]:>12}"
    for part, said in ((first, "chosen"), (second, "checked")):
        if part.mode != task.marks.mode:
            yield f"nothing is known about the part it was {said} on, so there only the findings a day counted"


def _of(count: int, whole: int) -> str:
    return f"{count} of {whole}" if whole else "-"


def _changed(proposal: Proposal) -> list[tuple[str, Any, Any]]:
    from qraft.replay.tune import value_at

    now = proposal.now.detect
    return [(f"detect.{one.key}", value_at(now, one.key), one.value) for one in proposal.best.changes]


def _difference(proposal: Proposal) -> tuple[Sequence[Slim], Sequence[Slim]]:
    from qraft.replay.tune import difference

    return difference(proposal.now.found, proposal.best.found, proposal.near_us)


def _said(one: Slim, verdicts: Mapping[str, str]) -> str:
    from qraft.model import iso_from_us

    verdict = verdicts.get(one.pattern_id, "")
    what = f"{one.type} {one.kind}".rstrip()
    entity = f" {one.entity}" if one.entity else ""
    return (
        f"{iso_from_us(one.time_us)[:19].replace('T', ' ')}  {what} by {one.detector}{entity}  {one.confidence:.2f}"
        f"{f'  [{verdict}]' if verdict else ''}  {one.summary}"
    )


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
