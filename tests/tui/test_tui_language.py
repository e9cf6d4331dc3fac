"""The languages: which one is chosen, that no text is missing in Chinese, and that no English goes past the catalogue."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

import tui
from qraft import filter as filter_language
from tui.language import catalogue, chosen, t, tn, translated, use
from tui.state.filter import SENTENCES
from tui.views.text import TONES

ROOT = Path(tui.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SHOWN = [path for path in FILES if path.parent.name in ("views", "screens", "pages", "widgets")]
CHINESE = catalogue("zh")

INDIRECT: dict[str, dict[str, str]] = {
    "state/filter.py": {"error.sentence": "SENTENCES"},
    "views/banner.py": {
        "next((text for least, text in _IN_FORCE if width >= least))": "_IN_FORCE",
        "word": "_LEVELS",
        "meaning": "_LEVELS",
    },
    "views/episodes.py": {"word[episode.type]": "KIND_WORD KIND_SHORT"},
    "views/help.py": {"glyphs": "LEGEND", "right": "FILTER_HELP"},
    "views/sentence.py": {"text": "_GROUPS _LEFT"},
    "views/sources.py": {"word": "STATES"},
}
"""Where ``t`` is given a variable that is no item of a constant: by file and argument, the constants it may come from."""

OF_ACTIONS = ("label", "short", "help", "argument")
"""Attributes of an action that ``t`` may be given; ``ACTIONS`` marks them."""

SAME = frozenset(
    {"qraft up", "qraft engine", "qraft doctor", " Qraft", "Qraft ", "UTC", " UTC", "esc", "enter", "space", "tab"}
)
"""Texts that are the same in every language: names, commands, keys."""


@pytest.fixture
def english() -> Iterator[None]:
    """Back to English after the test."""
    yield
    use("en")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        if path.name != "language.py":
            yield name_of(path), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls of the functions of ``tui.language`` by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "tn", "N_"):
            yield node.func.id, node


def literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def names_in(text: str) -> set[str]:
    """The ``{names}`` of a text."""
    return set(re.findall(r"\{(\w+)\}", text))


def used() -> dict[str, set[str]]:
    """Every text that a file shows, by file. Of ``tn`` it is the one for many."""
    found: dict[str, set[str]] = defaultdict(set)
    for file, tree in trees():
        for function, call in calls(tree):
            text = literal(call.args[1 if function == "tn" else 0])
            if text is not None:
                found[file].add(text)
    return found


def test_every_text_stands_in_the_catalogue() -> None:
    missing = {file: sorted(texts - set(CHINESE)) for file, texts in used().items() if texts - set(CHINESE)}
    assert not missing, "\n".join(f'{file}: "{text}"' for file, texts in missing.items() for text in texts)


def test_the_catalogue_holds_nothing_that_is_not_used() -> None:
    assert not sorted(set(CHINESE) - set().union(*used().values()))


def test_a_translation_keeps_the_names_and_the_edges() -> None:
    for text, said in CHINESE.items():
        assert names_in(said) == names_in(text), text
        wide = {place for place in (0, -1) if cell_len(said[place]) == 2}
        assert all((said[place] == " ") is (text[place] == " ") for place in {0, -1} - wide), text
        assert said.isprintable(), text


def marked() -> set[str]:
    """Names of the constants whose texts are marked by ``N_``."""
    out: set[str] = set()
    for _, tree in trees():
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and any(name == "N_" for name, _ in calls(statement)):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                out |= {target.id for target in targets if isinstance(target, ast.Name)}
    return out


def known_at(file: str, node: ast.expr, constants: set[str]) -> bool:
    """Whether an expression is literal, or what it gives is marked."""
    if isinstance(node, ast.IfExp):
        return known_at(file, node.body, constants) and known_at(file, node.orelse, constants)
    named = INDIRECT.get(file, {}).get(ast.unparse(node))
    if literal(node) is not None or named is not None:
        return set((named or "").split()) <= constants
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr in OF_ACTIONS and "ACTIONS" in constants
    return isinstance(node, ast.Name) and node.id in constants


def test_the_first_argument_is_literal_or_comes_from_marked_constants() -> None:
    constants, unknown, seen = marked(), [], set()
    for file, tree in trees():
        for function, call in calls(tree):
            for text in call.args[: 2 if function == "tn" else 1]:
                seen.add((file, ast.unparse(text)))
                if not known_at(file, text, constants) or (function != "t" and literal(text) is None):
                    unknown.append(f"{file}:{call.lineno}: {function}({ast.unparse(text)})")
    assert not unknown, "neither literal nor an item of a marked constant; list it in INDIRECT:\n" + "\n".join(unknown)
    assert {(file, text) for file, texts in INDIRECT.items() for text in texts} <= seen


def test_a_call_gives_the_values_that_its_text_names() -> None:
    wrong = []
    for file, tree in trees():
        for function, call in calls(tree):
            if function == "N_" or any(keyword.arg is None for keyword in call.keywords):
                continue
            given = {keyword.arg for keyword in call.keywords}
            for text in [literal(arg) for arg in call.args[: 2 if function == "tn" else 1]]:
                if text is None:
                    continue
                named = names_in(text)
                if not named <= given | ({"n"} if function == "tn" else set()) or (function == "t" and given != named):
                    wrong.append(f"{file}:{call.lineno}: {text}")
    assert not wrong, "\n".join(wrong)


def test_every_sentence_of_the_filter_language_is_marked() -> None:
    raised = set()
    for node in ast.walk(ast.parse(Path(filter_language.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "FilterError":
            raised.add(vars(filter_language)[ast.unparse(node.args[0])])
    assert raised == set(SENTENCES)


def test_constants_are_translated_where_they_are_shown_not_where_they_stand() -> None:
    early = []
    for file, tree in trees():
        for statement in tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            inside = {id(call) for node in ast.walk(statement) if isinstance(node, ast.Lambda) for _, call in calls(node)}
            early += [f"{file}:{c.lineno}" for name, c in calls(statement) if name != "N_" and id(c) not in inside]
    assert not early


WORDS = re.compile(r"[A-Za-z]{3}")


def stray(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Literals that an operator may read and that no catalogue knows: text of a span, or words with a space between."""
    known: set[int] = set()
    for _, call in calls(tree):
        known |= {id(node) for node in ast.walk(call)}
    spans: set[int] = set()
    compared = {id(one) for node in ast.walk(tree) if isinstance(node, ast.Compare) for one in node.comparators}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Assert) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "Binding"):
            known |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and _is_tone(node.elts[1]) and id(node) not in compared:
            spans |= {id(inner) for inner in (node.elts[0], *_parts(node.elts[0]))}
        if isinstance(node, ast.Expr) and literal(node.value) is not None:
            known.add(id(node.value))
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id in ("CSS", "DEFAULT_CSS") for target in node.targets
        ):
            known |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        text = literal(node) if isinstance(node, ast.expr) else None
        if text is None or id(node) in known or not WORDS.search(text):
            continue
        if isinstance(node, ast.expr) and (id(node) in spans or " " in text.strip()):
            yield node.lineno, text


def _is_tone(node: ast.expr) -> bool:
    return literal(node) in TONES or (isinstance(node, ast.IfExp) and _is_tone(node.body))


def _parts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse, *_parts(node.body), *_parts(node.orelse)]
    return list(node.values) if isinstance(node, ast.JoinedStr) else []


@pytest.mark.parametrize("path", SHOWN, ids=name_of)
def test_no_english_is_shown_past_the_catalogue(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [f"{name_of(path)}:{line}: {text}" for line, text in stray(tree) if text not in SAME]
    assert not found, "\n".join(found)


# --- which language


@pytest.mark.parametrize(
    ("option", "environment", "language"),
    [
        ("zh", {"LC_ALL": "en_US.UTF-8"}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("zh-Hans", {}, "zh"),
        ("", {"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ("", {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ("", {"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ("", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("", {"LANG": "zh"}, "zh"),
        ("", {"LANG": "zh_Hans_CN.GB18030@pinyin"}, "zh"),
        ("", {"LANG": "de_DE.UTF-8"}, "en"),
        ("", {"LANG": "de_DE.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh"),
        ("", {"LANG": "zh_CN.UTF-8", "LANGUAGE": "en_GB:zh"}, "en"),
        ("", {"LANG": "C.UTF-8", "LANGUAGE": "zh"}, "en"),
        ("", {"LANG": "POSIX", "LANGUAGE": "zh"}, "en"),
        ("", {"LANGUAGE": "zh_CN:zh"}, "zh"),
        ("", {"LANG": "zhx_YY"}, "en"),
        ("", {}, "en"),
    ],
)
def test_the_language_that_is_chosen(option: str, environment: dict[str, str], language: str) -> None:
    assert chosen(option, environment) == language


def test_words_come_in_the_language_in_use(english: None) -> None:
    assert (t("SOURCE"), tn("{n} verdict queued", "{n} verdicts queued", 1), translated()) == (
        "SOURCE",
        "1 verdict queued",
        False,
    )
    assert tn("{n} verdict queued", "{n} verdicts queued", 2) == "2 verdicts queued"
    use("zh")
    assert (t("SOURCE"), t("+{n} more", n=3), translated()) == ("数据源", "+3 条", True)
    assert tn("{n} verdict queued", "{n} verdicts queued", 1) == "1 条判定待发送"
    assert t("a text that nobody translated {n}", n=4) == "a text that nobody translated 4"
    use("en")
    assert t("SOURCE") == "SOURCE"
