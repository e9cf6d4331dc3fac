"""What is asked on the last line: a filter, a command, a time, a note. Pure but for the callables of whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Remark = tuple[str, bool]
"""What stands beside the text as it is typed, and whether it says that something is wrong."""

REMEMBERED = 50


def _nothing(_: str) -> None:
    return None


def _no_remark(_: str) -> Remark:
    return "", False


def _no_completions(_: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question.

    Attributes:
        label: what stands before the text.
        submit: takes the text; a sentence says why it cannot be taken, and the question stays.
        value: the text at first.
        change: called as the text changes.
        cancel: called when the question is given up.
        remark: what to say beside the text.
        complete: whole texts that the text so far may become, the likest first.
        name: questions of one name share what was answered before.
    """

    label: str
    submit: Callable[[str], str]
    value: str = ""
    change: Callable[[str], None] = _nothing
    cancel: Callable[[], None] = lambda: None
    remark: Callable[[str], Remark] = _no_remark
    complete: Callable[[str], Sequence[str]] = _no_completions
    name: str = ""


@dataclass(slots=True)
class Recall:
    """What was answered before, to be recalled with the up key; and completions, to be stepped through with tab."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    _at: int = 0
    _draft: str = ""
    _round: list[str] = field(default_factory=list)
    _turn: int = 0

    def begin(self, name: str) -> None:
        """A question of this name is asked."""
        self._at, self._draft, self._round = len(self.answers.get(name, [])), "", []

    def note(self, name: str, text: str) -> None:
        """A question was answered."""
        if text.strip():
            kept = [t for t in self.answers.get(name, []) if t != text]
            self.answers[name] = [*kept, text][-REMEMBERED:]

    def step(self, name: str, steps: int, text: str) -> str:
        """The answer before this one (steps -1), or after it; after the last comes what was being typed."""
        known = self.answers.get(name, [])
        if self._at == len(known):
            self._draft = text
        self._at = min(len(known), max(0, self._at + steps))
        return known[self._at] if self._at < len(known) else self._draft

    def complete(self, text: str, offered: Sequence[str]) -> str:
        """The next of the completions; asked again on what it gave, the one after."""
        if self._round and text == self._round[self._turn]:
            self._turn = (self._turn + 1) % len(self._round)
        else:
            self._round, self._turn = list(offered), 0
        return self._round[self._turn] if self._round else text
