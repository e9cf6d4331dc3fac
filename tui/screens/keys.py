"""From a key, a command or the palette to what is done: one way for all of them, by the name of the action."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.actions import ACTIONS
from tui.keymap import Keymap
from tui.outside import Desk, Outside
from tui.state.prompt import Prompt
from tui.state.session import Session

if TYPE_CHECKING:
    from tui.pages.base import PageView


def bindings(keymap: Keymap) -> list[BindingType]:
    """The bindings that the keymap asks for. The key that quits works wherever one is."""
    return [
        Binding(key, f"do('{a.name}')", a.label, show=False, id=f"{a.name}.{key}", priority=a.name == "quit")
        for a in ACTIONS
        for key in keymap[a.name]
    ]


class Keys(Screen[None]):
    """What the actions work on. Each action of the registry has a method ``do_<name>`` in one of the classes beside this."""

    def __init__(self, session: Session, outside: Outside) -> None:
        super().__init__()
        self.session = session
        self.outside = outside

    @property
    @abstractmethod
    def front(self) -> PageView:
        """The page in front."""

    @abstractmethod
    def paint(self) -> None:
        """Brings every visible widget up to date."""

    @abstractmethod
    def ask(self, prompt: Prompt) -> None:
        """Asks something on the last line."""

    @property
    def now(self) -> int:
        """Wall time, UTC microseconds."""
        return self.outside.now_us()

    @property
    def desk(self) -> Desk:
        """The application."""
        return cast("Desk", self.app)

    def action_do(self, name: str, argument: str = "") -> None:
        """Does what an action of the registry says, or tells why not."""
        reason = self.session.reason(name)
        if reason:
            self.session.say(reason, self.now, bad=True)
        elif not self.front.act(name, self.now):
            method = getattr(self, f"do_{name}")
            method(argument) if argument else method()
        self.paint()

    def say(self, text: str, *, bad: bool = False) -> None:
        """Shows a sentence for some seconds, at once."""
        self.session.say(text, self.now, bad=bad)
        self.paint()
