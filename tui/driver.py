"""The way to the terminal: counts what is written and lets other modules write sequences in order with the frames."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from textual.driver import Driver


class Output:
    """What goes to the terminal, over all of its life.

    Attributes:
        bytes: bytes handed to the terminal.
        writes: how many pieces they came in.
        waited: seconds the interface stood still because the terminal took no more.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.writes = 0
        self.waited = 0.0
        self._driver: Driver | None = None

    @property
    def attached(self) -> bool:
        """Whether a terminal listens."""
        return self._driver is not None

    def attach(self, driver: Driver | None) -> None:
        """Names the driver that writes; None when the terminal is given back."""
        self._driver = driver

    def write(self, text: str) -> bool:
        """Writes a sequence after the frames written so far; False where no terminal listens."""
        if self._driver is None:
            return False
        self._driver.write(text)
        self._driver.flush()
        return True

    def note(self, text: str, seconds: float) -> None:
        """Counts one piece that took so long to hand over."""
        self.bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        self.writes += 1
        self.waited += seconds


def driver_class(output: Output, environment: Mapping[str, str] = os.environ) -> type[Driver] | None:
    """The driver that counts into ``output``, to be given to ``App(driver_class=...)``.

    None leaves the choice to Textual: where TEXTUAL_DRIVER names another one (textual-serve does), and on Windows.
    """
    if environment.get("TEXTUAL_DRIVER") or sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    counted = output

    class CountingDriver(LinuxDriver):
        """Textual's driver of Unix terminals, with a count."""

        output: ClassVar[Output] = counted

        def write(self, data: str) -> None:
            """Hands text to the writing thread, which may make us wait."""
            begun = perf_counter()
            super().write(data)
            self.output.note(data, perf_counter() - begun)

        def start_application_mode(self) -> None:
            """Takes the terminal."""
            super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual leaves it untyped
            self.output.attach(self)

        def stop_application_mode(self) -> None:
            """Gives the terminal back; nothing is written from here on but what Textual writes itself."""
            self.output.attach(None)
            super().stop_application_mode()

    return CountingDriver
