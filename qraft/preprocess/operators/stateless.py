"""What the operators have in common that remember nothing: each row is worked on by itself."""

from __future__ import annotations

from collections.abc import Mapping


class Stateless:
    """Base of the operators without memory."""

    def origins(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """As they were."""
        return before

    def state(self) -> None:
        """Nothing."""
        return

    def load(self, state: None) -> None:
        """Nothing to take up."""
