"""What the documentation shows: its pages, their blocks of code, the commands in them, their links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
"""Every English page of the manual."""
SHELL = ("", "sh", "bash", "console")
"""Languages of the blocks whose lines are commands; a block without a language is one, so pictures say ``text``."""


def twin(page: str) -> str:
    """The Chinese page of an English one."""
    return "README.zh-CN.md" if page == "README.md" else page.replace("docs/", "docs/zh-CN/", 1)


def text_of(page: str) -> str:
    """A page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its language, its text, and the line of the page at which its text begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The file that the block is, by the comment in its first line; empty where it is none."""
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return found[1] if found is not None and self.language not in SHELL else ""

    @property
    def is_shell(self) -> bool:
        """Whether its lines are commands; a drawing is none."""
        return self.language in SHELL and not re.search(r"[─│┌└▶]", self.text)


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = text_of(page)
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start(2)) + 1)
        for found in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


@dataclass(frozen=True, slots=True)
class Statement:
    """One command of a page, with its here-document if it has one, without the comment at its end."""

    text: str
    page: str
    line: int

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def _quote_is_open(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def statements(page: str, block: Block) -> Iterator[Statement]:
    """The commands of a block of shell."""
    lines = block.text.splitlines()
    at = 0
    while at < len(lines):
        begun, taken = at, lines[at]
        here = re.search(r"<<-?\s*['\"]?(\w+)['\"]?", taken)
        while lines[at] != here[1] if here else (lines[at].endswith("\\") or _quote_is_open(taken)):
            at += 1
            taken += "\n" + lines[at]
        at += 1
        bare = taken if "\n" in taken else re.sub(r"(^|\s+)# .*$|^#$", "", taken)
        if bare.strip():
            yield Statement(bare.rstrip(), page, block.line + begun)


def commands(page: str) -> list[Statement]:
    """Every command of a page, in order."""
    return [one for block in blocks(page) if block.is_shell for one in statements(page, block)]


def qraft_calls(text: str) -> list[str]:
    """Each call of qraft in a command: what stands behind the word, up to the next pipe, semicolon or ampersand."""
    return [found[1].strip() for found in re.finditer(r"(?:^|[|;&(]\s*|\n)qraft ([^|;&)\n]*)", text)]


def inline_calls(page: str) -> list[str]:
    """Each call of qraft that the prose names in backquotes."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [found[1].replace("\n", " ") for found in re.finditer(r"`qraft ([^`]+)`", prose)]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", bare.strip().lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """Every anchor of a page: its headings, and those it names itself."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set(re.findall(r'<a id="([^"]+)"></a>', text))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name, number = slug(heading), 0
        while (numbered := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(numbered)
    return found


def links(page: str) -> list[tuple[str, str]]:
    """The links of a page to other files and anchors: the path as written, and the anchor."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(((?!https?://|mailto:)[^)#\s]*)(?:#([^)\s]*))?\)", text)
