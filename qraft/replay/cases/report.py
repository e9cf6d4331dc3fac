"""What became of test cases: lines for people, JUnit's XML for a build server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree

from qraft.replay.cases.run import Outcome


def lines(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    """A line a case below its file, the reasons below that, the totals at the end."""
    widest = min(max((len(one.name) for one in outcomes), default=0), 70)
    for path, group in groupby(outcomes, key=lambda one: one.path):
        yield str(path)
        for one in group:
            said = "PASSED" if one.passed else "ERROR " if one.error else "FAILED"
            yield f"  {said}  {one.name:{widest}}  {one.rows:>9,} rows  {one.patterns:>4} patterns  {one.seconds:6.1f} s"
            for reason in (*one.reasons, *((one.error,) if one.error else ())):
                yield from (f"          {line}" for line in reason.splitlines())
    yield f"{totals(outcomes)} in {seconds:.1f} s"


def totals(outcomes: Sequence[Outcome]) -> str:
    """How many passed, failed and could not be run."""
    counts = Counter("passed" if one.passed else "error" if one.error else "failed" for one in outcomes)
    words = ((counts["failed"], "failed"), (counts["error"], "could not be run"), (counts["passed"], "passed"))
    return ", ".join(f"{count} {word}" for count, word in words if count)


def junit(outcomes: Sequence[Outcome], seconds: float) -> bytes:
    """JUnit's XML as build servers read it: a suite a file, a testcase a case."""
    root = ElementTree.Element("testsuites", {"name": "qraft test", "time": f"{seconds:.3f}"} | _counts(outcomes))
    for path, group in groupby(outcomes, key=lambda one: one.path):
        cases = list(group)
        took = sum(one.seconds for one in cases)
        suite = ElementTree.SubElement(root, "testsuite", {"name": str(path), "time": f"{took:.3f}"} | _counts(cases))
        for one in cases:
            about = {"name": one.name, "classname": str(path), "file": str(path), "time": f"{one.seconds:.3f}"}
            case = ElementTree.SubElement(suite, "testcase", about)
            if one.error:
                _said(case, "error", one.error)
            elif one.reasons:
                _said(case, "failure", "\n".join(one.reasons))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    errors = sum(bool(one.error) for one in outcomes)
    failed = sum(not one.passed for one in outcomes) - errors
    return {"tests": str(len(outcomes)), "failures": str(failed), "errors": str(errors)}


def _said(case: ElementTree.Element, kind: str, text: str) -> None:
    safe = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)  # XML has no controls
    element = ElementTree.SubElement(case, kind, message=safe.splitlines()[0])
    element.text = safe
