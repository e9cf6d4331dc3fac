"""Keys are handled strictly one after the other, however fast they come.

A link that stalls hands over what was typed meanwhile at once. Textual gives each key to the widget that has the focus when
the key arrives; so ``i`` and the text of the note behind it would all go to the list, whose keys are verdicts, before the
line for the note is open. Here a key waits until all that the one before it set off is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.driver import Driver

ROUNDS = 3
"""How often it is asked from the focus up to the app: a key comes up that way, then what its action says (such as an answer,
which closes its question), then what follows from that."""
PATIENCE_SECONDS = 0.3
"""A widget that is gone does not answer; the next key waits no longer than that."""


class TypedInOrder(App[int]):
    """An app whose keys wait for each other."""

    def __init__(self, driver_class: type[Driver] | None) -> None:
        super().__init__(driver_class=driver_class)
        self._typed: deque[events.Key] = deque()
        self._number = 0

    async def on_event(self, event: events.Event) -> None:
        """Takes keys in their order, all else as it comes."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed.append(event)
        if len(self._typed) == 1:
            await self._handle()

    async def _handle(self) -> None:
        await super().on_event(self._typed[0])
        self._number += 1
        number = self._number
        self.set_timer(PATIENCE_SECONDS, lambda: self._done(number))
        self._round(number, ROUNDS)

    def _round(self, number: int, left: int) -> None:
        """Asks each from the focus up to the app in turn to answer when it has nothing older to do."""
        if left == 0:
            self.call_later(self._done, number)
            return
        lowest = self.focused or self.screen
        self._ask([lowest, *lowest.ancestors], number, left)

    def _ask(self, nodes: Sequence[DOMNode], number: int, left: int) -> None:
        if nodes:
            nodes[0].call_later(self._ask, nodes[1:], number, left)
        else:
            self._round(number, left - 1)

    async def _done(self, number: int) -> None:
        if number != self._number or not self._typed:
            return
        self._number += 1
        self._typed.popleft()
        if self._typed:
            await self._handle()
