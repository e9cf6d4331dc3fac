"""What the palette finds: every action of the registry, every source, every saved filter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.actions import ACTIONS, Action
from tui.keymap import shown_all
from tui.language import t

if TYPE_CHECKING:
    from tui.screens.main import MainScreen


class Actions(Provider):
    """The actions by their label, the sources by their name."""

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self.screen)

    async def discover(self) -> Hits:
        """Everything that can be done now."""
        for action in ACTIONS:
            if action.name not in ("palette", "command") and not self._reason(action):
                yield DiscoveryHit(self._label(action), partial(self._do, action), help=t(action.help))

    async def search(self, query: str) -> Hits:
        """What fits the query."""
        matcher = self.matcher(query)
        for action in ACTIONS:
            label = self._label(action)
            score = max(matcher.match(label), matcher.match(action.name.replace("_", " ")))
            if score > 0:
                reason = self._reason(action)
                said = t("not now: {reason}", reason=reason) if reason else t(action.help)
                yield Hit(score, matcher.highlight(label), partial(self._do, action), help=said)
        for source in sorted(self._main.session.store.sources):
            label = t("source {name}", name=source)
            if (score := matcher.match(label)) > 0:
                yield Hit(score, matcher.highlight(label), partial(self._source, source), help=t("its episodes"))

    def _label(self, action: Action) -> str:
        keys = shown_all(self._main.outside.keymap[action.name])
        return f"{t(action.label).rstrip('…')}  {keys}".rstrip()

    def _reason(self, action: Action) -> str:
        return self._main.session.reason(action.name)

    def _do(self, action: Action) -> None:
        """Does it; asks for what it takes, where that must be given."""
        if action.argument and not action.argument.startswith("["):
            self._main.ask_command(f"{action.name} ")
        else:
            self._main.action_do(action.name)

    def _source(self, source: str) -> None:
        main = self._main
        main.session.set_filter(f"src:{source}", main.now)
        main.action_do("live")
