"""What the keys do that find episodes: filter, order, marks of what is new."""

from __future__ import annotations

from qraft.filter import completions
from tui.actions import LISTS
from tui.language import t
from tui.screens.choose import ChoiceScreen
from tui.screens.keys import Keys
from tui.state.prompt import Prompt
from tui.state.saved import SavedError
from tui.views.filter_line import remark


class FindKeys(Keys):
    """Filter and order."""

    def do_filter(self, text: str = "") -> None:
        """Filters as one types."""
        if self.session.page not in LISTS:
            self._find(text)
            return
        session, before = self.session, self.session.filter.text
        if text:
            if not session.set_filter(text, self.now):
                self.say(session.filter_error, bad=True)
                session.filter_error = ""
            return

        def changed(typed: str) -> None:
            session.set_filter(typed, self.now)

        def answered(typed: str) -> str:
            if not session.set_filter(typed, self.now):
                return session.filter_error
            return ""

        def gave_up() -> None:
            session.set_filter("", self.now)

        def said(_: str) -> tuple[str, bool]:
            line = remark(session, 60)
            return line[0][0].strip(), bool(session.filter_error)

        self.ask(
            Prompt(
                "/",
                answered,
                value=before,
                change=changed,
                cancel=gave_up,
                remark=said,
                complete=self._completions,
                name="filter",
            )
        )

    def _find(self, text: str) -> None:
        """Searches a list that holds no episodes."""
        finds, page = self.session.finds, self.session.page
        before = finds.get(page, "")

        def changed(typed: str) -> None:
            finds[page] = typed.strip()

        def answered(typed: str) -> str:
            changed(typed)
            return ""

        if text:
            changed(text)
        else:
            said = t("words that must stand in a row; ! turns one round")
            self.ask(
                Prompt(
                    "/",
                    answered,
                    value=before,
                    change=changed,
                    cancel=lambda: changed(""),
                    remark=lambda _: (said, False),
                    name="find",
                )
            )

    def _completions(self, text: str) -> list[str]:
        rows = self.session.view.episodes[:500]
        before = text[: text.rfind(" ") + 1]
        found = completions(
            text,
            sources=sorted(self.session.store.sources),
            detectors=sorted({e.detector for e in rows}),
            fields=sorted({c.field for e in rows for c in e.peak.contributors}),
            users=sorted({m.feedback.user for e in rows if (m := self.session.mark(e)).feedback}),
        )
        return [before + word for word in found]

    def do_filters(self, name: str = "") -> None:
        """Recalls a saved filter, or saves the one in force."""
        session, saved = self.session, self.desk.saved
        try:
            known = saved.load()
        except SavedError as error:
            self.say(str(error), bad=True)
            return
        if name:
            if name in known:
                session.set_filter(known[name], self.now)
            else:
                self.say(t("no filter is saved as {name}", name=name), bad=True)
            return
        names = sorted(known)
        lines = [f"{one}  /{known[one]}" for one in names]
        if session.filter:
            lines.append(t("save /{filter} under a name …", filter=session.filter.text))
        if not lines:
            self.say(
                t(
                    "no filter is saved; filter with {filter} first, then {key} saves it",
                    filter=self.session.key("filter"),
                    key=self.session.key("filters"),
                ),
                bad=True,
            )
            return

        def chosen(index: int | None) -> None:
            if index is not None and index < len(names):
                session.set_filter(known[names[index]], self.now)
            elif index is not None:
                self.ask(Prompt(t("name"), self._save, name="filters"))
            self.paint()

        self.app.push_screen(ChoiceScreen(t("FILTERS"), lines, ascii_only=self.desk.ascii_only), chosen)

    def do_save(self, name: str) -> None:
        """Saves the filter in force under a name."""
        if problem := self._save(name):
            self.say(problem, bad=True)

    def _save(self, name: str) -> str:
        if not self.session.filter:
            return t("there is no filter to save: filter with {key} first", key=self.session.key("filter"))
        try:
            self.desk.saved.keep(name.strip(), self.session.filter.text)
        except SavedError as error:
            return str(error)
        self.say(t("saved as {name}; {key} recalls it", name=name.strip(), key=self.session.key("filters")))
        return ""

    def do_sort(self) -> None:
        """Sorts by the next column."""
        self.session.next_sort(self.now)

    def do_reverse(self) -> None:
        """Turns the order round."""
        self.session.reverse_sort(self.now)

    def do_next_new(self) -> None:
        """Goes to the next episode without a verdict."""
        self._new(1)

    def do_previous_new(self) -> None:
        """Goes to the one before."""
        self._new(-1)

    def _new(self, steps: int) -> None:
        if not self.session.next_new(steps, self.now):
            self.say(t("no other episode without a verdict there"), bad=True)

    def do_muted(self) -> None:
        """Shows what is muted, or hides it."""
        board = self.session.board
        board.show_muted = not board.show_muted
        self.say(t("muted episodes are shown") if board.show_muted else t("muted episodes are hidden"))

    def do_refresh(self) -> None:
        """Asks the database again."""
        self.front.refresh_data()
        self.say(t("asking the database again"))
