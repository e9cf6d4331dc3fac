"""The operator's language: English texts are the keys, ``words/zh.toml`` holds the Chinese ones.

``t`` and ``tn`` take literal English, so that a test can read from the syntax tree which texts there are; constants hold
plain English marked by ``N_`` and are looked up where they are shown. One process shows one language.
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


def translated() -> bool:
    """Whether texts are shown in another language than the English they are written in."""
    return bool(_words)


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """The words of a language by their English text; none for English itself."""
    if language == "en":
        return {}
    with (Path(__file__).parent / "words" / f"{language}.toml").open("rb") as file:
        return tomllib.load(file)


def t(text: str, /, **values: Any) -> str:
    """The text in the operator's language, with ``values`` in place of its ``{names}``. Tables call it for every cell."""
    said = _words.get(text, text)
    return said.format(**values) if values else said


def tn(one: str, many: str, number: int, /, **values: Any) -> str:
    """``one`` for a number of 1, else ``many``; ``{n}`` is the number, unless ``values`` says how it is written.

    A language of the catalogue has one form for all numbers, which stands there under ``many``.
    """
    said = _words.get(many)
    if said is None:
        said = one if number == 1 else many
    return said.format(**{"n": number, **values})


def chosen(option: str, environment: Mapping[str, str]) -> Language:
    """The language asked for, else that of the environment as POSIX and gettext read it, else English.

    The first of LC_ALL, LC_MESSAGES and LANG that is set names the locale. LANGUAGE, a list parted by colons, goes before
    it, but not before the locales C and POSIX (GNU gettext manual, section 2.3.3).
    """
    if option:
        return _spoken(option) or "en"
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name, ""))), "")
    if _base(locale) in ("c", "posix"):
        return "en"
    for name in (*environment.get("LANGUAGE", "").split(":"), locale):
        if (language := _spoken(name)) is not None:
            return language
    return "en"


def _base(locale: str) -> str:
    """``zh_Hans_CN.UTF-8@pinyin`` and ``zh-CN`` are both ``zh``."""
    for sign in ".@-_":
        locale = locale.partition(sign)[0]
    return locale.strip().lower()


def _spoken(locale: str) -> Language | None:
    return next((language for language in LANGUAGES if language == _base(locale)), None)
