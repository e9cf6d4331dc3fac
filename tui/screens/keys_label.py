"""What the keys do that say something on an episode."""

from __future__ import annotations

from qraft.model import Scope, Verdict
from tui.language import t, tn
from tui.screens.choose import ChoiceScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.keys import Keys
from tui.state.episodes import Episode
from tui.state.labels import JUDGES, VERDICT_WORD, scopes
from tui.state.mutes import DEFAULT_TTL, parse_ttl
from tui.state.pages import Page
from tui.state.prompt import Prompt
from tui.views.times import until


class LabelKeys(Keys):
    """Verdicts, notes, mutes, marks."""

    def do_confirm(self) -> None:
        """Calls the targets real."""
        self._judge(JUDGES["confirm"])

    def do_false_positive(self) -> None:
        """Calls the targets false positives."""
        self._judge(JUDGES["false_positive"])

    def do_expected(self) -> None:
        """Calls the targets real, but expected."""
        self._judge(JUDGES["expected"])

    def do_new_normal(self) -> None:
        """Calls the targets the new normal."""
        self._judge(JUDGES["new_normal"])

    def _judge(self, verdict: Verdict) -> None:
        """One episode needs no confirmation, since it can be taken back; several do."""
        number = len(self.session.targets)
        if number == 1:
            self.session.labels.judge(verdict, self.now)
            return

        def sure(yes: bool | None) -> None:
            if yes:
                self.session.labels.judge(verdict, self.now)
            self.paint()

        word = t(VERDICT_WORD[verdict])
        asked = tn("{verdict}: {n} marked episode?", "{verdict}: {n} marked episodes?", number, verdict=word)
        self.app.push_screen(ConfirmScreen(asked), sure)

    def do_note(self, text: str = "") -> None:
        """Writes a note on the targets."""

        def written(note: str) -> str:
            if note.strip():
                self.session.labels.note(note, self.now)
            return ""

        if text:
            written(text)
        else:
            self.ask(Prompt(t("note"), written, name="note", remark=lambda _: (t("enter keeps it · esc gives up"), False)))

    def do_mute(self, time: str = "") -> None:
        """Asks what to mute, then for how long."""
        episode = self.session.targets[0]
        offered = scopes(episode)

        def scoped(index: int | None) -> None:
            if index is not None:
                what, scope = offered[index]
                self._mute_for(episode, what, scope, time)
            self.paint()

        self.app.push_screen(
            ChoiceScreen(t("MUTE WHAT"), [what for what, _ in offered], ascii_only=self.desk.ascii_only), scoped
        )

    def _mute_for(self, episode: Episode, what: str, scope: Scope, time: str) -> None:
        def taken(text: str) -> str:
            try:
                length = parse_ttl(text)
            except ValueError as error:
                return str(error)
            self.session.labels.mute(episode, scope, self.now + length, what, self.now)
            return ""

        def remark(text: str) -> tuple[str, bool]:
            try:
                length = parse_ttl(text)
            except ValueError as error:
                return str(error), True
            return t("{what} · until {when}", what=what, when=until(self.now + length, self.now)), False

        if time and not taken(time):
            return
        self.ask(Prompt(t("mute for"), taken, value=time or DEFAULT_TTL, remark=remark, name="mute"))

    def do_mark(self) -> None:
        """Marks the row."""
        self.session.listed.toggle_mark(self.now)

    def do_range(self) -> None:
        """Marks the rows up to the cursor."""
        self.session.listed.toggle_range()

    def do_undo(self) -> None:
        """Takes back what was said last."""
        self.session.labels.undo(self.now)

    def do_redo(self) -> None:
        """Says it again."""
        self.session.labels.redo(self.now)

    def do_feedback(self) -> None:
        """Shows what was said."""
        self.session.go(Page.FEEDBACK)
