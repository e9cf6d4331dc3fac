"""The last line while something is asked: label, text, remark."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from tui.state.prompt import Prompt, Recall
from tui.views.text import fit
from tui.widgets.line_view import LineView

TYPING = 12
"""Cells left free for what is typed next."""


class PromptInput(Input):
    """The text. Up and down recall what was answered before, tab completes, escape gives up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
        Binding("tab", "complete", show=False),
        Binding("escape", "give_up", show=False),
    ]

    class Key(Message):
        """One of the keys above was pressed."""

        def __init__(self, name: str, steps: int = 0) -> None:
            super().__init__()
            self.name = name
            self.steps = steps

    def action_recall(self, steps: int) -> None:
        """Recalls an answer."""
        self.post_message(self.Key("recall", steps))

    def action_complete(self) -> None:
        """Completes the text."""
        self.post_message(self.Key("complete"))

    def action_give_up(self) -> None:
        """Closes the question."""
        self.post_message(self.Key("give_up"))


class PromptLine(Container):
    """Asks one question at a time."""

    class Closed(Message):
        """The question was answered or given up."""

    class Changed(Message):
        """The text changed."""

    def __init__(self, *, ascii_only: bool, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._ascii = ascii_only
        self.prompt: Prompt | None = None
        self.recall = Recall()
        self._refusal = ""

    def compose(self) -> ComposeResult:
        """Label, text, remark."""
        yield LineView(ascii_only=self._ascii, id="prompt-label")
        box = PromptInput(id="prompt-text", select_on_focus=False, disabled=True)
        box.cursor_blink = False
        yield box
        yield LineView(ascii_only=self._ascii, id="prompt-remark")

    @property
    def text(self) -> str:
        """What is typed."""
        return self.query_one(PromptInput).value

    def ask(self, prompt: Prompt) -> None:
        """Opens a question."""
        self.prompt, self._refusal = prompt, ""
        self.recall.begin(prompt.name)
        label = f" {prompt.label} "
        view = self.query_one("#prompt-label", LineView)
        view.styles.width = cell_len(label)
        self.call_after_refresh(view.show, [((label, "key"),)])
        box = self.query_one(PromptInput)
        box.disabled = False
        box.value = prompt.value
        box.cursor_position = len(prompt.value)
        box.focus()

    def paint(self) -> None:
        """Brings the remark up to date."""
        if self.prompt is None:
            return
        text, bad = (self._refusal, True) if self._refusal else self.prompt.remark(self.text)
        note = self.query_one("#prompt-remark", LineView)
        label = self.query_one("#prompt-label", LineView).size.width
        room = max(self.size.width // 4, self.size.width - label - cell_len(self.text) - TYPING)
        width = min(cell_len(text) + 2, room)
        if note.size.width != width:
            note.styles.width = width
            self.call_after_refresh(self.paint)
        note.show([((fit(text, max(0, note.size.width - 1), right=True), "bad" if bad else "dim"),)])

    def close(self) -> None:
        """Closes the question."""
        self.prompt = None
        box = self.query_one(PromptInput)
        box.disabled = True
        self.screen.set_focus(None)
        self.post_message(self.Closed())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.prompt is not None:
            self._refusal = ""
            self.prompt.change(event.value)
            self.post_message(self.Changed())

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        prompt = self.prompt
        if prompt is None:
            return
        self._refusal = prompt.submit(event.value)
        if self._refusal:
            self.paint()
            return
        self.recall.note(prompt.name, event.value)
        if self.prompt is prompt:
            self.close()

    @on(PromptInput.Key)
    def _key(self, event: PromptInput.Key) -> None:
        event.stop()
        prompt, box = self.prompt, self.query_one(PromptInput)
        if prompt is None:
            return
        if event.name == "give_up":
            prompt.cancel()
            self.close()
            return
        if event.name == "recall":
            box.value = self.recall.step(prompt.name, event.steps, box.value)
        else:
            box.value = self.recall.complete(box.value, prompt.complete(box.value))
        box.cursor_position = len(box.value)
