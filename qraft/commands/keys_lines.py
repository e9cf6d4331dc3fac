"""How `qraft keys` says what each key does: lines for people, Markdown for the docs, plain values for scripts.

The words of the actions are those of the terminal; only what stands around them is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from tui.actions import ACTIONS, EVERYWHERE, GROUPS
from tui.keymap import Keymap, shown
from tui.language import Language, catalogue
from tui.state.pages import PAGE_NAME, Page

FEW: Final = 2
"""As long as an action works on all screens but so few, those are named."""


@dataclass(frozen=True, slots=True)
class Row:
    """One action.

    Attributes:
        action: its name, in ``[tui.keys]`` and as a ``:`` command.
        keys: those in force, as people write them; none where it has no key.
        default: those it has where ``[tui.keys]`` does not name it.
        group: what kind of thing it does.
        screens: names of the screens it works on.
        everywhere: whether those are all there are.
        commands: its names after ``:``.
        argument: what stands behind the name, in brackets where it may be left out.
        label: its word in the key bar.
        help: what it does.
    """

    action: str
    keys: tuple[str, ...]
    default: tuple[str, ...]
    group: str
    screens: tuple[str, ...]
    everywhere: bool
    commands: tuple[str, ...]
    argument: str
    label: str
    help: str


@dataclass(frozen=True, slots=True)
class _Words:
    heads: tuple[str, str, str, str]
    everywhere: str
    all_but: str
    default: str
    no_key: str
    comma: str
    title: str
    before: str


_WORDS: Final[dict[Language, _Words]] = {
    "en": _Words(
        heads=("key", "command", "screens", "what it does"),
        everywhere="all",
        all_but="all but {screens}",
        default="{help} (by default {keys})",
        no_key="none",
        comma=", ",
        title="Keys of the terminal",
        before=(
            "Every action of the terminal: its keys, its name after `:`, the screens it works on. In the terminal `?`\n"
            "shows the same, with the reason where a key can do nothing at the moment. `qraft keys` lists the keys in\n"
            "force after your own `[tui.keys]`; [the guide](terminal.md#keys-of-your-own) says how to change them.\n"
            "\n"
            "This page is made by `qraft keys --markdown --lang en`. Do not edit it."
        ),
    ),
    "zh": _Words(
        heads=("按键", "命令", "界面", "作用"),
        everywhere="全部",
        all_but="除{screens}外",
        default="{help}（默认 {keys}）",
        no_key="无",
        comma="、",
        title="终端按键",
        before=(
            "终端的全部操作：按键、`:` 之后的名称、适用的界面。终端里按 `?` 显示同样的内容，当前不可用的会附原因。\n"
            "`qraft keys` 列出应用 `[tui.keys]` 之后实际生效的按键；改键方法见[指南](terminal.md#改键)。\n"
            "\n"
            "本页由 `qraft keys --markdown --lang zh` 生成，请勿手工修改。"
        ),
    ),
}


def rows(keymap: Keymap, language: Language) -> list[Row]:
    """Every action with the keys of ``keymap``, group by group, in the order of the registry."""
    words = catalogue(language)

    def say(text: str) -> str:
        return words.get(text, text)

    return [
        Row(
            action=action.name,
            keys=tuple(map(shown, keymap[action.name])),
            default=tuple(map(shown, action.keys)),
            group=say(name),
            screens=tuple(say(PAGE_NAME[page]) for page in Page if page in action.pages),
            everywhere=action.pages == EVERYWHERE,
            commands=(action.name, *action.aliases),
            argument=say(action.argument) if action.argument else "",
            label=say(action.label),
            help=say(action.help),
        )
        for group, name in GROUPS.items()
        for action in ACTIONS
        if action.group == group
    ]


def lines(listed: Sequence[Row], language: Language) -> Iterator[str]:
    """The actions in aligned columns below the names of their groups."""
    words = _WORDS[language]
    cells = [
        (" ".join(row.keys) or words.no_key, _command(row), _screens(row, language), _help(row, words)) for row in listed
    ]
    widths = [max(map(cell_len, column)) for column in zip(words.heads, *cells, strict=True)]
    yield _aligned(words.heads, widths)
    group = ""
    for row, line in zip(listed, cells, strict=True):
        if row.group != group:
            group = row.group
            yield from ("", group)
        yield _aligned(line, widths)


def markdown(listed: Sequence[Row], language: Language) -> Iterator[str]:
    """The actions as a page of the docs."""
    words = _WORDS[language]
    yield from (f"# {words.title}", "", words.before)
    group = ""
    for row in listed:
        if row.group != group:
            group = row.group
            yield from ("", f"## {group.capitalize()}", "", _table_row(words.heads), "|---|---|---|---|")
        keys = " ".join(map(_code, row.keys)) or words.no_key
        yield _table_row((keys, _code(_command(row)), _screens(row, language), _help(row, words).replace("|", r"\|")))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return ("  " + "  ".join(padded)).rstrip()


def _command(row: Row) -> str:
    names = " ".join(f":{name}" for name in row.commands)
    return f"{names} {row.argument}".rstrip()


def _screens(row: Row, language: Language) -> str:
    words = _WORDS[language]
    if row.everywhere:
        return words.everywhere
    names = catalogue(language)
    missing = [said for name in PAGE_NAME.values() if (said := names.get(name, name)) not in row.screens]
    if len(missing) <= FEW:
        return words.all_but.format(screens=words.comma.join(missing))
    return words.comma.join(row.screens)


def _help(row: Row, words: _Words) -> str:
    if row.keys == row.default:
        return row.help
    return words.default.format(help=row.help, keys=" ".join(row.default) or words.no_key)


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """A text as code in a table's cell; GitHub reads a pipe there as the end of the cell."""
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", r"\|")
