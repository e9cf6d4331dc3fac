"""The operator's language: English texts are the keys, ``words/zh.toml`` holds the Chinese ones.

``t`` and ``tn`` take literal English, so that a test can read from the syntax tree which texts there are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

_words: dict[str, str] = {}


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a text that is translated where it is shown."""
    return text


def use(language: Language) -> None:
    """Shows every text in this language from now on."""
    _words.clear()
    _words.update(catalogue(language))


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """The words of a language by their English text; none for English itself."""
    if language == "en":
        return {}
    with (Path(__file__).parent / "words" / f"{language}.toml").open("rb") as file:
        return tomllib.load(file)


def t(text: str, /, **values: Any) -> str:
    """The text in the operator's language, with ``values`` in place of its ``{names}``."""
    said = _words.get(text, text)
    return said.format(**values) if values else said


def tn(one: str, many: str, number: int, /, **values: Any) -> str:
    """``one`` for a number of 1, else ``many``; ``{n}`` is the number where ``values`` names no other."""
    return t(one if number == 1 else many, **{"n": number, **values})


def chosen(option: str, environment: Mapping[str, str]) -> Language:
    """The language asked for, else that of the environment's locale, else English."""
    for value in (option, *(environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))):
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
