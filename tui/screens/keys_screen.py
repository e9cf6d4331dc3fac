"""What the keys do with the interface itself: commands, palette, help, theme, language, leaving."""

from __future__ import annotations

import difflib

from tui.actions import ACTIONS, Action
from tui.language import LANGUAGES, chosen, t, use
from tui.screens.help import HelpScreen
from tui.screens.keys import Keys
from tui.state.pages import Page
from tui.state.prompt import Prompt
from tui.theme import NAMES as THEMES

NAMES: dict[str, Action] = {name: a for a in ACTIONS for name in (a.name, *a.aliases)}


class ScreenKeys(Keys):
    """Commands and the whole."""

    def do_command(self, typed: str = "") -> None:
        """Asks for a command."""

        def remark(text: str) -> tuple[str, bool]:
            name, _, _ = text.strip().partition(" ")
            known = NAMES.get(name)
            if known is not None:
                reason = self.session.reason(known.name)
                return (
                    (reason, True)
                    if reason
                    else (f"{t(known.help)} {t(known.argument) if known.argument else ''}".strip(), False)
                )
            return (t("tab completes · enter does it") if not name else ""), False

        self.ask(Prompt(":", self.command, value=typed, remark=remark, complete=self._commands, name="command"))

    def _commands(self, text: str) -> list[str]:
        name, space, argument = text.partition(" ")
        if not space:
            return [n for n in sorted(NAMES) if n.startswith(name)]
        offered: list[str] = []
        if name == "theme":
            offered = list(THEMES)
        elif name in ("language", "lang"):
            offered = list(LANGUAGES)
        elif name == "filters":
            offered = sorted(self.desk.saved.names())
        return [f"{name} {one}" for one in offered if one.startswith(argument)]

    def command(self, text: str) -> str:
        """Runs a command line: the name of an action, and what it takes. Why it cannot, empty when it could."""
        name, _, argument = text.strip().partition(" ")
        if not name:
            return ""
        known = NAMES.get(name) or NAMES.get({"q": "leave", "quit!": "quit"}.get(name, ""))
        if known is None:
            near = difflib.get_close_matches(name, NAMES, 1, 0.5)
            return (
                t("no command “{name}”; did you mean {near}?", name=name, near=near[0])
                if near
                else t("no command “{name}”; tab shows what there is", name=name)
            )
        if argument.strip() and not known.argument:
            return t("{name} takes nothing behind it", name=name)
        if known.argument and not known.argument.startswith("[") and not argument.strip():
            return t("{name} needs {argument}: {help}", name=name, argument=t(known.argument), help=t(known.help))
        self.call_later(self.action_do, known.name, argument.strip())
        return ""

    def do_palette(self) -> None:
        """Finds an action by typing."""
        self.desk.open_palette()

    def do_theme(self, name: str) -> None:
        """Changes the colours."""
        if name not in THEMES:
            self.say(t("no theme “{name}”; there are {names}", name=name, names=", ".join(THEMES)), bad=True)
            return
        self.desk.use_theme(name)

    def do_language(self, name: str) -> None:
        """Changes the language."""
        if name not in LANGUAGES:
            self.say(t("no language “{name}”; there are {names}", name=name, names=", ".join(LANGUAGES)), bad=True)
            return
        if name != "en" and self.desk.ascii_only:
            self.say(t("this terminal has ASCII characters only; start it in a UTF-8 locale"), bad=True)
            return
        use(chosen(name, {}))
        self.say(t("the language is English now"))

    def do_help(self) -> None:
        """Opens the help."""
        self.app.push_screen(HelpScreen(self.session, self.outside.keymap, ascii_only=self.desk.ascii_only))

    def do_suspend(self) -> None:
        """Back to the shell until fg."""
        self.app.action_suspend_process()

    def do_leave(self) -> None:
        """Quits from LIVE, goes back to it from elsewhere."""
        if self.session.page is Page.LIVE:
            self.do_quit()
        else:
            self.session.go(Page.LIVE)

    def do_quit(self) -> None:
        """Ends the interface."""
        self.app.exit(0)
